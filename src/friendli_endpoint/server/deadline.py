"""The time that a request gives itself: `timeout_microseconds`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")


async def until(deadline: float, source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """What `source` gives before `deadline`, by the event loop's clock; then `source` is closed.

    Raises `RequestError` 429 then. Time that the reader takes counts, too.
    """
    async with aclosing(source):
        try:
            if asyncio.get_running_loop().time() >= deadline:
                raise TimeoutError
            while True:
                async with asyncio.timeout_at(deadline):
                    item = await anext(source)
                yield item
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestError(
                "The request was not done within its timeout_microseconds; allow more, or ask for fewer tokens.",
                field="timeout_microseconds",
                status=429,
            ) from None
