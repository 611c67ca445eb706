"""The OpenAI client, pointed at the endpoint by `base_url`; what it has no argument for goes into `extra_body`."""

import asyncio

from answering import answer, dumped
from openai import AsyncOpenAI, OpenAI

OWN = ("tokens",)


def options(url, token, retry):
    return {"base_url": f"{url}/dedicated/v1", "api_key": token, "max_retries": 2 if retry else 0}


def arguments(body, team):
    return {
        "prompt": None,  # has to be given, also beside `tokens`
        **{name: value for name, value in body.items() if name not in OWN},
        "extra_body": {name: body[name] for name in OWN if name in body},
        "extra_headers": {} if team is None else {"X-Friendli-Team": team},
    }


def complete(url, token, body, team, retry):
    with OpenAI(**options(url, token, retry)) as client:
        return {"result": dumped(client.completions.create(**arguments(body, team)))}


def stream(url, token, body, team, retry):
    with (
        OpenAI(**options(url, token, retry)) as client,
        client.completions.create(**arguments(body, team), stream=True) as events,
    ):
        return {"events": [dumped(event) for event in events]}


def complete_async(url, token, body, team, retry):
    async def main():
        async with AsyncOpenAI(**options(url, token, retry)) as client:
            return {"result": dumped(await client.completions.create(**arguments(body, team)))}

    return asyncio.run(main())


def stream_async(url, token, body, team, retry):
    async def main():
        async with (
            AsyncOpenAI(**options(url, token, retry)) as client,
            await client.completions.create(**arguments(body, team), stream=True) as events,
        ):
            return {"events": [dumped(event) async for event in events]}

    return asyncio.run(main())


if __name__ == "__main__":
    answer({way.__name__: way for way in (complete, complete_async, stream, stream_async)})
