"""The clients, each behind the same three methods; only the one that is asked for is imported.

`stream` and `stream_async` read a whole stream of `tokens` events and touch each event's text, as a program would;
`call` makes one call without a stream.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Protocol

ANYONE = "none"


class Subject(Protocol):
    version: str

    def stream(self, tokens: int) -> int:
        """The characters received."""

    async def stream_async(self, tokens: int) -> int:
        """The characters received."""

    def call(self) -> int:
        """The characters received."""


class Ours:
    def __init__(self, url: str) -> None:
        from friendli import AsyncFriendli, SyncFriendli

        self.version = version("friendli")
        self._sync = SyncFriendli(token=ANYONE, server_url=url).dedicated.completions
        self._async = AsyncFriendli(token=ANYONE, server_url=url).dedicated.completions

    def stream(self, tokens: int) -> int:
        length = 0
        for event in self._sync.stream(model="demo", prompt="hello", max_tokens=tokens):
            if event.data.event == "token_sampled":
                length += len(event.data.text)
        return length

    async def stream_async(self, tokens: int) -> int:
        length = 0
        async for event in await self._async.stream_async(model="demo", prompt="hello", max_tokens=tokens):
            if event.data.event == "token_sampled":
                length += len(event.data.text)
        return length

    def call(self) -> int:
        return len(self._sync.complete(model="demo", prompt="hello", max_tokens=32).choices[0].text)


class OpenAI:
    def __init__(self, url: str) -> None:
        import openai

        self.version = openai.__version__
        self._sync = openai.OpenAI(api_key=ANYONE, base_url=f"{url}/dedicated/v1")
        self._async = openai.AsyncOpenAI(api_key=ANYONE, base_url=f"{url}/dedicated/v1")

    def stream(self, tokens: int) -> int:
        chunks = self._sync.completions.create(model="demo", prompt="hello", max_tokens=tokens, stream=True)
        return sum(len(chunk.choices[0].text) for chunk in chunks)

    async def stream_async(self, tokens: int) -> int:
        length = 0
        async for chunk in await self._async.completions.create(
            model="demo", prompt="hello", max_tokens=tokens, stream=True
        ):
            length += len(chunk.choices[0].text)
        return length

    def call(self) -> int:
        return len(self._sync.completions.create(model="demo", prompt="hello", max_tokens=32).choices[0].text)


class Official:
    def __init__(self, url: str) -> None:
        from friendli.core.dedicated_completions import CompleteAcceptEnum

        from friendli import AsyncFriendli, SyncFriendli

        self.version = version("friendli")
        common = {"token": ANYONE, "server_url": url, "x_friendli_team": "none"}
        self._sync = SyncFriendli(**common).dedicated.completions
        self._async = AsyncFriendli(**common).dedicated.completions
        self._accept = CompleteAcceptEnum.TEXT_EVENT_STREAM

    def stream(self, tokens: int) -> int:
        body = {"model": "demo", "prompt": "hello", "max_tokens": tokens, "stream": True}
        events = self._sync.complete(dedicated_completions_body=body, accept_header_override=self._accept)
        return sum(len(event.data.choices[0].text) for event in events)

    async def stream_async(self, tokens: int) -> int:
        body = {"model": "demo", "prompt": "hello", "max_tokens": tokens, "stream": True}
        length = 0
        async for event in await self._async.complete(
            dedicated_completions_body=body, accept_header_override=self._accept
        ):
            length += len(event.data.choices[0].text)
        return length

    def call(self) -> int:
        body = {"model": "demo", "prompt": "hello", "max_tokens": 32}
        return len(self._sync.complete(dedicated_completions_body=body).choices[0].text)


class Raw:
    """No client at all: an HTTP library and `json`, with no care for errors or for the rules of event streams."""

    def __init__(self, url: str) -> None:
        import httpx2

        self.version = httpx2.__version__
        self._url = f"{url}/dedicated/v1/completions"
        self._sync = httpx2.Client()
        self._async = httpx2.AsyncClient()

    def stream(self, tokens: int) -> int:
        body = {"model": "demo", "prompt": "hello", "max_tokens": tokens, "stream": True}
        with self._sync.stream("POST", self._url, json=body) as reply:
            return sum(_length(line) for line in reply.iter_lines())

    async def stream_async(self, tokens: int) -> int:
        body = {"model": "demo", "prompt": "hello", "max_tokens": tokens, "stream": True}
        length = 0
        async with self._async.stream("POST", self._url, json=body) as reply:
            async for line in reply.aiter_lines():
                length += _length(line)
        return length

    def call(self) -> int:
        reply = self._sync.post(self._url, json={"model": "demo", "prompt": "hello", "max_tokens": 32})
        return len(json.loads(reply.content)["choices"][0]["text"])


def _length(line: str) -> int:
    if not line.startswith("data: {"):
        return 0
    return len(json.loads(line[6:])["choices"][0]["text"])


SUBJECTS = {"ours": Ours, "openai": OpenAI, "official": Official, "raw": Raw}
