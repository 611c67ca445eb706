"""Several sources become one, in order and to the end of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from friendli_endpoint.server.gather import gather

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def _count(name: str, items: int, closed: list[str], error: Exception | None = None) -> AsyncGenerator[str]:
    try:
        for number in range(items):
            await asyncio.sleep(0)
            yield f"{name}{number}"
        if error:
            raise error
    finally:
        closed.append(name)


def test_every_item_arrives_in_its_sources_order() -> None:
    async def main() -> None:
        closed: list[str] = []
        sources = [_count(name, items, closed) for name, items in (("a", 5), ("b", 0), ("c", 3))]
        items = [item async for batch in gather(sources) for item in batch]
        assert [item for source, item in items if source == 0] == [f"a{number}" for number in range(5)]
        assert [item for source, item in items if source == 2] == [f"c{number}" for number in range(3)]
        assert sorted(closed) == ["a", "b", "c"]

    asyncio.run(main())


def test_what_came_before_an_error_is_given_first() -> None:
    async def main() -> None:
        closed: list[str] = []
        batches = gather([_count("a", 3, closed, KeyError()), _count("b", 50, closed)])
        seen: list[str] = []

        async def read() -> None:
            async for batch in batches:
                seen.extend(item for source, item in batch if source == 0)

        with pytest.raises(KeyError):
            await read()
        assert seen == ["a0", "a1", "a2"]
        assert sorted(closed) == ["a", "b"]

    asyncio.run(main())


def test_closing_closes_every_source() -> None:
    async def main() -> None:
        closed: list[str] = []
        batches = gather([_count("a", 9, closed), _count("b", 9, closed)])
        await anext(batches)
        await batches.aclose()
        assert sorted(closed) == ["a", "b"]

    asyncio.run(main())


def test_items_that_wait_come_in_one_batch() -> None:
    async def ready() -> AsyncGenerator[int]:
        for number in range(4):
            yield number

    async def main() -> None:
        assert [batch async for batch in gather([ready()])] == [[(0, 0), (0, 1), (0, 2), (0, 3)]]

    asyncio.run(main())
