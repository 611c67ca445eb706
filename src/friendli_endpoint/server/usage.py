"""GET /dedicated/v1/usage: what was used, as far as the caller may know."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from friendli_endpoint.errors import RequestError
from friendli_endpoint.server.caller import caller_of
from friendli_endpoint.server.errors import send_json
from friendli_endpoint.usage import query_of, report

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from friendli_endpoint.server.caller import Caller
    from friendli_endpoint.usage import Ledger, Query

_MOST_PARAMETERS = 20


class UsageRoute:
    """Sums of the ledger. An admin sees all of them; another token those of its team, on endpoints that it may use."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._turns = asyncio.Semaphore(2)  # of the threads that tokenize, not all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = within(caller_of(scope), query_of(_parameters(scope["query_string"])))
        async with self._turns:
            totals = await asyncio.to_thread(self._ledger.totals, query)
        await send_json(send, msgspec.json.encode(report(query, totals)))


def within(caller: Caller, query: Query) -> Query:
    """The part of `query` that the caller may see. Raises `RequestError`, 403, when it asks for what it may not."""
    identity = caller.identity
    if identity.may("admin"):
        return query
    if query.team not in (None, caller.team):
        raise RequestError("The usage of another team needs an admin token.", field="team", status=403)
    if query.endpoint is not None and not identity.sees(query.endpoint):
        raise RequestError("The token is not good for this endpoint.", field="endpoint", status=403)
    return msgspec.structs.replace(query, team=caller.team, endpoints=identity.endpoints)


def _parameters(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError as error:  # not UTF-8 when decoded, or too many
        raise RequestError(f"The query has at most {_MOST_PARAMETERS} parameters, encoded as UTF-8.") from error
