"""`friendli top`: what it makes of two looks at the metrics, and how it takes what goes wrong."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cli_kit import CLEAN, run
from metrics_server import Page, metrics, serving
from rich.console import Console

from friendli.cli.scrape import Scrape
from friendli.cli.top_frame import Frame, Latency, frame
from friendli.cli.top_view import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE = metrics(requests=10, prompt=1_000, cached=500, completion=100, forwards=50, rows=100, quick=5)
AFTER = metrics(
    requests=14, prompt=1_200, cached=550, completion=180, forwards=60, rows=160, refused=6, quick=7, slow=2
)
ERROR = '{"error": {"message": "The token is not valid for this server.", "type": "authentication_error"}}'


def between(before: str, after: str, seconds: float = 2.0) -> Frame:
    return frame(Scrape.of(before, 100.0), Scrape.of(after, 100.0 + seconds))


def shown(picture: Picture, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(picture)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_rates_and_shares_are_of_the_time_between_two_looks() -> None:
    (row,) = between(BEFORE, AFTER).endpoints
    assert (row.id, row.state, row.running, row.waiting) == ("demo", "RUNNING", 3, 2)
    assert (row.prompt_rate, row.completion_rate) == (100, 40)
    assert (row.request_rate, row.refusal_rate) == (2, 3)
    assert (row.batch, row.hits) == (6, 0.25)
    assert (row.kv_used, row.kv_cached, row.kv_blocks) == (50, 25, 100)
    assert row.inter_token == Latency(None, None)


def test_latencies_are_those_of_the_requests_since_the_last_look() -> None:
    (row,) = between(BEFORE, AFTER).endpoints
    # Of the four, two are in the first bucket, and two in the second, which goes on from 0.1 s to 1 s.
    assert row.first_token.median == pytest.approx(0.1)
    assert row.first_token.p99 == pytest.approx(0.1 + 0.9 * (0.99 * 4 - 2) / 2)


def test_nothing_new_is_no_rate_and_no_latency() -> None:
    (row,) = between(AFTER, AFTER).endpoints
    assert (row.prompt_rate, row.completion_rate, row.request_rate) == (0, 0, 0)
    assert (row.batch, row.hits, row.first_token) == (None, None, Latency(None, None))


def test_a_server_that_was_started_again_has_no_negative_rates() -> None:
    (row,) = between(AFTER, metrics(requests=2, prompt=20, completion=4, forwards=4, rows=4)).endpoints
    assert (row.prompt_rate, row.completion_rate, row.request_rate) == (10, 2, 1)


def test_two_looks_at_one_moment_have_no_rates() -> None:
    (row,) = between(BEFORE, AFTER, seconds=0.0).endpoints
    assert row.prompt_rate == 0


def test_refusals_before_an_endpoint_are_the_server_s() -> None:
    assert between(BEFORE, AFTER).refusal_rate == 3


def test_adapters_have_rows_of_their_own_and_the_endpoint_their_sum() -> None:
    pirate = re.sub(r"^(?!.*pirate).*\n", "", metrics(prompt=10, completion=20, adapter="pirate"), flags=re.MULTILINE)
    (row,) = between(BEFORE, AFTER + pirate).endpoints
    assert [(each.name, each.completion_rate) for each in row.adapters] == [("-", 40), ("pirate", 10)]
    assert (row.completion_rate, row.running) == (50, 6)


def test_an_endpoint_without_adapters_has_none_of_those_rows() -> None:
    assert between(BEFORE, AFTER).endpoints[0].adapters == ()


@pytest.mark.parametrize(
    ("buckets", "quantile", "value"),
    [
        ({"1.0": 0, "+Inf": 0}, 0.5, None),
        ({"1.0": 10, "2.0": 10, "+Inf": 10}, 0.5, 0.5),
        ({"1.0": 0, "2.0": 10, "+Inf": 10}, 0.5, 1.5),
        ({"1.0": 0, "2.0": 0, "+Inf": 10}, 0.99, 2.0),
        ({"1.0": 4, "2.0": 4, "+Inf": 8}, 0.9, 2.0),
        ({"1.0": 1, "2.0": 1, "4.0": 2, "+Inf": 2}, 1.0, 4.0),
        ({}, 0.5, None),
    ],
)
def test_a_quantile_is_straight_within_its_bucket(
    buckets: dict[str, int], quantile: float, value: float | None
) -> None:
    scrape = Scrape.of("".join(f'x_bucket{{le="{bound}"}} {count}\n' for bound, count in buckets.items()), 0)
    assert scrape.quantile(quantile, "x") == value


def test_a_wide_terminal_has_one_table_and_a_narrow_one_two() -> None:
    picture = Picture(between(BEFORE, AFTER))
    wide, narrow = shown(picture, 150), shown(picture, 80)
    assert len(wide) == 4
    assert len(narrow) == 7
    assert max(map(len, narrow)) <= 80
    assert re.search(r"demo +RUNNING +3 +2 +6\.0 +100 +40\.0 +####\+\+\.\. +50% +25% +100\.0 ms +982\.0 ms", wide[3])
    assert re.search(r"2\.0 +3\.0$", wide[3])


def test_one_look_is_printed_for_a_script_a_line_for_each_row() -> None:
    with serving(Page(BEFORE), Page(AFTER)) as server:
        result = run("top", "--once", "--interval", "0.1", "--server-url", server.url, "--token", "secret")
    assert result.exit_code == 0, result.output
    head, _, titles, row = result.stdout.splitlines()
    assert head.startswith("friendli 9.9 - 100 MiB - over 0.")
    assert titles.split()[:4] == ["endpoint", "state", "run", "wait"]
    assert row.split()[:4] == ["demo", "RUNNING", "3", "2"]
    assert server.tokens == ["Bearer secret"] * 2


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(ERROR, 401), "The token is not valid for this server."),
        (Page(ERROR.replace("not valid for this server", "without the scope metrics"), 403), "the scope metrics"),
        (Page("<html>", kind="text/html"), "the answer should be text/plain"),
        (Page("no metrics at all {"), "the answer does not hold metrics"),
        (Page("", 503), "503"),
    ],
)
def test_what_goes_wrong_is_a_sentence(page: Page, said: str) -> None:
    with serving(page) as server:
        result = run("top", "--once", "--server-url", server.url)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_its_help_has_examples() -> None:
    assert "Examples:\n    friendli top --server-url" in run("top", "--help").stdout


def test_a_server_has_to_be_named() -> None:
    result = run("top")
    assert result.exit_code == 2
    assert "--server-url" in result.stderr


# The terminal becomes that of the command's session, so that Ctrl-C reaches the command alone.
OF_ITS_OWN = """
import fcntl, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from friendli.cli import main
sys.exit(main())
"""


class Terminal:
    """What a process writes to its terminal, as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._written = b""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def shows(self, text: str) -> None:
        """Return once `text` has been written, behind what was waited for before."""
        with self._news:
            assert self._news.wait_for(lambda: text.encode() in self._written, timeout=30), self._written
            self._written = self._written.partition(text.encode())[2]

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def ended(self) -> int:
        code = self.process.wait(30)
        self._reader.join()
        return code

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:  # the other end is gone
                return
            with self._news:
                self._written += data
                self._news.notify_all()


@contextmanager
def on_terminal(*args: str) -> Iterator[Terminal]:
    """The command on a terminal of 150 columns."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (20, 150))
    process = subprocess.Popen(
        [sys.executable, "-c", OF_ITS_OWN, *args],
        env=os.environ | CLEAN | {"TERM": "xterm"},
        start_new_session=True,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        process.kill()
        terminal.ended()
        os.close(master)


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"Q", 0), (b"xyq", 0), (b"\x03", 130)])
def test_a_key_ends_the_live_view_and_gives_the_terminal_back(key: bytes, code: int) -> None:
    with serving(Page(BEFORE), Page(AFTER)) as server, on_terminal("top", "--server-url", server.url) as terminal:
        terminal.shows("RUNNING")
        terminal.press(key)
        assert terminal.ended() == code


def test_the_live_view_goes_on_when_the_server_is_back() -> None:
    pages = [Page(BEFORE), Page(ERROR, 401), Page("", 503), Page(metrics(state="FAILED"))]
    with (
        serving(*pages) as server,
        on_terminal("top", "--interval", "0.2", "--server-url", server.url) as terminal,
    ):
        terminal.shows("trying again")
        terminal.shows("FAILED")
        terminal.press(b"q")
        assert terminal.ended() == 0


def test_the_live_view_waits_for_a_server_that_is_not_there_yet() -> None:
    with serving(Page(BEFORE)) as server:
        url = server.url
    with on_terminal("top", "--interval", "0.2", "--server-url", url) as terminal:
        terminal.shows("could not be reached")
        terminal.press(b"q")
        assert terminal.ended() == 0
