"""Errors say what happened, survive pickling, and never show a token or a prompt."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from friendli import Friendli, SDKError, errors, models
from friendli._answers import Complaint, complaint_in, status_error
from friendli._call import Call, Limits, Reply
from friendli._retry import NoRetry
from friendli._watch import Watch

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SDKError)]


def reply(body: object, status: int = 422, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, content, 0)


def test_the_tree_at_the_top_of_the_module_is_the_tree():
    drawn = [
        line.split()[0]
        for line in errors.__doc__.replace("│", " ").replace("├──", "").replace("└──", "").split("\n")
        if "Error" in line
    ]
    assert sorted(drawn) == sorted(kind.__name__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_hashed_copied_and_pickled(kind):
    error = kind("what")
    error.status_code, error.body, error.request_id, error.raw_response = 500, "b", "r", lambda: None
    if isinstance(error, (errors.APIStreamError, errors.StreamTruncatedError)):
        error.choices = [models.CompletionsChoice(index=0, text="so far")]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(twin) is kind
        assert {**vars(twin), "raw_response": 0} == {**vars(error), "raw_response": 0}
        assert str(twin) == str(error) == "what (status 500, request r)"
    assert len({error, error}) == 1


def test_an_error_can_be_made_as_documented():
    error = SDKError("what", 404, "body", None)
    assert (error.message, error.status_code, error.body, error.raw_response) == ("what", 404, "body", None)
    assert models.SDKError is SDKError
    assert (SDKError("x").status_code, dict(SDKError("x").headers)) == (-1, {})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (413, errors.APIError),
        (422, errors.UnprocessableEntityError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (503, errors.InternalServerError),
        (304, errors.APIError),
    ],
)
def test_every_status_has_its_class(status, kind):
    assert type(status_error(reply({}, status))) is kind


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"error": {"message": "m", "type": "t", "field": "f", "request_id": "r"}}, Complaint("m", "t", "f", "r")),
        ({"error": {"message": "m", "field": None, "code": 5}}, Complaint("m")),
        ({"error": {"message": 5}}, Complaint()),
        ({"error": "m"}, Complaint("m")),
        ({"detail": "m"}, Complaint("m")),
        ({"message": "m"}, Complaint("m")),
        (
            {"detail": [{"loc": ["body", "n"], "msg": "m", "type": "t", "input": "secret"}]},
            Complaint("n: m", field="n"),
        ),
        ({"detail": [{"msg": "m"}]}, Complaint("m")),
        ({"detail": []}, Complaint()),
        ([], Complaint()),
        ("text", Complaint()),
        (None, Complaint()),
    ],
)
def test_error_bodies_of_every_known_shape_are_read(body, complaint):
    assert complaint_in(body) == complaint


def test_an_error_answer_keeps_all_that_the_endpoint_said():
    body = {"error": {"message": "bad n", "type": "invalid_request", "field": "n", "request_id": "req-1"}}
    error = status_error(reply(body, 422, **{"x-other": "o"}), retry_after=2.0)
    assert (error.message, error.type, error.field, error.request_id) == ("bad n", "invalid_request", "n", "req-1")
    assert (error.status_code, json.loads(error.body), error.headers["x-other"], error.retry_after) == (
        422,
        body,
        "o",
        2.0,
    )
    assert str(error) == "bad n (status 422, request req-1)"


@pytest.mark.parametrize("body", [b"<html>secret prompt</html>", b"", b"\xff\xfe", b"[" * 100_000])
def test_an_error_body_that_is_no_json_stays_out_of_the_message(body):
    error = status_error(reply(body, 502, **{"x-request-id": "req-9"}))
    assert str(error) == "the endpoint answered with HTTP status 502 (status 502, request req-9)"


def test_no_repr_shows_a_token_or_a_prompt():
    client = Friendli("flp_secret", http_headers={"x-key": "secret"})
    call = Call(
        "http://x", {"authorization": "secret"}, b"secret", False, Limits(1, 1, 1), NoRetry(), 1, lambda: "secret"
    )
    send = call.attempt(Watch(lambda: 0.0))
    shown = [repr(thing) for thing in (client, client._settings, call, send, reply(b"secret"))]
    assert "secret" not in " ".join(shown)
