"""A redirected request goes only where it may, and takes along only what it may."""

from __future__ import annotations

import httpx2
import pytest

from friendli import Friendli, errors
from friendli._call import Limits, Reply, Send
from friendli._redirect import next_hop
from friendli.testing import Endpoint, redirect

ASKED = {"model": "demo", "prompt": "Hi"}
HERE = "https://here.example/dedicated/v1/completions"


def hop(location: str | None, status: int = 307, *, url: str = HERE, method: str = "POST") -> Send | None:
    headers = {"authorization": "Bearer t", "accept": "a", "x-team": "t", "idempotency-key": "k"}
    send = Send(url, headers, b"{}", False, Limits(1, 1, 1), 1.0, method)
    return next_hop(send, Reply(status, {} if location is None else {"location": location}, b"", 0.0))


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/x", "https://here.example/x"),
        ("x?y=1#z", "https://here.example/dedicated/v1/x?y=1"),
        ("//here.example:443/x", "https://here.example:443/x"),
        ("HTTPS://HERE.example/x", "https://HERE.example/x"),
    ],
)
def test_on_the_same_origin_everything_goes_along(location, there):
    send = hop(location)
    assert (send.url, send.abroad, send.headers["authorization"]) == (there, False, "Bearer t")


@pytest.mark.parametrize("location", ["https://there.example/x", "https://here.example:8443/x", "//a.here.example/x"])
def test_on_another_origin_only_what_the_client_itself_says_goes_along(location):
    send = hop(location)
    assert (send.abroad, set(send.headers)) == (True, {"accept", "idempotency-key"})


def test_the_usual_step_from_http_to_https_keeps_the_token():
    assert not hop("https://here.example/x", url="http://here.example/x").abroad
    assert hop("https://here.example:8443/x", url="http://here.example/x").abroad
    assert hop("https://here.example/x", url="http://here.example:8080/x").abroad


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "http://here.example/x",
        "ftp://here.example/x",
        "https://[::1/x",
        "https://here.example:0/",
    ],
)
def test_nothing_leads_to_an_address_that_is_none_or_back_to_http(location):
    assert hop(location) is None


@pytest.mark.parametrize("status", [301, 302, 303, 304, 200])
def test_a_body_goes_only_where_it_is_asked_to_go_unchanged(status):
    assert hop("/x", status) is None
    assert (hop("/x", status, method="GET") is not None) == (status in (301, 302, 303))


def test_a_call_follows_with_the_same_key_and_without_the_token_abroad(caller):
    with Endpoint(redirect("/there"), redirect("https://other.example/x", 308), "Hi") as endpoint:
        result = caller(x_friendli_team="t", http_headers={"x-mine": "m"}).complete(**ASKED)
    first, second, third = endpoint.requests
    assert result.choices[0].text == "Hi"
    assert len({request.idempotency_key for request in endpoint.requests}) == 1
    assert (second.path, second.headers["authorization"], second.team) == ("/there", "Bearer flp_secret", "t")
    assert third.url == "https://other.example/x"
    assert not {"authorization", "x-friendli-team", "x-mine", "cookie"} & third.headers.keys()
    assert third.content == first.content


def test_what_a_client_of_ones_own_adds_does_not_go_abroad():
    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if request.url.host == "here":
            return httpx2.Response(307, headers={"location": "http://there/x"})
        return httpx2.Response(401, json={})

    seen: list[httpx2.Request] = []
    own = httpx2.Client(
        transport=httpx2.MockTransport(answer), auth=("u", "p"), headers={"x-key": "k"}, params={"q": "1"}
    )
    with own, pytest.raises(errors.AuthenticationError):
        Friendli("t", server_url="http://here", client=own).dedicated.completions.complete(**ASKED)
    assert seen[0].headers["x-key"] == "k"
    assert not {"x-key", "authorization"} & seen[1].headers.keys()
    assert str(seen[1].url) == "http://there/x"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_drop_the_body_is_an_error_that_names_the_place(caller, status):
    with (
        Endpoint(redirect("https://me:secret@new.example/v9?k=secret", status)),
        pytest.raises(errors.APIError) as caught,
    ):
        caller().complete(**ASKED)
    assert str(caught.value).startswith(
        f"the endpoint answered with HTTP status {status}; it redirects to https://new.example"
    )
    assert "secret" not in str(caught.value)
    assert caught.value.status_code == status


def test_redirects_in_a_circle_end(caller):
    with Endpoint(default=redirect("/again")) as endpoint, pytest.raises(errors.APIConnectionError, match="too often"):
        caller().complete(**ASKED)
    assert len(endpoint.requests) == 6
