"""Secrets and texts that go in are in no line of the log, no error, no metric and no repr, whatever happens."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
from typing import TYPE_CHECKING

import msgspec
import pytest
from bench.endurance.canary_calls import CANARIES, GOOD, everything
from bench.endurance.canary_kit import leaks
from server_kit import in_process, says
from telemetry_kit import Clock, complete

from friendli_endpoint.config import Settings, TokenHash
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import EngineError
from friendli_endpoint.server.telemetry import Telemetry, configured_logging
from friendli_endpoint.server.telemetry.lines import FORMATS

if TYPE_CHECKING:
    import httpx2

    from friendli_endpoint.server.telemetry.lines import LogKind

FAILURES = (
    None,
    EngineError("the engine died"),
    ValueError(CANARIES.prompt),
    KeyError(CANARIES.output),
    RuntimeError([CANARIES.prompt, {"token": CANARIES.token}]),
)


def lived(kind: LogKind, failure: Exception | None) -> tuple[str, list[httpx2.Response]]:
    """All of that against a server whose engine may fail: the log, from debug level on, and the replies."""
    stream = io.StringIO()
    engine = FakeEngine(script=says(CANARIES.output))

    async def main() -> list[httpx2.Response]:
        token = TokenHash.parse(CANARIES.token)
        async with in_process(engine, admin_tokens=(token,)) as server:
            engine.fail_with = failure
            return await everything(server.client)

    with configured_logging(kind, stream, level=logging.DEBUG):
        replies = asyncio.run(main())
    return stream.getvalue(), replies


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("kind", FORMATS)
def test_no_canary_is_in_the_log_or_in_an_error_whatever_is_sent_and_however_it_ends(
    kind: LogKind, failure: Exception | None
) -> None:
    log, replies = lived(kind, failure)
    assert leaks(log) == []
    assert log
    wrong = [reply for reply in replies if reply.is_error]
    assert len({reply.status_code for reply in wrong}) >= 5
    assert [reply.text for reply in wrong if leaks(f"{reply.headers} {reply.text}")] == []
    metrics = replies[-1]
    assert leaks(metrics.text) == []
    if failure is None:
        assert sum(CANARIES.output in reply.text for reply in replies if reply.is_success) >= 2


def test_no_canary_is_in_a_repr_of_settings_or_of_what_is_recorded() -> None:
    hashed = TokenHash.parse(CANARIES.token)
    settings = msgspec.convert({"server": {}}, Settings)
    server = msgspec.structs.replace(settings.server, tokens=(hashed,), admin_tokens=(hashed,))
    telemetry = Telemetry(Clock())
    headers = [(name.lower().encode(), value.encode()) for name, value in GOOD.items()]
    record = telemetry.begin({"request_id": "req-1", "method": "POST", "headers": headers})
    complete(telemetry.clock, record)
    assert leaks(f"{hashed!r} {server!r} {record!r} {telemetry!r} {telemetry.tally!r}") == []


@pytest.mark.parametrize(("name", "canary"), list(CANARIES))
def test_the_search_finds_a_canary_in_every_form(name: str, canary: str) -> None:
    raw = canary.encode()
    hidden = {
        "text": f"a line with {canary[10:30].upper()} in it",
        "reversed text": canary[::-1],
        "hex": raw.hex().upper(),
        "base64": base64.b64encode(b"more before " + raw + b" and behind").decode(),
        "numbers": repr(list(raw)),
        "characters": repr(list(canary)),
    }
    for form, text in hidden.items():
        assert f"{name} as {form}" in leaks(text)


def test_what_may_be_shown_of_a_token_is_no_leak() -> None:
    assert leaks(f"a token {CANARIES.token[:12]}, a prompt of 30 characters") == []
