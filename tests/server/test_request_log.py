"""Lines of the log: one for each request, true, unforgeable, bounded, and never in the way of who writes them."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from telemetry_kit import PATH, Clock, answer, application, ask, complete, drive

from friendli_endpoint.errors import EngineFullError, HubError, RequestError
from friendli_endpoint.server import audit
from friendli_endpoint.server.telemetry import Sink, Telemetry, configured_logging
from friendli_endpoint.server.telemetry.lines import FORMATS
from friendli_endpoint.server.telemetry.request_log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Send

    from friendli_endpoint.server.telemetry import RequestRecord
    from friendli_endpoint.server.telemetry.lines import LogKind

# Each of these begins another line somewhere, or moves a terminal's cursor.
TRICKS = "a\nb\rc\x1b[2Jd\u2028e\u2029f\x85g\x0bh\x0ci\x00j\x7fk\x9bl\u202em"


def logged(work: Callable[[], object], kind: LogKind = "json", level: int = logging.INFO) -> str:
    """What is written while `work` runs."""
    stream = io.StringIO()
    with configured_logging(kind, stream, level=level):
        work()
    return stream.getvalue()


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def completing(clock: Clock, adapter: str | None = "pirate") -> ASGIApp:
    async def work(record: RequestRecord, send: Send) -> None:
        complete(clock, record, adapter)
        record.stream = True
        clock.passes(0.25)
        await answer(send)

    return application(work, Telemetry(clock))


def raising(error: Exception) -> ASGIApp:
    async def work(record: RequestRecord, send: Send) -> None:
        record.asked()
        raise error

    return application(work, Telemetry())


def test_a_completion_s_line_tells_who_where_how_much_and_how_long() -> None:
    app = completing(Clock())
    (line,) = objects(logged(lambda: ask(app, headers={"X-Request-Id": "mine-1"})))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert re.fullmatch(r"req-[0-9a-f]{32}", str(line.pop("request_id")))
    assert line == {
        "level": "info",
        "logger": "friendli.request",
        "message": f"POST {PATH}",
        "client_id": "mine-1",
        "endpoint": "demo",
        "adapter": "pirate",
        "method": "POST",
        "route": PATH,
        "status": 200,
        "outcome": "finished",
        "stream": True,
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "completion_tokens": 6,
        "ttft_ms": 750.0,
        "queue_ms": 500.0,
        "ms": 1500.0,
    }


def test_the_text_says_the_same_as_the_json() -> None:
    (line,) = logged(lambda: ask(completing(Clock())), "text").splitlines()
    assert re.match(rf"\S+Z INFO    friendli\.request: POST {re.escape(PATH)} request_id=req-\w+ ", line)
    assert line.endswith(
        f"endpoint=demo adapter=pirate method=POST route={PATH} status=200 outcome=finished stream=True "
        "prompt_tokens=100 cached_tokens=40 completion_tokens=6 ttft_ms=750.0 queue_ms=500.0 ms=1500.0"
    )


def test_a_refusal_tells_its_reason_and_the_status_that_the_client_saw() -> None:
    (line,) = objects(logged(lambda: ask(raising(EngineFullError("full")))))
    assert (line["status"], line["outcome"], line["reason"]) == (429, "refused", "overloaded")


def test_who_leaves_before_the_reply_has_no_status() -> None:
    from friendli_endpoint.server.limits import ClientLeftError

    (line,) = objects(logged(lambda: drive(raising(ClientLeftError()))))
    assert line["outcome"] == "left"
    assert "status" not in line


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 0), (logging.DEBUG, 2)])
def test_what_only_watches_the_server_is_told_at_debug_level(level: int, lines: int) -> None:
    app = completing(Clock())

    def watch() -> None:
        ask(app, "/health", "GET")
        ask(app, "/metrics", "GET")

    assert len(objects(logged(watch, level=level))) == lines


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_that_others_wrote_begins_a_line_or_moves_a_cursor(kind: LogKind) -> None:
    def everything() -> None:
        app = completing(Clock(), adapter=TRICKS)
        ask(app, "/complete/" + quote(TRICKS), headers={"X-Request-Id": "a\x1bb\tc"})
        scope = {"method": "GET", "path": TRICKS, "client": (TRICKS, 1), "request_id": "req-1"}
        audit.refused_page(scope, origin=TRICKS)
        logging.getLogger("friendli_endpoint.engine").error("an adapter called %s", TRICKS)
        logging.getLogger("elsewhere").warning(TRICKS)

    text = logged(everything, kind)
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 4
    assert all(line.isascii() and line.isprintable() for line in lines)
    starts = r'\{"time": "2' if kind == "json" else r"2\d\d\d-"
    assert all(re.match(starts, line) for line in lines)


def test_lines_of_the_audit_are_objects_like_all_others() -> None:
    scope = {"method": "GET", "path": "/x", "client": ("10.0.0.1", 1), "request_id": "req-1"}
    (line,) = objects(logged(lambda: audit.refused_token(scope, "none")))
    assert {"refused": "token", "reason": "none", "path": "/x", "level": "warning"}.items() <= line.items()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_line_is_not_longer_than_what_it_may_hold(kind: LogKind) -> None:
    app = completing(Clock(), adapter="x" * 100_000)

    def everything() -> None:
        ask(app, headers={"X-Request-Id": "y" * 10_000})
        logging.getLogger("friendli_endpoint").error(
            "z" * 100_000, extra={"fields": {f"f{n}": "f" for n in range(999)}}
        )

    text = logged(everything, kind)
    assert max(map(len, text.splitlines())) < 4_000


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("error", [ValueError("the prompt"), KeyError("the prompt"), RequestError("the prompt")])
def test_a_trace_shows_where_and_of_what_type_but_not_what_an_error_quotes(kind: LogKind, error: Exception) -> None:
    def fail() -> None:
        try:
            try:
                raise error
            except Exception as first:
                raise RuntimeError(str(first)) from first
        except RuntimeError:
            logging.getLogger("friendli_endpoint").exception("it failed")

    text = logged(fail, kind)
    assert "the prompt" not in text
    assert text.index(type(error).__name__) < text.index("builtins.RuntimeError")
    assert "test_request_log.py" in text


def test_what_our_own_errors_and_slips_say_is_told() -> None:
    def fail() -> None:
        for error in (HubError("no such model"), AttributeError("no attribute 'x'")):
            logging.getLogger("friendli_endpoint").error("it failed", exc_info=error)

    traces = [line["trace"] for line in objects(logged(fail))]
    assert traces == ["friendli_endpoint.errors.HubError: no such model", "builtins.AttributeError: no attribute 'x'"]


def test_a_forgotten_task_is_noted_without_what_it_ended_with() -> None:
    def forget() -> None:
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task ValueError('prompt')>")

    (line,) = objects(logged(forget))
    assert line["message"] == "Task exception was never retrieved"


class Stuck(io.StringIO):
    """A pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.read = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.read.wait()
        return super().write(text)


def test_a_reader_that_is_stuck_stops_nobody_and_what_finds_no_room_is_counted() -> None:
    stream = Stuck()
    sink = Sink(stream, most=3)
    record = logging.makeLogRecord({"msg": "a line", "name": LOGGER})
    sink.emit(record)
    assert stream.reached.wait(20)
    for _ in range(10):
        sink.emit(record)
    assert sink.dropped == 7
    stream.read.set()
    sink.close()
    assert stream.getvalue() == "a line\n" * 4


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("fields", [{"msg": "a line"}, {"msg": "%d", "args": ("no number",)}, {"name": audit.LOGGER}])
def test_what_cannot_be_written_is_counted_and_raises_nothing(fields: dict[str, object]) -> None:
    sink = Sink(Broken())
    sink.handle(logging.makeLogRecord({"name": LOGGER} | fields))
    sink.close()
    assert sink.dropped == 1


def test_loggers_are_left_as_they_were_found() -> None:
    names = ("", "friendli", "friendli_endpoint")
    before = [(logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names]
    logged(lambda: None)
    assert [(logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "log"]


def test_the_line_does_not_depend_on_who_else_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    ask(completing(Clock()))
    assert [record.getMessage() for record in caplog.records if record.name == LOGGER] == [f"POST {PATH}"]
