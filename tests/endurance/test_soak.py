"""Nothing fails in a mixed load, and what piles up is seen."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from bench.endurance import soak
from bench.endurance.proc_kit import holds, slope


@pytest.mark.real
@pytest.mark.usefixtures("default_model")
def test_nothing_fails_and_nothing_piles_up_in_a_mixed_load() -> None:
    for row in soak.measure(quick=True):
        assert row.held, f"{row.what}: {row.got}"


def test_the_slope_of_a_line_is_exact_and_that_of_noise_is_within_its_error() -> None:
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    line = slope(times, [7 + 3 * time for time in times])
    assert (line.value, line.error) == (pytest.approx(3), pytest.approx(0, abs=1e-9))
    noise = slope(times, [1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    assert abs(noise.value) < 2 * noise.error


def test_a_file_and_a_thread_more_are_told_by_their_names() -> None:
    before, end = holds(os.getpid()), threading.Event()
    thread = threading.Thread(target=end.wait)
    with Path(os.devnull).open():
        thread.start()
        now = holds(os.getpid())
        end.set()
    thread.join()
    assert (now.files - before.files) == {os.devnull: 1}
    assert (now.threads - before.threads).total() == 1
    assert before.rss > 1
