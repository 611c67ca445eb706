"""Work that is worth doing only until something else happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def done_before(end: Coroutine[object, object, object], work: Coroutine[object, object, None]) -> bool:
    """Run `work` to its end, True, or cancel it when `end` comes first, False; neither is left running."""
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(end)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.wait({working, ending})
