"""Release 0.16: `complete` alone, whose body's `stream` decides what it gives; both worlds name their methods alike."""

import asyncio

from answering import answer, dumped
from friendli.core.types import UNSET

from friendli import AsyncFriendli, SyncFriendli


def patience(retry):
    return UNSET if retry else None


def complete(url, token, body, team, retry):
    with SyncFriendli(token, server_url=url, retry_config=patience(retry)) as client:
        given = client.dedicated.completions.complete(dedicated_completions_body=body, x_friendli_team=team)
    return {"result": dumped(given)}


def stream(url, token, body, team, retry):
    body = {**body, "stream": True}
    with (
        SyncFriendli(token, server_url=url, retry_config=patience(retry)) as client,
        client.dedicated.completions.complete(dedicated_completions_body=body, x_friendli_team=team) as events,
    ):
        return {"events": [dumped(event.data) for event in events]}


def complete_async(url, token, body, team, retry):
    async def main():
        async with AsyncFriendli(token, server_url=url, retry_config=patience(retry)) as client:
            given = await client.dedicated.completions.complete(dedicated_completions_body=body, x_friendli_team=team)
        return {"result": dumped(given)}

    return asyncio.run(main())


def stream_async(url, token, body, team, retry):
    async def main():
        asked = {**body, "stream": True}
        async with AsyncFriendli(token, server_url=url, retry_config=patience(retry)) as client:
            given = await client.dedicated.completions.complete(dedicated_completions_body=asked, x_friendli_team=team)
            async with given as events:
                return {"events": [dumped(event.data) async for event in events]}

    return asyncio.run(main())


if __name__ == "__main__":
    answer({way.__name__: way for way in (complete, complete_async, stream, stream_async)})
