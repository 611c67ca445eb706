"""What the client promises when the network fails; `python -m bench faults` measures the same at length."""

from __future__ import annotations

import sys

import pytest
from bench.faults import child, cuts, down, early, memory, vectors, weather
from bench.faults.plan import Extent
from bench.wire import Child

EACH_WAY = pytest.mark.parametrize("run_async", [False, True], ids=["sync", "async"])


def ask(op: str, **values: object) -> object:
    """Our client, in this process."""
    return child.answer("ours", {"op": op, **values})


def test_event_streams_are_read_by_the_rules_however_they_are_cut():
    assert vectors.measure(ask).wrong == []


@pytest.mark.parametrize("shape", cuts.SHAPES)
def test_a_stream_that_breaks_anywhere_is_an_error_with_the_text_of_the_events_that_came_whole(shape):
    extent = Extent(25, 25, 1.0, 0, 0, 0, 0, 0)
    figures = cuts.measure(ask, extent, (shape,))
    assert len(figures) == 6
    assert [one for one in figures if not one.kept] == []


@pytest.mark.parametrize("shape", cuts.SHAPES)
@EACH_WAY
def test_the_same_stream_uncut_is_no_error(shape, run_async):
    with cuts.serving(cuts.script) as server:
        done = ask("calls", url=server.url, prompts=[f"{shape} whole"], stream=True, run_async=run_async)
    assert done["outcomes"] == [{"text": cuts.SHAPES[shape].text, "error": None, "own": True, "carried": None}]


@pytest.mark.parametrize("way", ["answers 503", down.REFUSED])
def test_when_the_server_is_down_a_thousand_calls_send_at_most_a_tenth_more(way):
    (figures,) = down.measure(ask, 1000, (way,))
    assert figures.kept, figures


@pytest.mark.parametrize("name", ["ours", "configured"])
def test_no_call_makes_two_generations_or_gets_anothers_text_or_fails_untyped(name):
    figures = weather.measure(
        lambda op, **values: child.answer(name, {"op": op, **values}), 300, stalls=0.0, skip_waits=True
    )
    assert figures.kept, figures
    assert figures.faulty > 40
    assert figures.requests > figures.calls + 20


@EACH_WAY
def test_no_attempt_comes_earlier_than_any_form_of_retry_after_asks(run_async):
    figures = early.measure(ask, 2, run_async=run_async, skip_waits=True)
    assert figures.kept, figures
    assert figures.attempts == 2 * early.REFUSALS * (len(early.FORMS) - 2)  # two forms ask for nothing


def test_streams_leave_nothing_behind():
    command = [sys.executable, "-W", "error", "-m", "bench.faults.child", "ours"]
    with Child("ours", command) as own:
        figures = memory.measure(own.ask, events=3000, streams=40)
    assert [one for one in figures if not one.kept] == []
