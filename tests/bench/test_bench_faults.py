"""The tools that break things: what they send, count and notice. Raw sockets and made-up clients stand for the SDKs."""

from __future__ import annotations

import socket
import time
from collections import Counter
from http.client import HTTPConnection, IncompleteRead
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from bench.faults import child, cuts, down, early, leaks, memory, report, vectors, weather
from bench.faults.answers import first_shape, second_shape
from bench.faults.plan import Extent
from bench.faults.server import Asked, Pause, Reset, Stall, refusing, serving

BODY = '{"model": "demo", "prompt": "%s"}'


def request(prompt: str) -> bytes:
    body = (BODY % prompt).encode()
    return b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=10)


def asked(prompt: str, attempt: int = 0, **headers: str) -> Asked:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked(named, (BODY % prompt).encode(), attempt, time.time())


# The server


def test_before_a_reset_everything_that_was_sent_arrives() -> None:
    with serving(lambda _: [b"x" * 100_000, Reset]) as server, connected(server.url) as sock:
        sock.sendall(request("hi"))
        assert len(sock.makefile("rb").read(100_000)) == 100_000
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_stall_lasts_until_the_client_hangs_up_and_attempts_are_counted_by_prompt() -> None:
    seen: list[tuple[str, int]] = []

    def script(one: Asked) -> list[object]:
        seen.append((one.prompt, one.attempt))
        return [b"begun", Stall] if one.prompt == "silent" else [Pause(0.0), b"whole"]

    with serving(script) as server:
        for prompt in ("silent", "other", "silent"):
            with connected(server.url) as sock:
                sock.sendall(request(prompt))
                assert sock.recv(10) == (b"begun" if prompt == "silent" else b"whole")
    assert seen == [("silent", 0), ("other", 0), ("silent", 1)]
    assert server.requests == 3


def test_a_connection_is_kept_for_the_next_request() -> None:
    with serving(lambda one: [one.prompt.encode()]) as server, connected(server.url) as sock:
        for prompt in (b"one", b"two"):
            sock.sendall(request(prompt.decode()))
            assert sock.recv(10) == prompt


def test_where_connections_are_refused_they_are() -> None:
    with refusing() as url, pytest.raises(ConnectionRefusedError):
        connected(url)


# Cut streams


@pytest.mark.parametrize("streamed", [first_shape(), second_shape()], ids=["first", "second"])
def test_the_text_before_an_offset_is_that_of_the_events_which_end_before_it(streamed) -> None:
    for offset in range(len(streamed.payload) + 1):
        whole = streamed.payload[:offset].count(b"\n\n")
        assert streamed.text_before(offset) == "".join(streamed.texts[:whole]), offset


@pytest.mark.parametrize("streamed", [first_shape(), second_shape()], ids=["first", "second"])
def test_offsets_are_spread_from_the_first_byte_to_the_last_before_the_end(streamed) -> None:
    end = len(b"".join(streamed.events[: streamed.closing]))
    assert streamed.offsets(10**6) == list(range(end))
    few = streamed.offsets(100)
    assert (few[0], len(few)) == (0, 100)
    assert {after - before for before, after in pairwise(few)} <= {end // 100, end // 100 + 1}


@pytest.mark.parametrize("shape", cuts.SHAPES)
@pytest.mark.parametrize("end", ["reset", "clean close"])
def test_a_cut_stream_is_sent_up_to_its_offset_and_ends_as_asked(shape, end) -> None:
    payload = cuts.SHAPES[shape].payload
    with serving(cuts.script) as server:
        for offset in cuts.SHAPES[shape].offsets(30):
            assert body_of(server.url, f"{shape} {offset} {end}") == (payload[:offset], end), offset


def body_of(url: str, prompt: str) -> tuple[bytes, str]:
    connection = HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=10)
    got = b""
    try:
        connection.request("POST", "/", BODY % prompt)
        answer = connection.getresponse()
        while piece := answer.read1(1000):
            got += piece
    except (ConnectionResetError, IncompleteRead):
        return got, "reset"
    finally:
        connection.close()
    return got, "clean close"


def test_a_client_that_ends_silently_or_with_half_an_event_is_found_out() -> None:
    def ask(_: str, *, prompts: list[str], **__: object) -> dict[str, object]:
        silent = {"text": "", "error": None, "own": True, "carried": None}
        wrong = {"text": "half", "error": "Error", "own": False, "carried": "half"}
        return {"outcomes": [silent, *[wrong] * (len(prompts) - 1)]}

    figures = cuts.measure(ask, Extent(10, 1, 1.0, 0, 0, 0, 0, 0), ("second",))
    assert {(one.reported, one.own, one.exact, one.carried, one.kept) for one in figures} == {(9, 0, 1, 0, False)}


# Vectors


def test_every_way_of_feeding_gives_all_the_bytes_and_every_cut_is_among_them() -> None:
    content = b"data: abc\n\n"
    fed = vectors.ways(content)
    assert {b"".join(way) for way in fed} == {content}
    assert [len(way[0]) for way in fed] == [11, 1, 2, 7, *range(1, 11)]


def test_a_decoder_is_wrong_where_one_way_of_feeding_is() -> None:
    def ask(_: str, *, cases: list[list[str]]) -> list[object]:
        return [
            child.answer("ours", {"op": "decode", "cases": [case]})[0] if len(case) < 20 else "ValueError"
            for case in cases
        ]

    figures = vectors.measure(ask)
    assert 0 < figures.vectors_right < figures.vectors
    assert figures.cases_right == figures.cases - sum(
        len(way) >= 20 for content, _ in vectors.known().values() for way in vectors.ways(content)
    )


# Weather


def test_the_weather_is_the_same_for_everyone_and_a_fifth_of_it_is_bad() -> None:
    def drawn(seed: int, attempt: int) -> list[str | None]:
        return [weather.drawn(seed, f"call {number}", attempt, weather.STALLS) for number in range(5000)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(2, 0)
    assert drawn(1, 0) != drawn(1, 1)
    counts = Counter(drawn(1, 0))
    assert 0.18 < 1 - counts[None] / 5000 < 0.22
    assert set(counts) == {None, weather.STALLED, *weather.BEFORE, *weather.AFTER}


def test_the_origin_generates_once_for_each_key_and_always_without_one() -> None:
    origin = weather.Origin(1)
    assert origin.generate(asked("a", idempotency_key="k")) == origin.generate(asked("a", 1, idempotency_key="k"))
    assert (origin.duplicates, origin.keyless) == (0, 0)
    for attempt in range(3):
        origin.generate(asked("b", attempt))
    assert (origin.duplicates, origin.keyless) == (2, 3)


def test_a_key_that_two_calls_share_gives_one_of_them_a_wrong_text() -> None:
    origin = weather.Origin(1)
    origin.generate(asked("a", idempotency_key="k"))
    assert origin.generate(asked("b", idempotency_key="k")) != weather.expected("b")


# Retry-After


def test_each_call_that_comes_back_at_once_is_early_with_every_form_that_asks_for_time() -> None:
    strict = early.Strict()
    for form in early.FORMS:
        for attempt in range(early.REFUSALS + 1):
            list(strict.script(asked(f"0 {form}", attempt)))
    patient = {"zero", "negative", "no number, no date"}
    assert strict.early == Counter(dict.fromkeys(early.FORMS.keys() - patient, early.REFUSALS))
    assert strict.attempts == early.REFUSALS * (len(early.FORMS) - 2)


def test_a_call_that_comes_back_in_time_is_not_early() -> None:
    strict = early.Strict()
    with child.skipped_waits():
        for form in early.FORMS:
            list(strict.script(asked(f"0 {form}")))
            time.sleep(early.SKEW_S + 3)
            list(strict.script(asked(f"0 {form}", 1)))
    assert strict.attempts == len(early.FORMS) - 2
    assert not +strict.early


@pytest.mark.parametrize("form", [name for name in early.FORMS if "date" in name and "no date" not in name])
def test_dates_lie_one_to_two_seconds_ahead_of_the_servers_clock(form) -> None:
    now = 1_700_000_000.25
    asking = early.FORMS[form](now)
    assert asking.until is not None
    assert 1.0 <= asking.until - now <= 2.0


# The child


def test_skipped_waits_take_no_time_but_move_the_clocks() -> None:
    before = time.monotonic(), time.time()
    with child.skipped_waits():
        time.sleep(10_000)
        assert time.monotonic() - before[0] >= 10_000
        assert time.time() - before[1] >= 10_000
    assert time.monotonic() - before[0] < 10_000


def test_a_server_that_is_down_is_asked_as_often_as_the_client_tries() -> None:
    def ask(_: str, *, url: str, prompts: list[str], **__: object) -> dict[str, object]:
        for prompt in prompts * 3:
            with connected(url) as sock:
                sock.sendall(request(prompt))
                sock.recv(1)
        return {"outcomes": [{"error": "Error", "own": True}] * len(prompts), "connects": 0}

    (figures,) = down.measure(ask, 4, ("answers 503",))
    assert (figures.amplification, figures.kept) == (3.0, False)


class Hoarder:
    """A client that keeps every event that it gave."""

    own = Exception

    def __init__(self, _: str) -> None:
        self.kept: list[bytes] = []

    def opened(self, prompt: str, _: object):
        for number in range(int(prompt.split()[1])):
            event = b"%d" % number * 100
            self.kept.append(event)
            yield event

    def text_of(self, _: object) -> str:
        return ""

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def test_memory_that_grows_is_found() -> None:
    long = leaks.long_stream(Hoarder, url="", events=1000, run_async=False)
    assert long["held"] > 300
    assert long["left"] > 300_000
    many = leaks.many_streams(Hoarder, url="", streams=50, tokens=20, end="read", run_async=False)
    assert many["bytes"] > 25 * 20 * 100
    assert not memory.ManyFigures(False, "read", 50, **many).kept


# The report


def test_the_tables_say_what_was_counted() -> None:
    cut = SimpleNamespace(shape="second", end="stall", cuts=5, reported=4, own=3, exact=2)
    both = [SimpleNamespace(**vars(cut), run_async=False), SimpleNamespace(**vars(cut), run_async=True)]
    assert "| openai | second | stall | **4 of 5** (3) | **4 of 5** (3) | 2 of 5 | 2 of 5 |" in report.cuts(
        {"openai": both}
    )
    storm = weather.WeatherFigures(1000, 1200, 240, 7, 0, 0, 9, 3, 8)
    assert "| openai | 1,000 | 1,200 | **7** | 0 | 9 | 3 | 1 |" in report.weather({"openai": [storm]})
    late = early.EarlyFigures(False, 14, 24, Counter(zero=2), 1)
    assert "| openai | **2** of 24 | **2** of 24 | 2 of 28 | zero |" in report.early({"openai": [late, late]})
