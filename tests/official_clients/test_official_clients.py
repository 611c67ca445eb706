"""Three generations of the official client, and OpenAI's, as they are on the package index, against our endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clients_answers import body_for, check, counts, events_of
from clients_kit import NEWEST, OPENAI, Client

if TYPE_CHECKING:
    from clients_kit import Caller, Narrator, Place

pytestmark = pytest.mark.reference

CASES: dict[str, dict[str, object]] = {
    "a prompt": {},
    "a length, in the middle of a character": {"max_tokens": 12},
    "two choices": {"n": 2},
    "a stop phrase": {"stop": ["nothing", ". The"]},
    "an adapter's route": {"model": "demo:route"},
}
TODAYS_CASES: dict[str, dict[str, object]] = {
    "several prompts": {"prompt": ["Hi", "Ho"], "n": 2},
    "log-probabilities": {"logprobs": 2, "max_tokens": 16},
}


def only(*clients: Client) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "caller", clients, indirect=True, scope="session", ids=[client.name for client in clients]
    )


def cases(of: dict[str, dict[str, object]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fields", of.values(), ids=of.keys())


two_ways = pytest.mark.parametrize("way", ["complete", "stream_async"])
streamed = pytest.mark.parametrize("way", ["stream", "stream_async"])


@cases(CASES)
def test_a_call_gives_what_a_plain_request_gives(caller: Caller, way: str, place: Place, fields: dict) -> None:
    check(caller, way, place, body_for(caller.client, **fields))


@only(NEWEST, OPENAI)
@cases(TODAYS_CASES)
def test_what_only_todays_clients_can_ask_for_is_what_a_plain_request_gives(
    caller: Caller, way: str, place: Place, fields: dict
) -> None:
    check(caller, way, place, body_for(caller.client, **fields))


def test_a_prompt_of_tokens_gives_what_a_plain_request_gives(caller: Caller, way: str, place: Place) -> None:
    body = body_for(caller.client, tokens=list(b"Hi"))
    del body["prompt"]
    check(caller, way, place, body)


@only(NEWEST, OPENAI)
@streamed
def test_a_stream_ends_with_the_usage_if_that_is_asked_for(caller: Caller, way: str, place: Place) -> None:
    body = body_for(caller.client)
    silent = events_of(caller.call(way, place, body))
    *before, last = events_of(caller.call(way, place, body | {"stream_options": {"include_usage": True}}))
    assert counts(last["usage"]) == counts(place.plain(body)["usage"])
    assert last["choices"] == []
    assert [event.get("usage") for event in [*silent, *before]] == [None] * (len(silent) + len(before))


def test_a_call_is_counted_for_the_team_that_it_names(caller: Caller, way: str, place: Place) -> None:
    body = body_for(caller.client)
    expected = counts(place.plain(body)["usage"])
    before = counts(place.used_by("acme"))
    assert "error" not in caller.call(way, place, body, team="acme")
    after = counts(place.used_by("acme"))
    assert {name: after[name] - before[name] for name in after} == expected


@two_ways
@pytest.mark.parametrize(
    ("status", "fields", "said"),
    [
        (404, {"model": "other"}, "There is no endpoint 'other'"),
        (404, {"model": "demo:nobody"}, "nobody"),
        (422, {"max_tokens": -1}, "max_tokens: should be greater than or equal to 1."),
    ],
)
def test_what_is_refused_is_a_typed_error_with_our_words(
    caller: Caller, way: str, place: Place, status: int, fields: dict, said: str
) -> None:
    error = caller.call(way, place, body_for(caller.client, **fields))["error"]
    assert (error["type"], error["status"]) == (caller.client.error(status), status)
    assert said in error["text"]


def test_a_wrong_token_is_a_typed_error_that_does_not_show_it(caller: Caller, way: str, place: Place) -> None:
    error = caller.call(way, place._replace(token="flp_wrong"), body_for(caller.client))["error"]
    assert (error["type"], error["status"]) == (caller.client.error(401), 401)
    assert "The token is not valid for this server." in error["text"]
    assert "flp_wrong" not in error["text"]


def test_a_full_server_is_a_typed_error_to_a_client_that_asks_once(
    caller: Caller, way: str, place: Place, engine: Narrator
) -> None:
    engine.refusals = 1
    error = caller.call(way, place, body_for(caller.client))["error"]
    assert engine.refusals == 0
    assert (error["type"], error["status"]) == (caller.client.error(429), 429)
    assert "There is no room now." in error["text"]


@two_ways
def test_a_client_that_asks_again_gets_its_answer_when_there_is_room(
    caller: Caller, way: str, place: Place, engine: Narrator
) -> None:
    engine.refusals = 1
    answer = caller.call(way, place, body_for(caller.client), retry=True)
    assert engine.refusals == 0
    assert "error" not in answer


@only(OPENAI)
@pytest.mark.parametrize("way", ["complete"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user": "me"}, "unknown field 'user'"),
        ({"echo": True}, "unknown field 'echo'"),
        ({"best_of": 2}, "unknown field 'best_of'"),
        ({"suffix": "!"}, "unknown field 'suffix'"),
        ({"logit_bias": {"50256": -100}}, "unknown field 'logit_bias'"),
        ({"stop": "The"}, "stop should be a list, also of a single item."),
        ({"prompt": [72, 105]}, "prompt should be a string or a non-empty list of strings."),
    ],
)
def test_what_the_endpoint_does_not_take_is_refused_by_name(
    caller: Caller, way: str, place: Place, fields: dict, said: str
) -> None:
    error = caller.call(way, place, body_for(caller.client) | fields)["error"]
    assert error["type"] == "openai.UnprocessableEntityError"
    assert said in error["text"]
