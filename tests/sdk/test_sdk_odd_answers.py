"""Answers that are not as they should be: what can be kept is kept, and what is wrong is told with what came before."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from sdk_stub import FIRST, RESULT, SECOND, USAGE, data, second

from friendli import SyncFriendli, errors
from friendli.testing import Endpoint, choice, completion, failure, raw

ASKED = {"model": "demo", "prompt": "Hi"}
DONE = data(b"[DONE]")
GENERATIONS = pytest.mark.parametrize("generation", [1, 2])


def events(*chunks: bytes):
    return raw(list(chunks), content_type="text/event-stream")


def whole(value: object):
    return raw(json.dumps(value).encode())


def piece(index: int, text: str, **more: object) -> dict[str, object]:
    return {"index": index, "text": text, "token": 1, **more}


def logits(*numbers: float, shape: list[int]) -> dict[str, object]:
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    return {"shape": shape, "dtype": "float32", "data": base64.b64encode(packed).decode()}


def failed(caller, kind: type[errors.SDKError], *chunks: bytes) -> tuple[errors.SDKError, list]:
    """What reading these chunks raises, and the events before it."""
    client = caller()
    with Endpoint(events(*chunks)), pytest.raises(kind) as caught:
        client.events(**ASKED)
    return caught.value, client.events.seen


def as_event(generation: int, piece: dict[str, object]) -> bytes:
    """One piece as that generation sends it."""
    return data({"event": "token_sampled", **piece}) if generation == 1 else second(choices=[piece])


def texts(seen: list) -> list[str]:
    return [event.data.text for event in seen]


# Parts that do not fit


@pytest.mark.parametrize(
    "said",
    [
        {"shape": [1, 1], "data": "abc"},
        logits(1, 2, shape=[1, 3]),
        logits(1, 2, shape=[2, 2]),
        {"shape": [1], "data": ""},
        {"shape": [1, 1], "data": "\u20ac"},
    ],
)
@GENERATIONS
def test_logits_that_cannot_be_read_are_an_unreadable_stream(caller, said, generation):
    event = as_event(generation, piece(0, "b", output_logits=said))
    error, seen = failed(caller, errors.InvalidResponseError, SECOND[0], event)
    assert (texts(seen), error.text, error.body) == (["Hello"], "Hello", event[6:-2].decode())


@pytest.mark.parametrize("token", [2**63, -(2**63) - 1, 10**30])
@GENERATIONS
def test_a_token_beyond_64_bits_is_an_unreadable_stream(caller, token, generation):
    event = as_event(generation, piece(0, "b", token=token))
    error, seen = failed(caller, errors.InvalidResponseError, SECOND[0], event)
    assert (texts(seen), error.text, error.body) == (["Hello"], "Hello", event[6:-2].decode())


def test_the_largest_token_that_fits_is_read(caller):
    with Endpoint(events(second(choices=[piece(0, "a", token=2**63 - 1)]), DONE)):
        *_, end = caller().events(**ASKED)
    assert end.data.choices[0].tokens == [2**63 - 1]


@pytest.mark.parametrize("odd", [b"{", b"[1]", b'"a"', b"null", b'{"foo": 1}', b'{"choices": [5]}', b"\xff"])
def test_what_cannot_be_read_keeps_the_text_before_it_and_is_shown_itself(caller, odd):
    error, seen = failed(caller, errors.InvalidResponseError, SECOND[0], data(odd))
    assert (texts(seen), error.text, error.choices[0].tokens) == (["Hello"], "Hello", [1])
    assert error.body == odd.decode("utf-8", "replace")


def test_a_good_piece_is_yielded_before_the_bad_one_of_the_same_chunk(caller):
    error, seen = failed(caller, errors.InvalidResponseError, second(choices=[piece(0, "a"), piece("1", "b")]))
    assert (texts(seen), error.text) == (["a"], "a")


def test_the_text_of_an_error_is_that_of_the_first_choice_and_of_no_other(caller):
    error, _ = failed(caller, errors.StreamTruncatedError, second(choices=[piece(1, "ONE")]))
    assert (error.text, error.choices[0].text) == ("", "ONE")


def test_the_text_of_a_stream_is_that_of_the_first_choice_and_of_no_other():
    with Endpoint(events(second(choices=[piece(1, "ONE")]), DONE)), SyncFriendli() as client:
        assert client.dedicated.completions.stream(**ASKED).text() == ""


@GENERATIONS
def test_an_end_without_a_choice_is_no_end(caller, generation):
    end = data({"event": "complete", "choices": [], "usage": USAGE}) if generation == 1 else second(usage=USAGE)
    error, seen = failed(caller, errors.InvalidResponseError, end, DONE)
    assert (seen, error.text) == ([], "")


# Parts that can be kept


@GENERATIONS
def test_rows_of_logits_that_come_together_are_as_many_in_the_whole(caller, generation):
    odd = piece(0, "ab", output_logits=logits(1, 2, 3, 4, 5, 6, shape=[2, 3]))
    last = piece(0, "c", output_logits=logits(7, 8, 9, shape=[1, 3]))
    said = [
        data({"event": "token_sampled", **one}) if generation == 1 else second(choices=[one]) for one in (odd, last)
    ]
    with Endpoint(events(*said, DONE)):
        *_, end = caller().events(**ASKED)
    told = end.data.choices[0].output_logits
    assert told.shape == (3, 3)
    assert [list(row) for row in told.rows()] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_half_a_character_keeps_its_log_probabilities(caller):
    half = {"tokens": ["bytes:\\xe2"], "token_logprobs": [-1.0], "text_offset": [0], "top_logprobs": None}
    rest = {"tokens": ["x"], "token_logprobs": [-2.0], "text_offset": [0], "top_logprobs": None}
    said = [{"index": 0, "text": text, "logprobs": of} for text, of in (("", half), ("x", rest))]
    with Endpoint(events(*(second(choices=[one]) for one in said), DONE)):
        *pieces, end = caller().events(**ASKED)
    assert texts(pieces) == ["", "x"]
    assert end.data.choices[0].logprobs.tokens == ["bytes:\\xe2", "x"]
    assert end.data.choices[0].logprobs.token_logprobs == [-1.0, -2.0]


@GENERATIONS
def test_a_token_without_text_is_an_event(caller, generation):
    with Endpoint(completion(["a", "", "b"], tokens=[5, 6, 7], generation=generation)):
        *pieces, end = caller().events(**ASKED)
    assert [(event.data.text, event.data.token) for event in pieces] == [("a", 5), ("", 6), ("b", 7)]
    assert end.data.choices[0].tokens == [5, 6, 7]


@GENERATIONS
def test_a_stream_gives_the_same_whole_as_a_call_with_all_that_is_not_known_yet(generation):
    reply = completion(
        choices=[choice("Hello you", seed=3, extra={"mood": "fine"}), choice("Bye", extra={"mood": None, "z": [1]})],
        extra={"system_fingerprint": "fp", "timings": {"ms": 5}},
        generation=generation,
        times=2,
    )
    with Endpoint(reply), SyncFriendli() as client:
        called = client.dedicated.completions.complete(**ASKED, n=2)
        streamed = client.dedicated.completions.stream(**ASKED, n=2).final()
    assert streamed.model_extra == called.model_extra == {"system_fingerprint": "fp", "timings": {"ms": 5}}
    assert streamed.choices[0].model_extra == called.choices[0].model_extra == {"mood": "fine"}
    assert streamed.choices[1].model_extra["z"] == [1]
    assert streamed.usage == called.usage


def test_what_one_chunk_says_of_the_whole_no_silent_one_takes_away():
    said = [
        second(id="cmpl-9", model="m", choices=[piece(0, "a")]),
        second(id=None, model=None, choices=[piece(0, "b")]),
        second(id=None, model=None, choices=[{"index": 0, "text": "", "finish_reason": "stop"}]),
        second(id=None, usage=USAGE, service_tier="low"),
    ]
    with Endpoint(events(*said, DONE)), SyncFriendli() as client:
        result = client.dedicated.completions.stream(**ASKED).final()
    assert (result.id, result.object, result.model) == ("cmpl-9", "text_completion", "m")
    assert result.model_extra == {"service_tier": "low"}


def test_a_finish_reason_that_is_null_in_words_is_none(caller):
    said = [piece(0, "a", finish_reason="null"), piece(1, "b", finish_reason="stop")]
    with Endpoint(events(second(choices=said), DONE)):
        *_, end = caller().events(**ASKED)
    assert [one.finish_reason for one in end.data.choices] == [None, "stop"]


@pytest.mark.parametrize("generation", [FIRST, SECOND], ids=["first", "second"])
def test_an_event_without_data_is_a_sign_of_life(caller, generation):
    silence = b"data: \n\n"
    with Endpoint(events(silence, generation[0], b"data:\n\n", silence, *generation[1:])):
        *pieces, end = caller().events(**ASKED)
    assert (texts(pieces), end.data.choices[0].text) == (["Hello", " you"], "Hello you")


@pytest.mark.parametrize("name", ["model_dump", "model_dump_json", "event"])
def test_an_unknown_field_takes_no_methods_place(caller, name):
    odd = {"event": "token_sampled", **piece(0, "a", seen=1)}
    chunk = {"choices": [{**odd, name: 5}]}
    with Endpoint(events(data(chunk), DONE)):
        first, _ = caller().events(**ASKED)
    assert first.model_dump()["data"]["seen"] == 1
    assert (first.data.event, json.loads(first.model_dump_json())["data"]["text"]) == ("token_sampled", "a")


# Errors where none should be


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"choices": [], "error": {"message": "boom"}}, "boom"),
        ({"choices": [piece(0, "b", finish_reason="error")], "error": {"message": "boom"}}, "boom"),
        ({"choices": [piece(0, "b")], "error": "boom"}, "boom"),
        ({"event": "token_sampled", **piece(0, "b"), "error": {"message": "boom"}}, "boom"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"message": "boom"}, "boom"),
        ({"detail": "boom"}, "boom"),
        ({"detail": [{"loc": ["body", "n"], "msg": "boom"}]}, "n: boom"),
        ({"error": {}}, "the endpoint failed while it streamed"),
        ({"error": {"message": "  "}}, "the endpoint failed while it streamed"),
    ],
)
def test_an_error_inside_a_stream_is_the_endpoints_in_every_shape(caller, said, message):
    event = data(said)
    error, seen = failed(caller, errors.APIStreamError, SECOND[0], event, *SECOND[1:])
    assert (error.message, error.text, texts(seen)) == (message, "Hello", ["Hello"])
    assert error.body == event[6:-2].decode()


def test_an_error_of_null_is_none(caller):
    with Endpoint(events(second(choices=[piece(0, "a")], error=None), DONE)):
        assert len(caller().events(**ASKED)) == 2


@pytest.mark.parametrize("said", [{"error": {"message": "boom"}}, {"error": "boom"}, {**RESULT, "error": "boom"}])
def test_an_error_with_a_good_status_is_an_error_that_says_it(caller, said):
    with Endpoint(whole(said)), pytest.raises(errors.InvalidResponseError, match="boom") as caught:
        caller().complete(**ASKED)
    assert (caught.value.status_code, json.loads(caught.value.body)) == (200, said)


def test_a_good_answer_with_an_error_of_null_is_good(caller):
    with Endpoint(whole({**RESULT, "error": None})):
        assert caller().complete(**ASKED).choices[0].text == "Hello you"


def test_what_an_endpoint_says_is_one_line_that_is_safe_to_print(caller):
    said = {"message": "\x1b[31mred\x07\r\nfake\u2028 log", "type": "a\nb", "request_id": "x\ny", "field": "p\x00q"}
    body = json.dumps({"error": said}).encode()
    with Endpoint(raw(body, status=400)), pytest.raises(errors.BadRequestError) as caught:
        caller().complete(**ASKED)
    told = caught.value
    assert str(told).isprintable()
    assert (told.message, told.type, told.request_id, told.field) == ("[31mred   fake  log", "a b", "x y", "p q")
    assert told.body == body.decode()


def test_a_message_without_end_is_cut(caller):
    with Endpoint(failure(422, "x" * 100_000)), pytest.raises(errors.UnprocessableEntityError) as caught:
        caller().complete(**ASKED)
    assert caught.value.message == "x" * 2000
    assert len(caught.value.body) > 100_000


def test_the_field_may_have_the_name_that_other_servers_use(caller):
    body = json.dumps({"error": {"message": "too many", "param": "max_tokens"}}).encode()
    with Endpoint(raw(body, status=400)), pytest.raises(errors.BadRequestError) as caught:
        caller().complete(**ASKED)
    assert caught.value.field == "max_tokens"


@pytest.mark.parametrize("said", [{"message": "  "}, {"message": 5}, {}])
def test_an_error_that_says_nothing_is_named_by_its_status(caller, said):
    with Endpoint(raw(json.dumps({"error": said}).encode(), status=418)), pytest.raises(errors.APIError) as caught:
        caller().complete(**ASKED)
    assert caught.value.message == "the endpoint answered with HTTP status 418"
