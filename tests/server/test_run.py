"""A server's life: it comes up where it says, ends when told, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from server_kit import (
    ADAPTERS,
    Server,
    body,
    byte_tokenizer,
    deployment_of,
    events,
    on_socket,
    play_on_socket,
    says,
    service_with,
    settings,
    until,
)

from friendli_endpoint.config import Settings, load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import AdapterError, ConfigError, HubError, ModelError
from friendli_endpoint.server.app import COMPLETIONS_PATH, create_app
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.listen import listen
from friendli_endpoint.server.loading import load as load_deployment
from friendli_endpoint.server.routes import ConfiguredAdapter
from friendli_endpoint.server.run import Load, curl_line, embedded, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(__file__).with_name("serve_fake.py")


def _loading(engine: FakeEngine) -> Load:
    return lambda settings, progress: (Deployment(settings.endpoint[0], engine, byte_tokenizer()),)


@pytest.fixture
def left() -> Callable[[], set[threading.Thread]]:
    """What tells the threads that a test has begun and not ended; other rooms' servers may live through a session."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process on the fake engine, and its address."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, str(PROGRAM)], text=True, **pipes)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    yield process, url
    process.kill()
    process.communicate()


def _stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_with_status_0(
    server: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, url = server
    assert httpx2.get(f"{url}/ready").status_code == 200
    assert _stop(process, number) == (0, "")


def test_what_runs_is_finished_after_sigterm_while_new_requests_are_sent_away(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = server
    with httpx2.stream("POST", url + COMPLETIONS_PATH, json=body(max_tokens=200, stream=True)) as reply:
        lines = reply.iter_lines()
        text = next(lines) + "\n"
        process.send_signal(signal.SIGTERM)
        refused = _first_refusal(url)
        assert refused.headers["retry-after"] == "5"
        assert "stopping" in refused.json()["error"]["message"]
        text += "\n".join(lines)
    assert len(events(text)) == 201
    assert "ERROR" not in process.communicate(timeout=30)[1]
    assert process.returncode == 0


def _first_refusal(url: str) -> httpx2.Response:
    """The signal has been sent, but not necessarily been seen yet."""
    while True:
        reply = httpx2.get(f"{url}/ready")
        if reply.status_code != 200:
            return reply


def test_a_second_signal_does_not_wait(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    with httpx2.stream("POST", url + COMPLETIONS_PATH, json=body(max_tokens=400, stream=True)) as reply:
        lines = reply.iter_lines()
        next(lines)
        process.send_signal(signal.SIGTERM)
        _first_refusal(url)
        process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    assert '"error"' in rest[-1]
    assert "ERROR" not in process.communicate(timeout=30)[1]
    assert process.returncode == 0


def test_the_printed_line_of_curl_works(server: tuple[subprocess.Popen[str], str]) -> None:
    process, _ = server
    assert process.stdout is not None
    command = process.stdout.readline()
    assert command.startswith("curl -N http://127.0.0.1:")
    reply = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert events(reply.stdout)


def test_the_line_of_curl_takes_the_token_from_the_environment() -> None:
    words = shlex.split(curl_line("http://127.0.0.1:1", "demo", needs_token=True))
    assert "Authorization: Bearer $FRIENDLI_TOKEN" in words
    assert json.loads(words[-1])["model"] == "demo"


def test_a_taken_port_is_told_before_anything_is_loaded() -> None:
    def load(settings: Settings, progress: object) -> Deployment:
        raise AssertionError("loaded")

    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Port {port} on 127\.0\.0\.1 is taken; choose another with --port"):
            serve(load_settings(server={"port": port}), load=load)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ConfigError, match="not an address"):
        listen(host, 0)


def test_a_model_that_cannot_be_loaded_ends_the_start_with_its_sentence(
    left: Callable[[], set[threading.Thread]],
) -> None:
    engine = FakeEngine()
    engine.fail_with = ModelError("The file is cut short.")
    with (
        pytest.raises(ModelError, match="cut short"),
        embedded(load_settings(), load=_loading(engine)),
    ):
        pass
    with pytest.raises(ModelError, match="cut short"):
        serve(load_settings(server={"port": 0}), load=_loading(engine))
    assert not left()


def test_an_embedded_server_takes_its_own_token_alone_and_is_gone_afterwards(
    left: Callable[[], set[threading.Thread]],
) -> None:
    engine = FakeEngine(script=says("Ok"))
    chosen = load_settings(server={"host": "0.0.0.0", "port": 9, "tokens": ["flp_other"]})  # noqa: S104
    with embedded(chosen, load=_loading(engine)) as server:
        url = server.base_url + COMPLETIONS_PATH
        assert httpx2.post(url, json=body()).status_code == 401
        assert httpx2.post(url, json=body(), headers={"Authorization": "Bearer flp_other"}).status_code == 401
        reply = httpx2.post(url, json=body(), headers={"Authorization": f"Bearer {server.token}"})
        assert reply.json()["choices"][0]["text"] == "Ok"
    assert not engine.ready
    with pytest.raises(httpx2.ConnectError):
        httpx2.post(url, json=body())
    assert not left()


def test_an_embedded_server_ends_with_the_program_around_it() -> None:
    engine = FakeEngine(script=says("x" * 400), step_seconds=0.01)

    def interrupted() -> None:
        with embedded(load_settings(), load=_loading(engine)) as server:
            headers = {"Authorization": f"Bearer {server.token}"}
            content = body(max_tokens=400, stream=True)
            with httpx2.stream("POST", server.base_url + COMPLETIONS_PATH, json=content, headers=headers) as reply:
                next(reply.iter_lines())
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not engine.live


def test_configured_adapters_are_there_before_the_server_is_ready() -> None:
    async def main() -> None:
        engine = FakeEngine()
        engine.stall_adapters()
        adapters = [ConfiguredAdapter("pirate", "org/pirate", Path("/cache/pirate"))]
        deployment = deployment_of(engine, adapters=adapters)
        service = service_with(deployment, settings())
        starting = asyncio.create_task(service.endpoints.start())
        await until(lambda: bool(engine.adding))
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(service)))
        async with client:
            for path, content in (
                ("/ready", None),
                (COMPLETIONS_PATH, body()),
                (COMPLETIONS_PATH, body(model="demo:x")),
            ):
                method = "GET" if content is None else "POST"
                assert (await client.request(method, f"http://localhost{path}", json=content)).status_code == 503
            engine.resume_adapters()
            await starting
            assert (await client.get("http://localhost/ready")).status_code == 200
            assert (await client.get(f"http://localhost{ADAPTERS}/pirate")).json()["source"] == "org/pirate"
        assert list(engine.adapters.values()) == ["/cache/pirate"]

    asyncio.run(main())


def test_an_adapter_that_the_engine_refuses_ends_the_start_with_its_route() -> None:
    engine = FakeEngine()
    engine.refuse_adapters_with = AdapterError("use_dora is not supported.")
    adapters = [ConfiguredAdapter("pirate", "./p", Path("p"))]
    with (
        pytest.raises(AdapterError, match=r"adapter 'pirate' \(\./p\): use_dora is not supported"),
        embedded(load_settings(), load=lambda *_: (deployment_of(engine, adapters=adapters),)),
    ):
        pass
    assert not engine.ready


@pytest.mark.parametrize("error", [HubError, AdapterError])
def test_an_adapter_that_is_not_there_is_told_before_a_model_is_looked_for(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(source: str, *, progress: object = None) -> Path:
        if source == "./nothing":
            raise error("there is nothing at ./nothing")
        return Path(source)

    monkeypatch.setattr("friendli_endpoint.hub.resolve_adapter", find, raising=False)
    chosen = load_settings(endpoint={"model": "no-such-model", "adapters": {"a": "./a", "pirate": "./nothing"}})
    with pytest.raises(error, match=r"adapter 'pirate': there is nothing at \./nothing"):
        load_deployment(chosen)


def test_an_embedded_servers_token_is_an_admins() -> None:
    engine = FakeEngine()
    with embedded(load_settings(server={"admin_tokens": ["flp_other"]}), load=_loading(engine)) as server:
        url, own = server.base_url + ADAPTERS, {"Authorization": f"Bearer {server.token}"}
        assert httpx2.get(url, headers=own).json()["data"] == []
        assert httpx2.get(url, headers={"Authorization": "Bearer flp_other"}).status_code == 401


def test_health_answers_while_the_engine_loads() -> None:
    class SlowEngine(FakeEngine):
        async def start(self) -> None:
            await loaded.wait()
            await super().start()

    loaded = asyncio.Event()

    async def main() -> None:
        engine = SlowEngine()
        begun = asyncio.create_task(_enter(engine))
        await until(lambda: bool(ports))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/ready")).status_code == 503
            assert (await client.post(COMPLETIONS_PATH, json=body())).status_code == 503
            loaded.set()
            await begun

    ports: list[int] = []

    async def _enter(engine: FakeEngine) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ports.append(port)
        async with on_socket(engine, port=port) as server:
            assert (await server.client.get("/ready")).status_code == 200

    asyncio.run(main())


def test_stopping_while_the_engine_loads_ends_at_once() -> None:
    class EndlessEngine(FakeEngine):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        from friendli_endpoint.server.host import Stop, host

        stop = Stop()
        with listen("127.0.0.1", 0) as listener:
            deployment = Deployment("demo", EndlessEngine(), byte_tokenizer())
            hosting = asyncio.create_task(host(service_with(deployment, settings()), listener, stop, lambda: None))
            await asyncio.sleep(0)
            stop.ask()
            await hosting

    asyncio.run(main())


def test_a_drain_beyond_its_time_ends_streams_with_an_error_event() -> None:
    async def scenario(server: Server) -> None:
        async with server.client.stream("POST", COMPLETIONS_PATH, json=body(max_tokens=300, stream=True)) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            server.stop.ask()
            rest = [line async for line in lines if line]
        assert '"error"' in rest[-1]

    engine = FakeEngine(script=says("x" * 300), step_seconds=0.02)
    play_on_socket(scenario, engine, drain_seconds=0.05)
