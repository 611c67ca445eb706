"""The clients behind one face; only the one that is asked for is imported.

Streams are the client's own objects: iterators, with the client's own way to close them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ANYONE = "none"
Decoded: TypeAlias = tuple[object, str, str, int | None]
Waited: TypeAlias = float | None  # seconds a call may wait for bytes; None is the client's default


class Subject(Protocol):
    """One instance of a client, with default settings.

    `own` is the class of the errors that the client documents as its own.
    """

    own: type[Exception]

    def complete(self, prompt: str, wait: Waited) -> str: ...
    async def complete_async(self, prompt: str, wait: Waited) -> str: ...
    def opened(self, prompt: str, wait: Waited) -> Iterator[object]: ...
    async def opened_async(self, prompt: str, wait: Waited) -> AsyncIterator[object]: ...
    async def hang_up_async(self, stream: AsyncIterator[object]) -> None: ...
    def text_of(self, event: Any) -> str: ...  # noqa: ANN401  each client has its own
    def carried(self, error: Exception) -> str | None:
        """The text so far that the error tells; None where errors tell none."""

    def close(self) -> None: ...
    async def aclose(self) -> None: ...


class Ours:
    def __init__(self, url: str, *, configured: bool = False) -> None:
        from friendli import AsyncFriendli, SyncFriendli, utils
        from friendli.errors import SDKError

        self.own = SDKError
        backoff = utils.BackoffStrategy(20, 200, 1.5, 60_000)
        more = {"retry_config": utils.RetryConfig("backoff", backoff, True)} if configured else {}
        self._sync = SyncFriendli(token=ANYONE, server_url=url, **more)
        self._async = AsyncFriendli(token=ANYONE, server_url=url, **more)

    def complete(self, prompt: str, wait: Waited) -> str:
        return self._sync.dedicated.completions.complete(**_body(prompt), **_ms(wait)).choices[0].text

    async def complete_async(self, prompt: str, wait: Waited) -> str:
        return (await self._async.dedicated.completions.complete(**_body(prompt), **_ms(wait))).choices[0].text

    def opened(self, prompt: str, wait: Waited) -> Iterator[object]:
        return self._sync.dedicated.completions.stream(**_body(prompt), **_ms(wait))

    async def opened_async(self, prompt: str, wait: Waited) -> AsyncIterator[object]:
        return await self._async.dedicated.completions.stream(**_body(prompt), **_ms(wait))

    async def hang_up_async(self, stream: Any) -> None:  # noqa: ANN401  the client's own
        await stream.aclose()

    def text_of(self, event: Any) -> str:  # noqa: ANN401  the client's own
        return event.data.text if event.data.event == "token_sampled" else ""

    def carried(self, error: Exception) -> str | None:
        return getattr(error, "text", None)

    def close(self) -> None:
        self._sync.close()

    async def aclose(self) -> None:
        await self._async.aclose()


class OpenAI:
    def __init__(self, url: str) -> None:
        import openai

        self.own = openai.OpenAIError
        self._sync = openai.OpenAI(api_key=ANYONE, base_url=f"{url}/dedicated/v1")
        self._async = openai.AsyncOpenAI(api_key=ANYONE, base_url=f"{url}/dedicated/v1")

    def complete(self, prompt: str, wait: Waited) -> str:
        return self._sync.completions.create(**_body(prompt), **_seconds(wait)).choices[0].text

    async def complete_async(self, prompt: str, wait: Waited) -> str:
        return (await self._async.completions.create(**_body(prompt), **_seconds(wait))).choices[0].text

    def opened(self, prompt: str, wait: Waited) -> Iterator[object]:
        return self._sync.completions.create(**_body(prompt), **_seconds(wait), stream=True)

    async def opened_async(self, prompt: str, wait: Waited) -> AsyncIterator[object]:
        return await self._async.completions.create(**_body(prompt), **_seconds(wait), stream=True)

    async def hang_up_async(self, stream: Any) -> None:  # noqa: ANN401  the client's own
        await stream.close()

    def text_of(self, event: Any) -> str:  # noqa: ANN401  the client's own
        return event.choices[0].text if event.choices else ""

    def carried(self, error: Exception) -> str | None:
        return None

    def close(self) -> None:
        self._sync.close()

    async def aclose(self) -> None:
        await self._async.close()


class Official:
    def __init__(self, url: str) -> None:
        from friendli.core.dedicated_completions import CompleteAcceptEnum
        from friendli.core.models import FriendliCoreError

        from friendli import AsyncFriendli, SyncFriendli

        self.own = FriendliCoreError
        self._accept = CompleteAcceptEnum.TEXT_EVENT_STREAM
        common = {"token": ANYONE, "server_url": url, "x_friendli_team": "none"}
        self._sync = SyncFriendli(**common)
        self._async = AsyncFriendli(**common)

    def complete(self, prompt: str, wait: Waited) -> str:
        made = self._sync.dedicated.completions.complete(dedicated_completions_body=_body(prompt), **_ms(wait))
        return made.choices[0].text

    async def complete_async(self, prompt: str, wait: Waited) -> str:
        made = await self._async.dedicated.completions.complete(dedicated_completions_body=_body(prompt), **_ms(wait))
        return made.choices[0].text

    def opened(self, prompt: str, wait: Waited) -> Iterator[object]:
        return self._sync.dedicated.completions.complete(**self._streamed(prompt), **_ms(wait))

    async def opened_async(self, prompt: str, wait: Waited) -> AsyncIterator[object]:
        return await self._async.dedicated.completions.complete(**self._streamed(prompt), **_ms(wait))

    async def hang_up_async(self, stream: Any) -> None:  # noqa: ANN401  the client's own
        await stream.close()

    def text_of(self, event: Any) -> str:  # noqa: ANN401  the client's own
        return event.data.choices[0].text if event.data.choices else ""

    def carried(self, error: Exception) -> str | None:
        return None

    def close(self) -> None:
        self._sync.__exit__(None, None, None)

    async def aclose(self) -> None:
        await self._async.__aexit__(None, None, None)

    def _streamed(self, prompt: str) -> dict[str, object]:
        return {
            "dedicated_completions_body": {**_body(prompt), "stream": True},
            "accept_header_override": self._accept,
        }


def _body(prompt: str) -> dict[str, object]:
    return {"model": "demo", "prompt": prompt, "max_tokens": 32}


def _ms(wait: Waited) -> dict[str, int]:
    return {} if wait is None else {"timeout_ms": round(wait * 1000)}


def _seconds(wait: Waited) -> dict[str, float]:
    return {} if wait is None else {"timeout": wait}


def decoded_by_ours(pieces: list[bytes]) -> list[Decoded]:
    from friendli._sse import SSEDecoder

    decoder = SSEDecoder()
    return [tuple(event) for piece in pieces for event in decoder.feed(piece)]


def decoded_by_openai(pieces: list[bytes]) -> list[Decoded]:
    from openai._streaming import SSEDecoder

    events = SSEDecoder().iter_bytes(iter(pieces))
    return [(event.data, event.event or "message", event.id or "", event.retry) for event in events]


def decoded_by_official(pieces: list[bytes]) -> list[Decoded]:
    """Its events carry data that is JSON as its value, not as text."""
    from friendli.core.utils.eventstreaming import stream_events

    events = [json.loads(text) for text in stream_events(_Pieces(pieces), str)]
    return [(one["data"], one.get("event", "message"), one.get("id", ""), one.get("retry")) for one in events]


class _Pieces:
    """As much of an HTTP response as a decoder needs."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def iter_bytes(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        pass


def configured(url: str) -> Ours:
    return Ours(url, configured=True)


SUBJECTS = {"ours": Ours, "configured": configured, "openai": OpenAI, "official": Official}
DECODERS = {
    "ours": decoded_by_ours,
    "configured": decoded_by_ours,
    "openai": decoded_by_openai,
    "official": decoded_by_official,
}
