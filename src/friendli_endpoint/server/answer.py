"""What becomes of one order: chunks, made by the engine while somebody reads them, for any number of readers.

The engine works in a task of its own, so a reader that stalls stops nobody, and holds no place in the engine once the
last token is there. When the last reader leaves, the engine's work ends within a step; a reader that comes later gets
what there is, and the engine goes on from there by replaying it, so that the tokens are those of an undisturbed run.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol

from friendli_endpoint.engine.vocabulary import Prefilled, Sampled
from friendli_endpoint.server.chunks import Chunk, EndChunk, TokenChunk, UsageChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.engine.vocabulary import TokenEvent
    from friendli_endpoint.server.chunks import Continuation

_UNDONE_BYTES: Final = 16 * 2**10
"""What it takes to go on: prompts, texts that are held back, what the request was."""


class EngineWork(Protocol):
    """What an answer needs to be made, or to be gone on with."""

    @property
    def engine(self) -> Engine:
        """Makes it."""

    @property
    def possible(self) -> bool:
        """Whether what it takes can still be had."""

    def admitted(self) -> AbstractAsyncContextManager[object]:
        """Has what it takes while the engine works: a turn, an adapter."""


class Answer:
    """The chunks of an order's prompts, in the order of their making, the usage last.

    Unless `kept`, there is one reader, and what it has read is forgotten.
    """

    def __init__(self, continuations: Sequence[Continuation], work: EngineWork, *, kept: bool = False) -> None:
        self.error: Exception | None = None
        """What ended it before it was done."""
        self._continuations = continuations
        self._work: EngineWork | None = work  # None once it is done: nothing is kept that doing it took
        self._kept = kept
        self._chunks: list[Chunk] = []
        self._chunk_bytes = 0
        self._forgotten = 0  # chunks before the first of `_chunks`
        self._uncharged = UsageChunk(0, 0, 0)  # of prompts that have been read
        self._charged_tokens = 0
        self._readers: set[asyncio.Event] = set()
        self._running: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None  # the run before, which has to be gone before the next

    @property
    def done(self) -> bool:
        """Whether the last chunk is there."""
        return self._work is None

    @property
    def size(self) -> int:
        """About how many bytes are held."""
        return self._chunk_bytes + (0 if self.done else _UNDONE_BYTES)

    @property
    def good(self) -> bool:
        """Whether a reader that comes now gets all of it: it is done, or the engine can go on with it."""
        return self.error is None and (self._work is None or self._work.possible)

    def charge(self, position: int) -> UsageChunk:
        """What of this generation nobody has been charged for yet, when a reader gets its first `position` tokens."""
        new, self._uncharged = self._uncharged, UsageChunk(0, 0, 0)
        completion = max(0, position - self._charged_tokens)
        self._charged_tokens += completion
        return UsageChunk(new.prompt_tokens, completion, new.cached_tokens)

    async def read(self) -> AsyncGenerator[list[Chunk]]:
        """Every chunk from the first, in batches of what is there. Raises what the engine raises, behind its chunks."""
        news = asyncio.Event()
        self._readers.add(news)
        self._go_on()
        position = 0
        try:
            while True:
                if batch := self._from(position):
                    position += len(batch)
                    yield batch
                elif self.error is not None:
                    raise self.error
                elif self.done:
                    return
                else:
                    await news.wait()
                    news.clear()
        finally:
            self._readers.discard(news)
            if not self._readers:
                await self._pause()

    def _from(self, position: int) -> list[Chunk]:
        batch = self._chunks[position - self._forgotten :]
        if not self._kept and batch:
            self._forgotten += len(self._chunks)
            self._chunks, self._chunk_bytes = [], 0
        return batch

    def _go_on(self) -> None:
        if self._running is None and self._work is not None and self.error is None:
            self._running = asyncio.create_task(self._run(self._work), name="answer")

    async def _pause(self) -> None:
        """End the engine's work, if it has not ended by itself."""
        if self._running is not None:
            self._ending, self._running = self._running, None
            self._ending.cancel()
            await asyncio.wait({self._ending})

    async def _run(self, work: EngineWork) -> None:
        try:
            if self._ending is not None:
                await asyncio.wait({self._ending})
            async with work.admitted():
                await _all([self._follow(each, work.engine) for each in self._continuations if not each.ended])
            self._add([self._usage()])
            self._continuations, self._work = (), None
        except Exception as error:
            self.error = error
        finally:
            self._tell()

    async def _follow(self, continuation: Continuation, engine: Engine) -> None:
        over = continuation.over
        async with aclosing(engine.submit(continuation.again())) as events:
            async for event in events:
                if isinstance(event, Prefilled):
                    self._begin(continuation, event)
                    for choice in over:  # the engine knows the request from now on
                        engine.abort(continuation.request.id, choice)
                else:
                    self._add(_released(continuation, event, engine))
                if continuation.ended:
                    return

    def _begin(self, continuation: Continuation, event: Prefilled) -> None:
        """The prompt is read, perhaps again."""
        before = continuation.prompt_tokens, continuation.cached_tokens
        continuation.take(event)
        self._uncharged += UsageChunk(continuation.prompt_tokens - before[0], 0, continuation.cached_tokens - before[1])

    def _add(self, chunks: list[Chunk]) -> None:
        if chunks:
            self._chunks += chunks
            self._chunk_bytes += sum(map(_size, chunks))
            self._tell()

    def _tell(self) -> None:
        for news in self._readers:
            news.set()

    def _usage(self) -> UsageChunk:
        return UsageChunk(
            prompt_tokens=sum(continuation.prompt_tokens for continuation in self._continuations),
            completion_tokens=sum(continuation.completion_tokens for continuation in self._continuations),
            cached_tokens=sum(continuation.cached_tokens for continuation in self._continuations),
        )


def _released(continuation: Continuation, event: TokenEvent, engine: Engine) -> list[Chunk]:
    """The event's chunks; a choice that ended at a stop phrase, unbeknown to the engine, gives its row back."""
    released = continuation.take(event)
    if isinstance(event, Sampled) and released and isinstance(released[-1], EndChunk):
        engine.abort(continuation.request.id, event.choice)
    return released


async def _all(work: Sequence[Coroutine[object, object, None]]) -> None:
    """Run all to their ends. The first that fails ends the others, and is raised."""
    if len(work) == 1:
        return await work[0]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return None


def _size(chunk: Chunk) -> int:
    """About how many bytes it takes; what its reports hold counts, too."""
    if not isinstance(chunk, TokenChunk):
        return 100
    scores = 0 if chunk.logprobs is None else 300 + 100 * len(chunk.logprobs.top_logprobs[0])
    return 150 + len(chunk.text) + scores + len(chunk.logits or b"")
