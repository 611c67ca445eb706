"""What a scripted completion says, as one object and as a stream, in both generations."""

from __future__ import annotations

import json
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli import SyncFriendli, models
from friendli.testing import Endpoint, choice, completion

GENERATIONS = pytest.mark.parametrize("generation", [1, 2])
RESULT = models.CompletionsResult(
    choices=[], usage=models.CompletionsUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
)
LOGPROBS = {
    "text_offset": [0, 3],
    "token_logprobs": [-0.5, None],
    "tokens": ["Hel", "lo"],
    "top_logprobs": [{"Hel": -0.5}, None],
}


def sent(endpoint: Endpoint, **body: object) -> bytes:
    """What goes on the wire, as any HTTP client sees it."""
    with endpoint.http_client() as client:
        return client.post("https://host.example/v1", json=body).content


def events(endpoint: Endpoint, **body: object) -> list[object]:
    blocks = sent(endpoint, stream=True, **body).decode().split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks)
    assert blocks.pop() == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def test_the_second_generation_answers_with_this_object():
    body = json.loads(sent(Endpoint("Hello you"), model="demo:route", prompt="one two three", seed=4))
    assert body == {
        "id": "cmpl-1",
        "object": "text_completion",
        "model": "demo",
        "choices": [
            {
                "index": 0,
                "text": "Hello you",
                "seed": 4,
                "finish_reason": "stop",
                "tokens": [1, 2],
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_the_first_generation_answers_with_this_object():
    assert json.loads(sent(Endpoint("Hello you", generation=1), model="demo", tokens=[5, 6])) == {
        "choices": [{"index": 0, "text": "Hello you", "seed": 0, "tokens": [1, 2]}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


def test_the_second_generation_streams_these_events():
    reply = completion(["Hel", "lo"], finish_reason="length", tokens=[7, 8], seed=3)
    head = {"id": "cmpl-1", "object": "text_completion", "model": "demo", "created": 0}
    body = {"model": "demo", "prompt": "Hi"}
    chunks = [
        {**head, "choices": [{"index": 0, "text": "Hel", "token": 7, "finish_reason": None, "logprobs": None}]},
        {**head, "choices": [{"index": 0, "text": "lo", "token": 8, "finish_reason": None, "logprobs": None}]},
        {**head, "choices": [{"index": 0, "text": "", "seed": 3, "finish_reason": "length", "logprobs": None}]},
    ]
    assert events(Endpoint(reply), **body) == chunks
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert events(Endpoint(reply), **body, stream_options={"include_usage": True}) == [
        *chunks,
        {**head, "choices": [], "usage": usage},
    ]


def test_the_first_generation_streams_these_events():
    reply = completion(["Hel", "lo"], tokens=[7, 8], generation=1)
    assert events(Endpoint(reply), model="demo", prompt="Hi", seed=[6]) == [
        {"event": "token_sampled", "index": 0, "text": "Hel", "token": 7},
        {"event": "token_sampled", "index": 0, "text": "lo", "token": 8},
        {
            "event": "complete",
            "choices": [{"index": 0, "text": "Hello", "seed": 6, "tokens": [7, 8]}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        },
    ]


@GENERATIONS
def test_the_client_reads_the_same_from_a_stream_as_from_an_object(caller, generation):
    reply = completion(["Hel", "lo"], tokens=[7, 8], seed=3, logprobs=LOGPROBS, generation=generation, times=2)
    with Endpoint(reply):
        whole, end = caller.complete(), caller.stream()
    assert caller.seen == ["Hel", "lo"]
    assert end.choices == whole.choices
    assert end.usage == whole.usage
    assert whole.choices[0].tokens == [7, 8]
    assert whole.choices[0].logprobs == models.CompletionsLogprobs(**LOGPROBS)
    assert whole.choices[0].finish_reason == (None if generation == 1 else "stop")


@GENERATIONS
def test_several_choices_come_in_turn_and_end_where_they_end(caller, generation):
    choices = [choice(["a", "b", "c"], finish_reason="length"), choice("", seed=5), choice(["x", "y"])]
    with Endpoint(completion(choices=choices, generation=generation, times=2)):
        end, whole = caller.stream(seed=[1, 9, 2], n=3), caller.complete(seed=[1, 9, 2], n=3)
    assert caller.seen == ["a", "x", "b", "y", "c"]
    assert end.choices == whole.choices
    assert [(c.index, c.text, c.seed, c.tokens) for c in whole.choices] == [
        (0, "abc", 1, [1, 2, 3]),
        (1, "", 5, []),
        (2, "xy", 2, [1, 2]),
    ]
    assert end.usage.completion_tokens == whole.usage.completion_tokens == 5


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        ({"text": " One  two\nthree \n"}, [" One", "  two", "\nthree \n"]),
        ({"text": " \n "}, [" \n "]),
        ({"text": ""}, []),
        ({"text": "one two three", "tokens": [9, 8]}, ["one", " two three"]),
        ({"text": "one two", "tokens": [9, 8, 7, 6]}, ["one", " two", "", ""]),
        ({"text": "", "tokens": [9, 8]}, ["", ""]),
        ({"text": "Hello", "logprobs": LOGPROBS}, ["Hel", "lo"]),
        ({"text": "Hello", "logprobs": {"token_logprobs": [-1, -2]}}, ["Hello", ""]),
        ({"text": "Hello you", "logprobs": {"text_offset": [4, 0]}}, ["Hello", " you"]),
    ],
)
def test_a_text_is_cut_at_words_or_where_tokens_are_told_of(said, pieces):
    chunks = events(Endpoint(completion(**said)), model="m")
    assert [chunk["choices"][0]["text"] for chunk in chunks[:-1]] == pieces
    assert json.loads(sent(Endpoint(completion(**said)), model="m"))["choices"][0]["text"] == said["text"]


def test_the_usage_can_be_given_and_counts_words_and_pieces_otherwise():
    told = models.CompletionsUsage(prompt_tokens=50, completion_tokens=1, total_tokens=51)
    for usage in (told, told.model_dump(exclude_unset=True)):
        assert json.loads(sent(Endpoint(completion("x", usage=usage)), model="m"))["usage"] == {
            "prompt_tokens": 50,
            "completion_tokens": 1,
            "total_tokens": 51,
        }
    counted = json.loads(sent(Endpoint("a b c"), model="m", prompt=["one two", "three"]))["usage"]
    assert counted == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


@GENERATIONS
def test_further_fields_reach_the_caller(caller, generation):
    reply = completion(choices=[choice("x", extra={"mood": "good"})], extra={"news": 1}, generation=generation)
    with Endpoint(reply):
        result = caller.complete()
    assert (result.news, result.choices[0].mood) == (1, "good")


@GENERATIONS
def test_further_fields_are_in_the_events_too(generation):
    reply = completion(choices=[choice("x", extra={"mood": "good"})], extra={"news": 1}, generation=generation)
    *_, end = events(Endpoint(reply), model="m")
    assert (end["news"], end["choices"][0]["mood"]) == (1, "good")


def test_the_names_of_the_whole_can_be_others():
    body = json.loads(sent(Endpoint(completion("x", extra={"id": "cmpl-x", "model": None})), model="m"))
    assert (body["id"], body["object"], body["model"]) == ("cmpl-x", "text_completion", None)


@st.composite
def results(draw) -> models.CompletionsResult:
    """As a server of today may send them: what is said of tokens agrees in number."""
    return models.CompletionsResult(
        id=draw(st.text()),
        object="text_completion",
        model=draw(st.none() | st.text()),
        choices=[_drawn_choice(draw, index) for index in range(draw(st.integers(1, 3)))],
        usage=models.CompletionsUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    )


def _drawn_choice(draw, index: int) -> models.CompletionsChoice:
    tokens = draw(st.lists(st.integers(0, 99), max_size=4))
    count = len(tokens)
    numbers = st.floats(-9, 0, width=32)
    logprobs = st.builds(
        models.CompletionsLogprobs,
        text_offset=st.none() | st.lists(st.integers(0, 9), min_size=count, max_size=count),
        token_logprobs=st.none() | st.lists(numbers, min_size=count, max_size=count),
    )
    rows = [array("f", draw(st.lists(numbers, min_size=3, max_size=3))).tobytes() for _ in tokens]
    return models.CompletionsChoice(
        index=index,
        text=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)) if tokens else "",
        seed=draw(st.integers(0, 9)),
        finish_reason=draw(st.sampled_from(["stop", "length"])),
        tokens=tokens,
        logprobs=draw(logprobs) if tokens and draw(st.booleans()) else None,
        output_logits=models.CompletionsLogits.of(rows) if rows and draw(st.booleans()) else None,
    )


@settings(max_examples=60, deadline=None)
@given(results(), st.none() | st.integers(1, 50))
def test_a_result_is_said_as_it_is_by_an_object_and_by_a_stream(result, chunk_bytes):
    completions = SyncFriendli().dedicated.completions
    with Endpoint(completion(result, chunk_bytes=chunk_bytes, times=2)):
        assert completions.complete(model="m", prompt="x") == result
        *_, end = completions.stream(model="m", prompt="x")
    plain = [{**told.model_dump(), "logprobs": None} for told in end.data.choices]
    assert plain == [{**told.model_dump(), "logprobs": None} for told in result.choices]
    assert [_lists(told) for told in end.data.choices] == [_lists(told) for told in result.choices]
    assert end.data.usage == result.usage


def _lists(told: models.CompletionsChoice) -> dict[str, object]:
    """Its logprobs; lists that are all missing say nothing."""
    return told.logprobs.model_dump(exclude_none=True) if told.logprobs else {}


def chunks(endpoint: Endpoint) -> list[bytes]:
    """How a streamed body arrives."""
    with endpoint.http_client() as client, client.stream("POST", "https://h.example", json={"stream": True}) as answer:
        return list(answer.iter_raw())


@GENERATIONS
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_the_bytes_come_in_chunks_of_any_size(caller, generation, size):
    with Endpoint(completion(["Grüße", " 世界"], generation=generation, chunk_bytes=size)):
        assert caller.stream().choices[0].text == "Grüße 世界"
    assert caller.seen == ["Grüße", " 世界"]
    *full, last = map(len, chunks(Endpoint("Hello you", generation=generation, chunk_bytes=size)))
    assert full == [size] * len(full)
    assert 0 < last <= size


def test_an_event_is_a_chunk_unless_a_size_is_asked_for():
    events = chunks(Endpoint("one two"))
    assert len(events) == 4  # two pieces, the end of the choice, [DONE]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)


def test_headers_are_the_endpoints_unless_given():
    with Endpoint(completion("x", headers={"X-Request-Id": "mine", "x-more": "1"}), "y").http_client() as client:
        given, own = (client.post("https://h.example", json={}) for _ in range(2))
    assert (given.headers["x-request-id"], given.headers["x-more"]) == ("mine", "1")
    assert own.headers["x-request-id"] == "req-2"
    assert int(own.headers["content-length"]) == len(own.content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (completion, "give the text or its choices"),
        (lambda: completion("x", choices=[choice("y")]), "give the text or its choices"),
        (lambda: completion(choices=[choice("y")], seed=1), "seed belongs to a choice"),
        (
            lambda: completion(["a", "b"], tokens=[1]),
            "tokens should have one entry per piece of the text, 2, but has 1",
        ),
        (lambda: completion(["a"], logprobs=LOGPROBS), "logprobs.text_offset should have one entry per piece"),
        (lambda: completion("a", tokens=[]), "tokens and logprobs should be left out"),
        (lambda: completion("a", delay=-1), "delay should be seconds from 0, not -1"),
        (lambda: completion("a", pace=float("nan")), "pace should be seconds from 0, not nan"),
        (lambda: completion("a", times=0), "times should be 1 or more, not 0"),
        (lambda: completion("a", chunk_bytes=0), "chunk_bytes should be 1 or more, not 0"),
        (lambda: completion("a", generation=3), "generation should be 1 or 2, not 3"),
        (lambda: completion("a", then="explode"), "then should be one of reset, close, end, stall, not 'explode'"),
        (lambda: completion(RESULT, extra={"a": 1}), "a result has its own usage and further fields"),
        (lambda: completion(RESULT, seed=1), "seed belongs to a choice"),
        (lambda: Endpoint(generation=0), "generation should be 1 or 2, not 0"),
        (lambda: Endpoint(chunk_bytes=0), "chunk_bytes should be 1 or more, not 0"),
    ],
)
def test_what_cannot_be_said_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_pieces_are_strings():
    with pytest.raises(TypeError, match="text should be a string or a list of strings, but holds int"):
        completion(["a", 0])
