"""The first release, 0.3.0: one class for both worlds, nothing to close, a stream is a bare generator."""

import asyncio

from answering import answer, dumped

from friendli import Friendli
from friendli.utils import BackoffStrategy, RetryConfig

RETRIES = RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 10_000), retry_connection_errors=True)


def completions(url, token, retry):
    return Friendli(token, server_url=url, retry_config=RETRIES if retry else None).dedicated.completions


def complete(url, token, body, team, retry):
    client = completions(url, token, retry)
    return {"result": dumped(client.complete(dedicated_completions_complete_body=body, x_friendli_team=team))}


def stream(url, token, body, team, retry):
    client = completions(url, token, retry)
    events = client.stream(dedicated_completions_stream_body=body, x_friendli_team=team)
    return {"events": [dumped(event.data) for event in events]}


def complete_async(url, token, body, team, retry):
    async def main():
        client = completions(url, token, retry)
        given = await client.complete_async(dedicated_completions_complete_body=body, x_friendli_team=team)
        return {"result": dumped(given)}

    return asyncio.run(main())


def stream_async(url, token, body, team, retry):
    async def main():
        client = completions(url, token, retry)
        events = await client.stream_async(dedicated_completions_stream_body=body, x_friendli_team=team)
        return {"events": [dumped(event.data) async for event in events]}

    return asyncio.run(main())


if __name__ == "__main__":
    answer({way.__name__: way for way in (complete, complete_async, stream, stream_async)})
