"""What a completion is: texts, tokens, choices, seeds, stops and counts."""

from __future__ import annotations

import time

import pytest
from server_kit import EOS, Server, events, play, says

from friendli._fold import CompletionFold
from friendli_endpoint.engine.fake import FakeEngine


def test_a_completion_has_the_documented_shape() -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(prompt="Hi", max_tokens=20, seed=42)
        key = reply.headers["x-request-id"].removeprefix("req-")
        assert reply.status_code == 200
        told = reply.json()
        assert abs(told["created"] - time.time()) < 60
        assert told == {
            "id": f"cmpl-{key}",
            "object": "text_completion",
            "created": told["created"],
            "model": "demo",
            "choices": [
                {
                    "index": 0,
                    "text": "Hello.",
                    "seed": 42,
                    "finish_reason": "stop",
                    "tokens": list(b"Hello."),
                    "logprobs": None,
                }
            ],
            "usage": {
                "prompt_tokens": 2,
                "completion_tokens": 6,
                "total_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        }

    play(scenario, FakeEngine(script=says("Hello.")))


def test_max_tokens_cuts_with_reason_length() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(max_tokens=3)).json()["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("Hel", "length")
        (choice,) = (await server.post(max_tokens=None, max_total_tokens=4)).json()["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("He", "length")

    play(scenario, FakeEngine(script=says("Hello.")))


def test_without_a_bound_the_context_is_the_bound() -> None:
    async def scenario(server: Server) -> None:
        await server.post(max_tokens=None, prompt="12345")
        (request,) = server.engine.submitted
        assert request.max_tokens == server.engine.card.longest_sequence - 5

    play(scenario, FakeEngine(script=says("")))


def test_tokens_as_prompt_are_taken_as_they_are() -> None:
    async def scenario(server: Server) -> None:
        reply = await server.post(prompt=None, tokens=[72, EOS, 0])
        assert reply.json()["usage"]["prompt_tokens"] == 3
        assert server.engine.submitted[0].prompt == (72, EOS, 0)

    play(scenario)


def test_prompts_and_n_number_the_choices_by_prompt_first() -> None:
    engine = FakeEngine(script=lambda request, choice: bytes(request.prompt) + b"%d" % choice)

    async def scenario(server: Server) -> None:
        reply = (await server.post(prompt=["a", "b"], n=3)).json()
        assert [(c["index"], c["text"]) for c in reply["choices"]] == list(
            enumerate(["a0", "a1", "a2", "b0", "b1", "b2"])
        )
        assert reply["usage"]["prompt_tokens"] == 2
        assert reply["usage"]["completion_tokens"] == 12

    play(scenario, engine)


def test_one_seed_counts_up_over_the_choices_and_wraps_at_64_bits() -> None:
    async def scenario(server: Server) -> None:
        choices = (await server.post(n=3, seed=2**64 - 2)).json()["choices"]
        assert [choice["seed"] for choice in choices] == [2**64 - 2, 2**64 - 1, 0]

    play(scenario)


def test_a_list_of_seeds_gives_one_to_each_choice() -> None:
    async def scenario(server: Server) -> None:
        choices = (await server.post(n=2, seed=[7, 3])).json()["choices"]
        assert [choice["seed"] for choice in choices] == [7, 3]

    play(scenario)


def test_without_a_seed_each_choice_gets_one_of_63_random_bits() -> None:
    async def scenario(server: Server) -> None:
        seeds = [choice["seed"] for choice in (await server.post(n=8, seed=None)).json()["choices"]]
        assert len(set(seeds)) == 8
        assert all(0 <= seed < 2**63 for seed in seeds)

    play(scenario)


def test_any_choice_can_be_had_alone_again_by_its_echoed_seed() -> None:
    async def scenario(server: Server) -> None:
        for choice in (await server.post(n=4, seed=None)).json()["choices"]:
            (again,) = (await server.post(seed=choice["seed"])).json()["choices"]
            assert again["tokens"] == choice["tokens"]

    play(scenario)


def test_a_stop_phrase_ends_the_text_before_it_and_frees_the_engine() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(stop=["END", "zzz"], max_tokens=100)).json()["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("one two ", "stop")
        assert choice["tokens"] == list(b"one two ")
        assert server.engine.aborted == [(server.engine.submitted[0].id, 0)]
        assert not server.engine.live

    play(scenario, FakeEngine(script=says("one two END three" * 5)))


def test_a_stopped_choice_leaves_the_other_choices_alone() -> None:
    engine = FakeEngine(script=lambda request, choice: [b"aa!bbbbbb", b"cccccccc"][choice])

    async def scenario(server: Server) -> None:
        reply = (await server.post(stop=["!"], n=2)).json()
        assert [choice["text"] for choice in reply["choices"]] == ["aa", "cccccccc"]
        assert [choice["finish_reason"] for choice in reply["choices"]] == ["stop", "length"]
        assert reply["usage"]["completion_tokens"] == 10
        assert engine.aborted == [(engine.submitted[0].id, 0)]

    play(scenario, engine)


def test_eos_tokens_of_the_body_replace_those_of_the_model() -> None:
    async def scenario(server: Server) -> None:
        (choice,) = (await server.post(eos_token=[ord("l")])).json()["choices"]
        assert (choice["text"], choice["tokens"], choice["finish_reason"]) == ("He", list(b"He"), "stop")
        await server.post()
        assert [request.eos_tokens for request in server.engine.submitted] == [(ord("l"),), (EOS,)]

    play(scenario, FakeEngine(script=says("Hello.")))


def test_controls_reach_the_engine_and_silence_is_their_default() -> None:
    async def scenario(server: Server) -> None:
        await server.post(temperature=0.5, top_k=3, top_p=0.25)
        await server.post()
        first, second = (request.controls for request in server.engine.submitted)
        assert (first.temperature, first.top_k, first.top_p) == (0.5, 3, 0.25)
        assert (second.temperature, second.top_k, second.top_p) == (1.0, 0, 1.0)

    play(scenario)


def test_what_the_first_client_sends_unasked_is_accepted() -> None:
    unasked = {
        "beam_search_type": "DETERMINISTIC",
        "early_stopping": False,
        "encoder_no_repeat_ngram": 1,
        "min_tokens": 0,
        "n": 1,
        "no_repeat_ngram": 1,
        "stream": False,
        "top_k": 0,
    }

    async def scenario(server: Server) -> None:
        assert (await server.post(**unasked)).status_code == 200

    play(scenario)


@pytest.mark.parametrize(
    "fields",
    [{}, {"n": 3}, {"prompt": ["a", "b", "c"], "n": 2}, {"stop": ["x", "ab"], "n": 4, "max_tokens": 200}],
    ids=["one", "n", "prompts", "stop"],
)
def test_the_plain_reply_equals_the_folded_stream(fields: dict[str, object]) -> None:
    async def scenario(server: Server) -> None:
        plain = (await server.post(**fields)).json()
        stream = await server.post(**fields, stream=True, stream_options={"include_usage": True})
        *chunks, usage = events(stream.text)
        fold = CompletionFold()
        for chunk in chunks:
            (choice,) = chunk["choices"]
            if choice["finish_reason"]:
                fold.finish(choice["index"], choice["finish_reason"], choice["seed"])
            else:
                fold.token(choice["index"], choice["text"], choice["token"])
        assert [choice.model_dump() for choice in fold.choices()] == plain["choices"]
        assert usage["usage"] == plain["usage"]

    play(scenario)


def test_text_of_several_bytes_is_never_cut_inside_a_character() -> None:
    async def scenario(server: Server) -> None:
        stream = events((await server.post(stream=True, max_tokens=100)).text)
        choices = [event["choices"][0] for event in stream]
        assert "".join(choice["text"] for choice in choices) == "Grüße, 世界 🙂"
        assert [choice["token"] for choice in choices if "token" in choice] == list("Grüße, 世界 🙂".encode())
        assert all("\ufffd" not in choice["text"] for choice in choices)

    play(scenario, FakeEngine(script=says("Grüße, 世界 🙂")))


def test_the_model_names_the_endpoint_and_nothing_else_is_known() -> None:
    async def scenario(server: Server) -> None:
        for model, problem in (
            ("other", "no endpoint 'other'"),
            ("demo:fr", "no adapter 'fr'"),
            ("demo:", "no adapter"),
        ):
            reply = await server.post(model=model)
            assert reply.status_code == 404
            assert reply.json()["error"]["field"] == "model"
            assert problem in reply.json()["error"]["message"]

    play(scenario)
