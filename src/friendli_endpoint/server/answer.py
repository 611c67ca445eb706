"""What becomes of one order: chunks, made by the engine while somebody reads them, for any number of readers.

The engine works in a task of its own, so a reader that stalls stops nobody, and holds no place in the engine once the
last token is there. When the last reader leaves, the engine's work ends within a step; a reader that comes later gets
what there is, and the engine goes on from there by replaying it, so that the tokens are those of an undisturbed run.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import Prefilled, Sampled
from friendli_endpoint.server.chunks import Chunk, EndChunk, TokenChunk, UsageChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from friendli_endpoint.engine.protocol import Engine
    from friendli_endpoint.engine.vocabulary import TokenEvent
    from friendli_endpoint.server.chunks import Continuation

_UNDONE_BYTES: Final = 16 * 2**10
"""What it takes to go on: prompts, texts that are held back, what the request was."""


class Answer:
    """The chunks of an order's prompts, in the order of their making, the usage last.

    `admitted` gives what has to be held while the engine works: a turn, an adapter. `alive` says whether that can still
    be had. Unless `kept`, there is one reader, and what it has read is forgotten.
    """

    def __init__(
        self,
        continuations: Sequence[Continuation],
        engine: Engine,
        admitted: Callable[[], AbstractAsyncContextManager[object]],
        *,
        alive: Callable[[], bool] = lambda: True,
        kept: bool = False,
    ) -> None:
        self.done = False
        self.error: Exception | None = None
        """What ended it before it was done."""
        self._continuations = continuations
        self._engine = engine
        self._admitted = admitted
        self._alive = alive
        self._kept = kept
        self._chunks: list[Chunk] = []
        self._chunk_bytes = 0
        self._forgotten = 0  # chunks before the first of `_chunks`
        self._uncharged = UsageChunk(0, 0, 0)  # of prompts that have been read
        self._charged_tokens = 0
        self._readers: set[asyncio.Event] = set()
        self._work: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None  # the work before, which has to be gone before the next

    @property
    def size(self) -> int:
        """About how many bytes are held."""
        return self._chunk_bytes + (0 if self.done else _UNDONE_BYTES)

    @property
    def good(self) -> bool:
        """Whether a reader that comes now gets all of it: it is done, or the engine can go on with it."""
        return self.error is None and (self.done or self._alive())

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
        if self._work is None and not self.done and self.error is None:
            self._work = asyncio.create_task(self._run(), name="answer")

    async def _pause(self) -> None:
        """End the engine's work, if it has not ended by itself."""
        if self._work is not None:
            self._ending, self._work = self._work, None
            self._ending.cancel()
            await asyncio.wait({self._ending})

    async def _run(self) -> None:
        try:
            if self._ending is not None:
                await asyncio.wait({self._ending})
            async with self._admitted():
                await _all([self._follow(each) for each in self._continuations if not each.ended])
            self._add([self._usage()])
            self._finish()
        except Exception as error:
            self.error = error
        finally:
            self._tell()

    def _finish(self) -> None:
        """Nothing is left to be done, so nothing that doing it took is kept."""
        self.done = True
        self._continuations, self._admitted, self._alive = (), nullcontext, lambda: True

    async def _follow(self, continuation: Continuation) -> None:
        over = continuation.over
        async with aclosing(self._engine.submit(continuation.again())) as events:
            async for event in events:
                if isinstance(event, Prefilled):
                    self._begin(continuation, event, over)
                else:
                    self._add(self._released(continuation, event))
                if continuation.ended:
                    return

    def _begin(self, continuation: Continuation, event: Prefilled, over: list[int]) -> None:
        """The prompt is read, and from now on the engine knows the request: what is `over` of it goes no further."""
        before = continuation.prompt_tokens, continuation.cached_tokens
        continuation.take(event)
        self._uncharged += UsageChunk(continuation.prompt_tokens - before[0], 0, continuation.cached_tokens - before[1])
        for choice in over:
            self._engine.abort(continuation.request.id, choice)

    def _released(self, continuation: Continuation, event: TokenEvent) -> list[Chunk]:
        """The event's chunks; a choice that ended at a stop phrase, unbeknown to the engine, gives its row back."""
        released = continuation.take(event)
        if isinstance(event, Sampled) and released and isinstance(released[-1], EndChunk):
            self._engine.abort(continuation.request.id, event.choice)
        return released

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
