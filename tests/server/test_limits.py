"""What a caller may use, refused before any work and in one shape."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from server_kit import Server, body, events, play, play_on_socket, says, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import EngineError, EngineFullError
from friendli_endpoint.server.app import COMPLETIONS_PATH


def _check_shape(reply) -> dict[str, object]:
    error = reply.json()["error"]
    assert list(error) == ["message", "type", "field", "request_id"]
    assert error["request_id"] == reply.headers["x-request-id"]
    assert re.fullmatch("req-[0-9a-f]{32}", error["request_id"])
    assert reply.headers["content-type"] == "application/json"
    return error


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/dedicated/v1/completions/", 404, "not_found"),
        ("GET", COMPLETIONS_PATH, 405, "method_not_allowed"),
        ("DELETE", COMPLETIONS_PATH, 405, "method_not_allowed"),
        ("OPTIONS", COMPLETIONS_PATH, 405, "method_not_allowed"),
        ("TRACE", COMPLETIONS_PATH, 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("POST", COMPLETIONS_PATH, 415, "invalid_request"),
    ],
)
def test_every_refusal_has_the_one_shape(method: str, path: str, status: int, kind: str) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.client.request(method, path)
        assert reply.status_code == status
        assert _check_shape(reply)["type"] == kind
        assert ("allow" in reply.headers) is (status == 405)

    play(scenario)


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonx", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_of_another_type_is_415(kind: str) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post_bytes(b"{}", **{"Content-Type": kind})
        assert reply.status_code == 415
        assert "Content-Type: application/json" in _check_shape(reply)["message"]

    play(scenario)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"])
def test_json_may_be_named_with_parameters(kind: str) -> None:
    async def scenario(server: Server) -> None:
        assert (await server.post(headers={"Content-Type": kind})).status_code == 200

    play(scenario)


def test_a_compressed_body_is_415() -> None:
    async def scenario(server: Server) -> None:
        for coding in ("gzip", "br", "deflate, gzip"):
            assert (await server.post_bytes(b"{}", **{"Content-Encoding": coding})).status_code == 415

    play(scenario)


def test_a_body_beyond_the_limit_is_413_by_its_header_and_by_its_bytes() -> None:
    async def parts():
        for _ in range(4):
            yield b'{"model":' + b" " * 500

    async def scenario(server: Server) -> None:
        _check_shape(reply := await server.post_bytes(b" " * 1001))
        assert reply.status_code == 413
        headers = {"Content-Type": "application/json"}
        reply = await server.client.post(COMPLETIONS_PATH, content=parts(), headers=headers)
        assert reply.status_code == 413
        assert reply.headers["connection"] == "close"
        assert (await server.post()).status_code == 200

    play_on_socket(scenario, max_body_bytes=1000)


def test_a_body_that_comes_too_slowly_is_408() -> None:
    async def scenario(server: Server) -> None:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = f"POST {COMPLETIONS_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 50\r\n\r\n{{".encode())
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b'"type":"timeout"' in reply
        writer.close()

    play_on_socket(scenario, body_seconds=0.05)


@pytest.mark.parametrize("headers", [{f"x-{n}": "1" for n in range(101)}, {"x": "y" * 17_000}], ids=["many", "large"])
def test_too_many_or_too_large_headers_are_431(headers: dict[str, str]) -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(headers=headers)
        assert reply.status_code == 431
        _check_shape(reply)

    play_on_socket(scenario)


def test_a_full_server_answers_429_at_once_and_health_still_answers() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        held = [asyncio.create_task(server.post()) for _ in range(2)]
        await until(lambda: len(server.engine.live) == 2)
        reply = await server.post()
        assert reply.status_code == 429
        assert int(reply.headers["retry-after"]) >= 1
        assert _check_shape(reply)["type"] == "overloaded"
        assert (await server.client.get("/health")).status_code == 200
        server.engine.resume()
        assert [(await task).status_code for task in held] == [200, 200]
        assert (await server.post()).status_code == 200

    play_on_socket(scenario, max_requests=2)


def test_a_refused_body_gives_its_place_back() -> None:
    async def scenario(server: Server) -> None:
        for _ in range(3):
            assert (await server.post(n=0)).status_code == 422
        assert (await server.post()).status_code == 200

    play(scenario, max_requests=1)


def test_an_engine_that_restarts_is_not_ready_but_requests_are_held_for_it() -> None:
    async def scenario(server: Server) -> None:
        server.engine.ready = False
        server.engine.stall()
        asked = asyncio.create_task(server.post())
        reply = await server.client.get("/ready")
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert _check_shape(reply)["type"] == "unavailable"
        assert (await server.client.get("/health")).status_code == 200
        await until(lambda: bool(server.engine.live))
        server.engine.resume()
        assert (await asked).status_code == 200

    play(scenario)


@pytest.mark.parametrize(
    ("error", "status"),
    [(EngineError("the engine has ended"), 503), (EngineFullError("no blocks left", retry_after=2.5), 429)],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_an_engine_that_fails_before_the_first_token_has_a_status(error: Exception, status: int, stream: bool) -> None:
    async def scenario(server: Server) -> None:
        server.engine.fail_with = error
        reply = await server.post(stream=stream)
        assert reply.status_code == status
        assert "retry-after" in reply.headers
        assert _check_shape(reply)["message"] == str(error)

    play(scenario)


def test_an_engine_that_fails_in_a_stream_ends_it_with_an_error_event() -> None:
    async def scenario(server: Server) -> None:
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True, max_tokens=300)) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            server.engine.fail_with = EngineError("the engine has ended")
            *_, last = [line async for line in lines if line]
        assert '"type":"unavailable"' in last
        assert '"message":"the engine has ended"' in last
        assert reply.headers["x-request-id"] in last
        assert "[DONE]" not in last

    play_on_socket(scenario, FakeEngine(script=says("x" * 300), step_seconds=0.005))


def test_an_error_that_nobody_foresaw_is_500_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: Server) -> None:
        server.engine.fail_with = ZeroDivisionError("secret")
        reply = await server.post(prompt="a private prompt")
        assert reply.status_code == 500
        assert "secret" not in reply.text
        assert _check_shape(reply)["request_id"] in caplog.text
        assert "a private prompt" not in caplog.text

    play(scenario)


def test_comments_keep_a_stream_alive_until_its_first_event() -> None:
    async def scenario(server: Server) -> None:
        server.engine.stall()
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(stream=True)) as reply:
            lines = reply.aiter_lines()
            assert [await anext(lines) for _ in range(4)] == [": waiting", "", ": waiting", ""]
            server.engine.resume()
            rest = [line async for line in lines]
        assert len(events("\n".join(rest))) == 3
        after = rest[next(n for n, line in enumerate(rest) if line.startswith("data")) :]
        assert not any(line.startswith(":") for line in after)

    play_on_socket(scenario, FakeEngine(script=says("Ok")), heartbeat_seconds=0.02)


def test_requests_with_the_same_given_id_stay_apart() -> None:
    async def scenario(server: Server) -> None:
        replies = await asyncio.gather(*[server.post(headers={"X-Request-Id": "same"}, n=2) for _ in range(4)])
        assert {reply.status_code for reply in replies} == {200}
        assert len({reply.headers["x-request-id"] for reply in replies}) == 4
        assert len({request.id for request in server.engine.submitted}) == 4

    play_on_socket(scenario)
