"""Clients of others, each in an environment of its own, and the endpoints that they call."""

from __future__ import annotations

import json
import os
import select
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2
from bench.environments import python_with

from friendli_endpoint.config import load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import EngineFullError
from friendli_endpoint.server.app import COMPLETIONS_PATH, USAGE_PATH
from friendli_endpoint.server.run import embedded
from server.server_kit import ADAPTERS, deployment_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from friendli_endpoint.engine.vocabulary import Request, TokenEvent

HERE = Path(__file__).parent
LATEST = 60  # seconds for a call
WAYS = ("complete", "complete_async", "stream", "stream_async")


@dataclass(frozen=True)
class Client:
    """A release of a client: `name` is its requirement file, `caller` the script that makes its calls.

    `fields` are what it knows of a whole choice. One of the `first` shape reads the events of its time. `errors` has
    the types that it raises for 401, 404, 422 and 429.
    """

    name: str
    caller: str
    fields: tuple[str, ...] = ("index", "text", "tokens", "seed", "finish_reason", "logprobs")
    errors: tuple[str, str, str, str] = ("friendli.SDKError",) * 4
    first: bool = False

    def python(self) -> Path:
        return python_with(f"client-{self.name}", HERE / "environments" / f"{self.name}.txt")

    def error(self, status: int) -> str:
        """The type that it raises for `status`."""
        return self.errors[(401, 404, 422, 429).index(status)]


_FIRST_FIELDS = ("index", "text", "tokens", "seed")
_OPENAI_ERRORS = ("AuthenticationError", "NotFoundError", "UnprocessableEntityError", "RateLimitError")
FIRST = Client("friendli-0.3.0", "friendli_first.py", _FIRST_FIELDS, first=True)
SPLIT = Client("friendli-0.3.21", "friendli_split.py", _FIRST_FIELDS, first=True)
NEWEST = Client("friendli", "friendli_newest.py")
OPENAI = Client("openai", "openai_newest.py", errors=tuple(f"openai.{name}" for name in _OPENAI_ERRORS))
CLIENTS = (FIRST, SPLIT, NEWEST, OPENAI)


class Place(NamedTuple):
    """An endpoint called "demo", a token for it, and what makes plain requests with it."""

    url: str
    token: str
    http: httpx2.Client

    def plain(self, body: dict[str, object]) -> dict[str, object]:
        """What a request gives that no client makes."""
        return self.http.post(COMPLETIONS_PATH, json=body).raise_for_status().json()

    def used_by(self, team: str) -> dict[str, int]:
        """What the ledger has for a team so far."""
        return self.http.get(USAGE_PATH, params={"team": team}).raise_for_status().json()["total"]


@contextmanager
def reached(url: str, token: str) -> Iterator[Place]:
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
        yield Place(url, token, http)


class Caller:
    """A client's process, which makes one call after another."""

    def __init__(self, client: Client, process: subprocess.Popen[str]) -> None:
        self.client = client
        self._process = process

    def call(
        self, way: str, place: Place, body: dict[str, object], *, team: str | None = None, retry: bool = False
    ) -> dict[str, object]:
        """What the client gives: its `result`, its `events`, or its `error`. Without `retry` it asks once."""
        call = {"way": way, "url": place.url, "token": place.token, "body": body, "team": team, "retry": retry}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], LATEST)[0]:
            self._process.kill()
            raise TimeoutError(f"{self.client.name} gives nothing")
        return json.loads(self._process.stdout.readline())


@contextmanager
def calling(client: Client, folder: Path) -> Iterator[Caller]:
    """The client's process, in the empty `folder` and without any setting of ours."""
    command = [client.python(), "-E", "-s", HERE / "callers" / client.caller]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:  # at the end closes its input, which ends it
        yield Caller(client, process)


class Narrator(FakeEngine):
    """Tells what it was asked: a text of prompt, seed and adapter. Has no room for the next `refusals` requests."""

    def __init__(self) -> None:
        super().__init__(script=_tale)
        self.refusals = 0

    async def submit(self, request: Request) -> AsyncGenerator[TokenEvent]:
        if self.refusals:
            self.refusals -= 1
            raise EngineFullError("There is no room now.")
        async for event in super().submit(request):
            yield event


def _tale(request: Request, choice: int) -> bytes:
    teller = "Arr" if request.adapter else "Well"
    prompt = bytes(request.prompt).decode()
    return f"{teller}, a café № {request.seeds[choice] % 1000} heard {prompt!r}. The end.".encode()


@contextmanager
def serving(engine: FakeEngine) -> Iterator[Place]:
    """A real server on a free port; "demo:route" is an adapter of it."""
    load = lambda _settings, _progress: (deployment_of(engine),)  # noqa: E731
    with embedded(load_settings(), load=load) as server, reached(server.base_url, server.token) as place:
        place.http.put(f"{ADAPTERS}/route", json={"source": "/adapters/any"}).raise_for_status()
        yield place
