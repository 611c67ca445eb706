"""Streams of one server, as many at a time as wanted, each with all that it brought and when."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

PATH: Final = "/dedicated/v1/completions"
_TIMEOUT_SECONDS: Final = 300


class Token(NamedTuple):
    """One event of a stream of one choice."""

    id: int | None
    text: str
    finish: str | None


@dataclass(eq=False)
class Heard:
    """What a stream has brought so far, and when: `times` begin with that of asking. `body` is a number."""

    body: int
    times: list[float] = field(default_factory=lambda: [time.monotonic()])
    tokens: list[Token] = field(default_factory=list)
    whole: bool = False
    trouble: str | None = None

    @property
    def gaps(self) -> Iterator[tuple[float, float]]:
        """Begin and end of each silence."""
        return zip(self.times, self.times[1:], strict=False)

    def hear(self, event: dict[str, Any]) -> None:
        """Enter the JSON of an event."""
        self.times.append(time.monotonic())
        if "error" in event:
            self.trouble = event["error"]["message"]
        for choice in event.get("choices", ()):
            self.tokens.append(Token(choice.get("token"), choice["text"], choice["finish_reason"]))


class Streams:
    """All streams of a run: those that are `live`, and those that are `over`."""

    def __init__(self, url: str, bodies: Sequence[dict[str, object]]) -> None:
        self._url = url
        self._bodies = bodies
        self.bodies = len(bodies)
        self.live: set[Heard] = set()
        self.over: list[Heard] = []

    async def run(self, lanes: int, numbers: Iterable[int]) -> None:
        """Work off these bodies, `lanes` at a time."""
        todo = iter(numbers)
        async with httpx2.AsyncClient(base_url=self._url, timeout=_TIMEOUT_SECONDS) as client:
            await asyncio.gather(*(self._lane(client, todo) for _ in range(lanes)))

    async def _lane(self, client: httpx2.AsyncClient, todo: Iterator[int]) -> None:
        for number in todo:
            heard = Heard(number)
            self.live.add(heard)
            await self._listen(client, heard)
            self.live.remove(heard)
            self.over.append(heard)

    async def _listen(self, client: httpx2.AsyncClient, heard: Heard) -> None:
        try:
            async with client.stream("POST", PATH, json=self._bodies[heard.body] | {"stream": True}) as reply:
                async for data in _datas(reply):
                    if data == "[DONE]":
                        heard.whole = True
                    else:
                        heard.hear(json.loads(data))
        except httpx2.HTTPError as error:
            heard.trouble = repr(error)


async def _datas(reply: httpx2.Response) -> AsyncIterator[str]:
    """The data of each event; of a refusal, its body."""
    if reply.status_code != httpx2.codes.OK:
        yield (await reply.aread()).decode()
        return
    async for line in reply.aiter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
