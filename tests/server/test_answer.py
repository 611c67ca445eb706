"""An answer is made while somebody reads it, once, whoever reads it and however often it is left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from server_kit import byte_tokenizer, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.engine.vocabulary import Request
from friendli_endpoint.errors import EngineError
from friendli_endpoint.server.answer import Answer
from friendli_endpoint.server.chunks import Continuation, TokenChunk, UsageChunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from friendli_endpoint.server.chunks import Chunk


class Work:
    """Counts those that hold what the engine's work needs."""

    possible = True
    now = 0
    ever = 0

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        self.now, self.ever = self.now + 1, self.ever + 1
        try:
            yield
        finally:
            self.now -= 1


def answer_of(
    engine: FakeEngine | Work, *, prompts: int = 1, n: int = 1, stop: tuple[str, ...] = (), kept: bool = False
) -> Answer:
    requests = [Request(f"r-{p}", (1, 2, p), tuple(range(n)), max_tokens=12) for p in range(prompts)]
    parts = [Continuation(request, p * n, byte_tokenizer(), stop) for p, request in enumerate(requests)]
    return Answer(parts, engine if isinstance(engine, Work) else Work(engine), kept=kept)


async def whole(answer: Answer) -> list[Chunk]:
    return [chunk async for batch in answer.read() for chunk in batch]


async def some(answer: Answer, count: int) -> list[Chunk]:
    """So many chunks, or a few more; then the reader leaves."""
    seen: list[Chunk] = []
    batches = answer.read()
    while len(seen) < count:
        seen += await anext(batches)
    await batches.aclose()
    return seen


def by_choice(chunks: list[Chunk]) -> dict[int, list[int]]:
    tokens: dict[int, list[int]] = {}
    for chunk in chunks:
        if isinstance(chunk, TokenChunk):
            tokens.setdefault(chunk.index, []).append(chunk.token)
    return tokens


@pytest.mark.parametrize(("prompts", "n"), [(1, 1), (1, 3), (3, 2)])
def test_a_reader_gets_every_chunk_of_every_prompt_and_the_usage_last(prompts: int, n: int) -> None:
    async def main() -> None:
        work = Work(FakeEngine())
        answer = answer_of(work, prompts=prompts, n=n)
        chunks = await whole(answer)
        tokens = by_choice(chunks)
        assert {len(each) for each in tokens.values()} == {12}
        assert len(tokens) == prompts * n
        assert chunks[-1] == UsageChunk(3 * prompts, 12 * prompts * n, 0)
        assert (work.now, work.ever) == (0, 1)

    asyncio.run(main())


def test_what_the_engines_work_needs_is_given_back_before_the_last_chunk_is_read() -> None:
    async def main() -> None:
        work = Work(FakeEngine())
        async for batch in answer_of(work).read():
            if isinstance(batch[-1], UsageChunk):
                assert work.now == 0

    asyncio.run(main())


@pytest.mark.parametrize(("prompts", "n"), [(1, 1), (2, 3)])
def test_one_that_is_left_again_and_again_ends_with_the_tokens_of_an_undisturbed_run(prompts: int, n: int) -> None:
    async def main() -> None:
        undisturbed = await whole(answer_of(FakeEngine(), prompts=prompts, n=n))
        engine = FakeEngine()
        answer = answer_of(engine, prompts=prompts, n=n, kept=True)
        for count in (1, 5, 9, 30):
            await some(answer, min(count, 12 * prompts * n))
            assert not engine.live
        chunks = await whole(answer)
        assert by_choice(chunks) == by_choice(undisturbed)
        assert chunks[-1] == undisturbed[-1]
        assert len(chunks) == len(undisturbed)

    asyncio.run(main())


def test_choices_that_have_ended_are_not_begun_again() -> None:
    async def main() -> None:
        def script(request: Request, choice: int) -> bytes:
            return b"abcdefghijkl" if choice else b"ab."

        undisturbed = await whole(answer_of(FakeEngine(script=script), n=2, stop=(".",)))
        answer = answer_of(FakeEngine(script=script), n=2, stop=(".",), kept=True)
        await some(answer, 8)
        assert by_choice(await whole(answer)) == by_choice(undisturbed)

    asyncio.run(main())


def test_readers_at_the_same_time_get_the_same_from_one_generation() -> None:
    async def main() -> None:
        engine = FakeEngine()
        answer = answer_of(engine, kept=True)
        readers = [asyncio.create_task(whole(answer)) for _ in range(5)]
        await some(answer, 3)
        first, *others = await asyncio.gather(*readers)
        assert all(other == first for other in others)
        assert len(engine.submitted) == 1
        assert await whole(answer) == first
        assert len(engine.submitted) == 1

    asyncio.run(main())


def test_a_reader_that_stalls_holds_no_place_in_the_engine() -> None:
    async def main() -> None:
        work = Work(FakeEngine())
        batches = answer_of(work).read()
        await anext(batches)
        await until(lambda: not work.engine.live and not work.now)
        await batches.aclose()

    asyncio.run(main())


def test_a_token_is_charged_once_however_many_read_it() -> None:
    async def main() -> None:
        answer = answer_of(FakeEngine(), kept=True)
        seen = by_choice(await some(answer, 4))[0]
        assert answer.charge(len(seen)) == UsageChunk(3, len(seen), 0)
        assert answer.charge(2) == UsageChunk(0, 0, 0)
        await whole(answer)
        assert answer.charge(12) == UsageChunk(0, 12 - len(seen), 0)

    asyncio.run(main())


def test_what_the_engine_raises_comes_behind_the_chunks_and_the_answer_is_no_good_any_more() -> None:
    async def main() -> None:
        engine = FakeEngine()
        answer = answer_of(engine, kept=True)
        seen = await some(answer, 3)
        engine.fail_with = EngineError("broken")
        with pytest.raises(EngineError, match="broken"):
            await whole(answer)
        assert not answer.good
        engine.fail_with = None
        again: list[Chunk] = []
        try:
            async for batch in answer.read():
                again += batch
        except EngineError as error:
            assert str(error) == "broken"  # noqa: PT017 - what came before it counts
        assert again[: len(seen)] == seen

    asyncio.run(main())


def test_one_prompt_that_fails_ends_the_others() -> None:
    async def main() -> None:
        def script(request: Request, choice: int) -> bytes:
            if request.id == "r-1":
                raise EngineError("broken")
            return b"x" * 12

        engine = FakeEngine(script=script)
        with pytest.raises(EngineError, match="broken"):
            await whole(answer_of(engine, prompts=3))
        assert not engine.live

    asyncio.run(main())


def test_one_that_is_not_kept_forgets_what_was_read() -> None:
    async def main() -> None:
        answer = answer_of(FakeEngine())
        await whole(answer)
        assert answer.size == 0

    asyncio.run(main())
