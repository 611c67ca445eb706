"""What a server does now and then, beside its requests."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import LedgerError

if TYPE_CHECKING:
    from friendli_endpoint.server.service import Service

_log = logging.getLogger(__name__)
_DAY_SECONDS: Final = 86_400.0


async def keep_up(service: Service) -> None:
    """Merge old lines of the ledger, at the start and then daily; goes on until it is cancelled."""
    while True:
        try:
            await asyncio.to_thread(service.ledger.rotate, service.settings.server.usage_days)
        except LedgerError as error:
            _log.error("old usage cannot be merged, next try tomorrow: %s", error)
        await asyncio.sleep(_DAY_SECONDS)
