"""The fake engine keeps the protocol that the server relies on."""

from __future__ import annotations

import asyncio
from array import array
from contextlib import aclosing

import pytest
from server_kit import until

from friendli_endpoint.engine.fake import FAKE_ADAPTER, FakeEngine
from friendli_endpoint.engine.vocabulary import Controls, Finished, Prefilled, Report, Request, Sampled, TokenEvent
from friendli_endpoint.errors import AdapterError, EngineError


def _request(name: str = "a", **fields: object) -> Request:
    return Request(**({"id": name, "prompt": (1, 2), "seeds": (5,), "max_tokens": 6} | fields))


async def _events(engine: FakeEngine, request: Request) -> list[TokenEvent]:
    return [event async for event in engine.submit(request)]


def test_tokens_depend_on_prompt_and_seed_alone() -> None:
    async def main() -> None:
        engine = FakeEngine()
        first, again, both = await asyncio.gather(
            _events(engine, _request("a")),
            _events(engine, _request("b")),
            _events(engine, _request("c", seeds=(9, 5))),
        )
        assert first[0] == Prefilled("a", 0)
        assert first[-1] == Finished("a", 0, "length")
        tokens = [event.token for event in first if isinstance(event, Sampled)]
        assert tokens == [event.token for event in again if isinstance(event, Sampled)]
        assert tokens == [event.token for event in both if isinstance(event, Sampled) and event.choice == 1]
        assert tokens != [event.token for event in both if isinstance(event, Sampled) and event.choice == 0]

    asyncio.run(main())


def test_the_end_token_is_not_reported() -> None:
    async def main() -> None:
        engine = FakeEngine(script=lambda request, choice: [7, 8, 9])
        events = await _events(engine, _request(eos_tokens=(8,)))
        assert events[1:] == [Sampled("a", 0, 7), Finished("a", 0, "stop")]

    asyncio.run(main())


def test_an_aborted_choice_says_nothing_more_and_the_others_go_on() -> None:
    async def main() -> None:
        engine = FakeEngine()
        events = []
        async with aclosing(engine.submit(_request(seeds=(1, 2)))) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, Sampled) and event.choice == 0:
                    engine.abort("a", 0)
        assert [event.choice for event in events if isinstance(event, Sampled)] == [0, 1, 1, 1, 1, 1, 1]
        assert [event for event in events if isinstance(event, Finished)] == [Finished("a", 1, "length")]

    asyncio.run(main())


def test_an_aborted_request_ends_and_unknown_ids_are_ignored() -> None:
    async def main() -> None:
        engine = FakeEngine()
        engine.stall()
        waiting = asyncio.create_task(_events(engine, _request()))
        await until(lambda: "a" in engine.live)
        engine.abort("a")
        engine.abort("nobody")
        engine.resume()
        assert await waiting == [Prefilled("a", 0)]

    asyncio.run(main())


def test_no_more_requests_run_at_once_than_there_are_rows() -> None:
    async def main() -> None:
        engine = FakeEngine(rows=1)
        order: list[str] = []

        async def follow(name: str) -> None:
            async for event in engine.submit(_request(name)):
                order.append(event.request_id)  # noqa: PERF401 - in the order of arrival, across both

        await asyncio.gather(follow("a"), follow("b"))
        assert order == sorted(order)

    asyncio.run(main())


def test_tokens_depend_on_the_adapters_path_and_an_unknown_key_is_refused() -> None:
    async def main() -> None:
        engine = FakeEngine()
        for key, path in (("a@1", "a"), ("a@2", "b"), ("b@3", "a")):
            assert await engine.add_adapter(key, path) == FAKE_ADAPTER
        base, one, two, three = [
            [event.token for event in await _events(engine, _request(adapter=key)) if isinstance(event, Sampled)]
            for key in (None, "a@1", "a@2", "b@3")
        ]
        assert one == three
        assert len({tuple(base), tuple(one), tuple(two)}) == 3
        engine.drop_adapter("a@1")
        engine.drop_adapter("nobody")
        assert (engine.adapters, engine.dropped) == ({"a@2": "b", "b@3": "a"}, ["a@1"])
        for key in ("a@1", "nobody"):
            with pytest.raises(EngineError, match=f"no adapter '{key}'"):
                await _events(engine, _request(adapter=key))

    asyncio.run(main())


def test_an_adapter_can_be_held_and_refused_and_its_key_is_used_once() -> None:
    async def main() -> None:
        engine = FakeEngine()
        engine.stall_adapters()
        adding = asyncio.create_task(engine.add_adapter("a@1", "a"))
        await until(lambda: engine.adding == {"a@1"})
        assert not engine.adapters
        engine.refuse_adapters_with = AdapterError("use_dora is not supported")
        engine.resume_adapters()
        with pytest.raises(AdapterError, match="use_dora"):
            await adding
        engine.refuse_adapters_with = None
        await engine.add_adapter("a@2", "a")
        with pytest.raises(ValueError, match="has been used"):
            await engine.add_adapter("a@2", "a")

    asyncio.run(main())


def test_its_pulse_says_who_runs_and_who_waits_and_counts_what_was_done() -> None:
    async def main() -> None:
        engine = FakeEngine(rows=1)
        engine.stall()
        waiting = [asyncio.create_task(_events(engine, _request(name))) for name in ("a", "b")]
        await until(lambda: len(engine.live) == 2)
        assert (engine.pulse.running, engine.pulse.waiting, engine.pulse.forwards) == (1, 1, 0)
        engine.resume()
        await asyncio.gather(*waiting)
        pulse = engine.pulse
        assert (pulse.running, pulse.waiting, pulse.prefill_tokens) == (0, 0, 4)
        assert pulse.forwards == pulse.rows == pulse.decode_tokens + 2
        assert engine.restarts == 0

    asyncio.run(main())


def test_a_closed_engine_fails_what_runs() -> None:
    async def main() -> None:
        engine = FakeEngine()
        await engine.start()
        engine.stall()
        waiting = asyncio.create_task(_events(engine, _request()))
        await until(lambda: "a" in engine.live)
        await engine.close()
        await engine.close()
        with pytest.raises(EngineError):
            await waiting
        assert not engine.ready

    asyncio.run(main())


def test_forced_tokens_are_all_reported_and_end_with_stop() -> None:
    async def main() -> None:
        engine = FakeEngine()
        for most, end in ((3, "stop"), (9, "stop"), (2, "length")):
            events = await _events(
                engine, _request(controls=Controls(forced=(7, 8, 9)), eos_tokens=(8,), max_tokens=most)
            )
            assert [event.token for event in events if isinstance(event, Sampled)] == [7, 8, 9][:most]
            assert events[-1] == Finished("a", 0, end)

    asyncio.run(main())


def test_an_end_token_that_comes_too_early_gives_way() -> None:
    async def main() -> None:
        engine = FakeEngine(script=lambda request, choice: [8, 8, 8])
        events = await _events(engine, _request(controls=Controls(min_tokens=2), eos_tokens=(8,)))
        assert events[1:] == [Sampled("a", 0, 9), Sampled("a", 0, 9), Finished("a", 0, "stop")]

    asyncio.run(main())


def test_scores_come_with_each_token_if_they_are_asked_for() -> None:
    async def main() -> None:
        engine = FakeEngine(script=lambda request, choice: [5, 6])
        events = await _events(engine, _request(report=Report(logprobs=2, logits=True)))
        first, second = (event.scores for event in events if isinstance(event, Sampled))
        assert (first.logprob, first.top) == (-0.5, ((5, -0.5), (6, -1.5)))
        assert (second.logprob, second.top) == (-1.5, ((5, -0.5), (6, -1.5)))
        assert array("f", second.logits)[6] == 2.0
        assert len(second.logits) == 4 * engine.card.vocab_size
        assert all(event.scores is None for event in await _events(engine, _request()) if isinstance(event, Sampled))

    asyncio.run(main())
