"""A key stands for one generation: who repeats a request reads the same answer, in any form, at any time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from server_kit import Server, body, error_of, events, play, play_on_socket, says, until

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import EngineError, RequestError
from friendli_endpoint.server.app import COMPLETIONS_PATH
from friendli_endpoint.server.idempotency import Answers

if TYPE_CHECKING:
    import httpx2

KEY = {"Idempotency-Key": "k-1"}


def _choices(reply: httpx2.Response) -> list[dict[str, object]]:
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"]


def test_a_repeat_gets_the_stored_answer_although_its_seed_was_never_said() -> None:
    async def scenario(server: Server) -> None:
        first = await server.post(KEY, seed=None, n=2)
        again = await server.post(KEY, seed=None, n=2)
        assert _choices(again) == _choices(first)
        assert again.json()["usage"] == first.json()["usage"]
        assert again.json()["id"] != first.json()["id"]
        assert len(server.engine.submitted) == 1

    play(scenario)


def test_a_stream_can_repeat_a_plain_request_and_the_other_way_round() -> None:
    async def scenario(server: Server) -> None:
        plain = _choices(await server.post(KEY))[0]
        stream = await server.post(KEY, stream=True, stream_options={"include_usage": True})
        assert (
            "".join(event["choices"][0]["text"] for event in events(stream.text) if event["choices"]) == plain["text"]
        )
        assert _choices(await server.post(KEY))[0] == plain
        assert len(server.engine.submitted) == 1

    play(scenario)


def test_repeats_at_the_same_time_attach_to_the_running_one() -> None:
    async def scenario(server: Server) -> None:
        replies = await asyncio.gather(*(server.post(KEY, seed=None, stream=bool(i % 2)) for i in range(8)))
        texts = {_choices(reply)[0]["text"] for reply in replies[::2]}
        assert len(texts) == 1
        assert len(server.engine.submitted) == 1

    play(scenario, FakeEngine(step_seconds=0.002))


def test_another_body_under_the_same_key_is_refused_and_another_teams_key_is_another_key() -> None:
    async def scenario(server: Server) -> None:
        first = _choices(await server.post(KEY, seed=None))
        error = error_of(await server.post(KEY, seed=None, max_tokens=7), 422)
        assert error["field"] == "Idempotency-Key"
        assert "another body" in error["message"]
        other = _choices(await server.post(KEY | {"X-Friendli-Team": "other"}, seed=None))
        assert other != first
        assert len(server.engine.submitted) == 2

    play(scenario)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schl\u00fcssel"])
def test_a_key_that_is_none_is_told(key: str) -> None:
    async def scenario(server: Server) -> None:
        headers = [(b"idempotency-key", key.encode("latin-1"))]
        reply = await server.client.post(COMPLETIONS_PATH, json=body(), headers=headers)
        assert error_of(reply, 422)["field"] == "Idempotency-Key"

    play(scenario)


def test_a_failed_one_is_tried_again_by_the_repeat() -> None:
    async def scenario(server: Server) -> None:
        server.engine.fail_with = EngineError("broken")
        assert (await server.post(KEY)).status_code == 503
        server.engine.fail_with = None
        assert (await server.post(KEY)).status_code == 200
        assert error_of(await server.post(KEY | {"Idempotency-Key": "k-2"}, top_p=2), 422)["field"] == "top_p"
        assert (await server.post(KEY | {"Idempotency-Key": "k-2"})).status_code == 200

    play(scenario)


def test_who_left_and_comes_back_gets_the_rest_of_the_same_text_and_the_engine_was_free_meanwhile() -> None:
    async def scenario(server: Server) -> None:
        undisturbed = _choices(await server.post(max_tokens=200))[0]
        content = body(max_tokens=200, stream=True)
        async with server.client.stream("POST", COMPLETIONS_PATH, json=content, headers=KEY) as reply:
            lines = reply.aiter_lines()
            for _ in range(20):
                await anext(lines)
        await until(lambda: not server.engine.live)
        again = await server.post(KEY, max_tokens=200)
        assert _choices(again)[0] == undisturbed
        replayed = server.engine.submitted[-1].generated[0]
        assert bytes(replayed).decode() == undisturbed["text"][: len(replayed)] != ""

    play_on_socket(scenario, FakeEngine(script=says("abcdefghij" * 20), step_seconds=0.002))


class Done:
    """An answer that is there, of so many bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.good = True


async def _read(answers: Answers, key: str, size: int = 0, asks: bytes = b"") -> bool:
    """Read an answer, new or not; whether it was there already."""
    made = Done(size)

    async def make() -> Done:
        return made

    async with answers.answer("t", key, asks, make) as answer:
        return answer is not made


def test_answers_are_forgotten_with_time_and_reading_one_keeps_it() -> None:
    async def main() -> None:
        now = [0.0]
        answers = Answers(10, 10**6, clock=lambda: now[0])
        await _read(answers, "a")
        await _read(answers, "b")
        now[0] = 9
        assert await _read(answers, "b")
        now[0] = 12
        assert not await _read(answers, "a")
        assert await _read(answers, "b")

    asyncio.run(main())


def test_the_least_recently_read_makes_room_and_small_ones_take_some_too() -> None:
    async def main() -> None:
        answers = Answers(10, 50_000)
        for key in "abcd":
            await _read(answers, key, 16_000)
        assert not await _read(answers, "a", 16_000)
        assert await _read(answers, "d")
        for number in range(1000):
            await _read(answers, str(number))
        assert len(answers) < 30
        await _read(answers, "huge", 60_000)
        assert not await _read(answers, "huge")

    asyncio.run(main())


def test_who_waits_for_an_answer_that_cannot_be_made_makes_it_itself() -> None:
    async def main() -> None:
        answers, may_fail = Answers(10, 10**6), asyncio.Event()

        async def fail() -> Done:
            await may_fail.wait()
            raise RequestError("no")

        async def first() -> None:
            async with answers.answer("t", "k", b"", fail):
                pass

        failing = asyncio.create_task(first())
        waiting = [asyncio.create_task(_read(answers, "k")) for _ in range(3)]
        await asyncio.sleep(0)
        may_fail.set()
        with pytest.raises(RequestError):
            await failing
        assert sorted([await each for each in waiting]) == [False, True, True]

    asyncio.run(main())


def test_a_cancelled_maker_leaves_the_key_to_the_next() -> None:
    async def main() -> None:
        answers = Answers(10, 10**6)

        async def never() -> Done:
            await asyncio.Event().wait()
            return Done(0)

        async def first() -> None:
            async with answers.answer("t", "k", b"", never):
                pass

        making = asyncio.create_task(first())
        await asyncio.sleep(0)
        making.cancel()
        await asyncio.wait({making})
        assert not await _read(answers, "k")
        assert len(answers) == 1

    asyncio.run(main())
