"""Bounds at their edges: one less passes, one more does not."""

from __future__ import annotations

import json
import math
from base64 import b64encode

import pytest
from sdk_stub import RESULT

from friendli import SyncFriendli, errors, utils
from friendli._fold import CompletionFold
from friendli._retry import ConfiguredRetry, DefaultRetry, RetryBudget, Setback, Trouble, retry_after
from friendli._sse import EventTooLargeError, ServerSentEvent, SSEDecoder
from friendli.hooks import Hooks
from friendli.models.response import CompletionsLogits
from friendli.testing import Endpoint, failure, raw, redirect, refused

ASKED = {"model": "demo", "prompt": "Hi"}
LARGEST_ANSWER = 64 * 2**20
LONGEST_SPAN = 2**31 - 1


# When to try again


def setback(status: int = 500, **headers: str) -> Setback:
    return Setback(Trouble.STATUS, status, {name.replace("_", "-"): value for name, value in headers.items()}, 0.0)


def default(budget: RetryBudget, total: float = 10.0, draw: float = 0.0) -> DefaultRetry:
    return DefaultRetry(budget, total, lambda: draw)


def retries_left(budget: RetryBudget, status: int) -> int:
    """How many retries after `status` can still be paid."""
    count = 0
    while default(budget).wait(setback(status), 0, 0.0) is not None:
        count += 1
    return count


@pytest.mark.parametrize(("elapsed", "wait"), [(5.999, 4.0), (6.0, None), (6.001, None)])
def test_no_attempt_begins_at_the_deadline_itself(elapsed, wait):
    assert default(RetryBudget()).wait(setback(503, retry_after="4"), 0, elapsed) == wait


@pytest.mark.parametrize(("elapsed", "wait"), [(0.5, 0.5), (0.501, None)])
def test_a_wait_that_ends_exactly_at_max_elapsed_time_is_taken(elapsed, wait):
    config = utils.RetryConfig("backoff", utils.BackoffStrategy(500, 500, 1, 1000, jitter_ms=0), True)
    assert ConfiguredRetry(config, 600).wait(setback(), 0, elapsed) == wait


def test_a_wait_that_ends_exactly_at_max_elapsed_time_is_taken_by_a_client(caller):
    backoff = utils.BackoffStrategy(250, 250, 1, 1000, jitter_ms=0)
    with Endpoint(default=failure(500)) as endpoint, pytest.raises(errors.InternalServerError):
        caller(retry_config=utils.RetryConfig("backoff", backoff, True)).complete(**ASKED)
    assert endpoint.waits == (0.25,) * 4


@pytest.mark.parametrize(("status", "cost"), [(500, 14), (503, 5), (429, 5)])
def test_the_last_retry_that_can_be_paid_exactly_is_made_and_no_further_one(status, cost):
    budget = RetryBudget()
    assert retries_left(budget, status) == 500 // cost


def test_a_budget_pays_the_last_retry_with_the_last_of_it():
    budget = RetryBudget()
    assert retries_left(budget, 503) == 100
    for earned in range(1, 6):
        assert retries_left(budget, 503) == 0, earned
        budget.pay_back(1)
    assert retries_left(budget, 503) == 1


def test_a_thousand_successes_save_up_no_more_than_the_capacity():
    budget = RetryBudget()
    for _ in range(1000):
        default(budget).succeeded()
    assert retries_left(budget, 503) == 100


def test_a_retry_that_succeeds_gives_back_what_it_cost_and_no_more_than_the_capacity():
    budget = RetryBudget()
    policy = default(budget)
    policy.wait(setback(503), 0, 0.0)
    policy.succeeded()
    assert retries_left(budget, 503) == 100


def test_successes_buy_the_next_retry_of_a_client():
    def requests_of_a_failing_call() -> int:
        before = len(endpoint.requests)
        endpoint.default = failure(500)
        with pytest.raises(errors.InternalServerError):
            client.dedicated.completions.complete(**ASKED)
        return len(endpoint.requests) - before

    def succeed(times: int) -> None:
        endpoint.default = "Hi"
        for _ in range(times):
            client.dedicated.completions.complete(**ASKED)

    with Endpoint() as endpoint, SyncFriendli() as client:
        assert sum(requests_of_a_failing_call() for _ in range(20)) == 20 + 35
        succeed(3)  # 10 are left of the 500, and a retry costs 14
        assert requests_of_a_failing_call() == 1
        succeed(1)
        assert requests_of_a_failing_call() == 2
        succeed(13)
        assert requests_of_a_failing_call() == 1


def test_the_waits_of_a_client_never_reach_their_cap():
    waits = [default(RetryBudget(), 600, 1.0).wait(setback(429), attempt, 0.0) for attempt in range(3)]
    assert waits == [1.0, 2.0, None]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "9999999999"}, 9_999_999_999.0),
        ({"retry-after": "9" * 400}, math.inf),
        ({"retry-after-ms": "10000000000"}, 10_000_000.0),
        ({"retry-after": "2, 2"}, 2.0),
        ({"retry-after": "2, 5,3"}, 5.0),
        ({"retry-after-ms": "250, 100", "retry-after": "9"}, 0.25),
        ({"retry-after": "2, soon"}, None),
        ({"retry-after": "2,"}, None),
    ],
)
def test_retry_after_may_be_of_any_length_and_come_twice(headers, asked):
    assert retry_after(headers, 0.0) == asked


@pytest.mark.parametrize("said", ["9999999999", "9" * 400, "1, 9999999999"])
def test_who_is_asked_to_wait_for_very_long_does_not_come_back(caller, said):
    with (
        Endpoint(failure(503, retry_after=said)) as endpoint,
        pytest.raises(errors.InternalServerError, match="longer"),
    ):
        caller().complete(**ASKED)
    assert len(endpoint.requests) == 1


def test_a_scripted_wait_is_written_so_that_it_can_be_read(caller):
    reply = failure(503, retry_after=1_000_000.0)
    with Endpoint(reply), pytest.raises(errors.InternalServerError) as caught:
        caller().complete(**ASKED)
    assert (caught.value.headers["retry-after"], caught.value.retry_after) == ("1000000", 1_000_000.0)


# What is given


@pytest.mark.parametrize("value", [math.inf, math.nan, 0, -1, "5", True, None, LONGEST_SPAN + 1, 10**400])
@pytest.mark.parametrize("name", ["connect_ms", "between_bytes_ms", "total_ms", "stream_total_ms"])
def test_a_time_that_is_none_or_for_ever_is_refused_where_it_is_said(name, value):
    with pytest.raises(ValueError, match=name):
        utils.TimeoutConfig(**{name: value})


@pytest.mark.parametrize("value", [math.inf, 10**14, 2**70, 10**400, LONGEST_SPAN + 1, -1])
def test_a_plain_time_that_is_none_or_for_ever_is_refused_by_name(caller, value):
    with Endpoint() as endpoint, pytest.raises(errors.InvalidRequestError, match="timeout_ms") as caught:
        caller().complete(**ASKED, timeout_ms=value)
    assert (caught.value.field, len(endpoint.requests)) == ("timeout_ms", 0)


def test_the_longest_time_is_taken(caller):
    with Endpoint("Hi", "Hi"):
        caller(timeout_ms=LONGEST_SPAN).complete(**ASKED)
        caller(timeout_ms=LONGEST_SPAN).events(**ASKED)


@pytest.mark.parametrize("entries", [["5("], [600], ["5xxx"], [""], ["50"], [None], ["0XX"]])
def test_a_status_that_is_none_is_refused_where_it_is_said(entries):
    with pytest.raises(ValueError, match="status_codes_override"):
        utils.RetryConfig("backoff", utils.BackoffStrategy(1, 1, 1, 1000), True, status_codes_override=entries)


@pytest.mark.parametrize("entry", [503, "503", "5XX", "5xx", "50X"])
def test_a_status_may_be_a_number_or_a_pattern(caller, entry):
    backoff = utils.BackoffStrategy(1, 1, 1, 1000)
    retries = utils.RetryConfig("backoff", backoff, True, status_codes_override=[entry])
    with Endpoint(failure(503), "Hi"):
        assert caller(retry_config=retries).complete(**ASKED).choices[0].text == "Hi"
    with Endpoint(failure(429)), pytest.raises(errors.RateLimitError):
        caller(retry_config=retries).complete(**ASKED)


@pytest.mark.parametrize("name", ["retry_config", "retries"])
@pytest.mark.parametrize("value", [5, "backoff", {}, utils.BackoffStrategy(1, 1, 1, 1)])
def test_what_is_no_retry_config_is_refused_by_name(caller, name, value):
    settings, call = ({}, {name: value}) if name == "retries" else ({name: value}, {})
    with Endpoint(), pytest.raises(errors.InvalidRequestError) as caught:
        caller(**settings).complete(**ASKED, **call)
    assert caught.value.field == name


def putting(name: str, value: object) -> Hooks:
    """A hook that adds a header."""
    return Hooks(request=lambda event: event.headers.update({name: value}))


@pytest.mark.parametrize("character", ["\x7f", "\x1f", "\x00", "\n", "\x80", "\xff"])
@pytest.mark.parametrize(
    ("option", "given", "field"),
    [
        ("http_headers", lambda value: {"x-mine": value}, "x-mine"),
        ("hooks", lambda value: putting("x-mine", value), "x-mine"),
        ("x_friendli_team", str, "x_friendli_team"),
        ("token", str, "token"),
    ],
)
def test_a_character_that_no_header_can_carry_is_refused(caller, option, given, field, character):
    with Endpoint() as endpoint, pytest.raises(errors.InvalidRequestError) as caught:
        caller(**{option: given(f"a{character}b")}).complete(**ASKED)
    assert (caught.value.field, len(endpoint.requests)) == (field, 0)


@pytest.mark.parametrize("value", ["~", "!", "a\tb", "a b", ""])
def test_the_last_characters_that_a_header_can_carry_are_sent(caller, value):
    with Endpoint("Hi") as endpoint:
        caller(http_headers={"x-mine": value}).complete(**ASKED)
    assert endpoint.requests[0].headers["x-mine"] == value


@pytest.mark.parametrize(("name", "value"), [("x-mine", 5), ("content-length", "5"), ("transfer-encoding", "gzip")])
def test_a_hook_that_adds_what_is_no_header_is_refused_by_its_name(caller, name, value):
    with Endpoint(), pytest.raises(errors.InvalidRequestError) as caught:
        caller(hooks=putting(name, value)).complete(**ASKED)
    assert caught.value.field == name


@pytest.mark.parametrize(
    "url", ["http://a/?b=c", "http://a/#b", "http://a?b", "http://a:0", "http://a:x", "http://.", "http://"]
)
def test_an_address_with_more_or_less_than_a_place_is_refused(caller, url):
    with Endpoint() as endpoint, pytest.raises(errors.InvalidRequestError) as caught:
        caller(server_url=url).complete(**ASKED)
    assert (caught.value.field, len(endpoint.requests)) == ("server_url", 0)


@pytest.mark.parametrize(("length", "fits"), [(63, True), (64, False)])
def test_the_parts_of_a_hosts_name_have_a_longest_length(caller, length, fits):
    url = f"http://{'a' * length}.example"
    with Endpoint(*(["Hi"] if fits else [])):
        if fits:
            caller(server_url=url).complete(**ASKED)
        else:
            with pytest.raises(errors.InvalidRequestError):
                caller(server_url=url).complete(**ASKED)


def test_a_token_callable_that_has_none_left_is_refused_by_name(caller):
    with Endpoint("Hi") as endpoint:
        client = caller(token=iter(["flp_1"]).__next__)
        client.complete(**ASKED)
        with pytest.raises(errors.InvalidRequestError, match="no token any more") as caught:
            client.complete(**ASKED)
    assert (caught.value.field, len(endpoint.requests)) == ("token", 1)


# Where a call goes


@pytest.mark.parametrize("location", ["http://a..b/", f"http://{'a' * 64}.com/", "http://[::1"])
def test_a_redirect_to_an_address_that_is_none_is_a_typed_error(caller, location):
    with Endpoint(redirect(location)), pytest.raises(errors.APIError) as caught:
        caller(server_url="http://here.example").complete(**ASKED)
    assert caught.value.status_code == 307


def test_a_redirect_cannot_name_a_user_in_the_tokens_place(caller):
    with Endpoint(redirect("https://u:p@here.example/x"), "Hi") as endpoint:
        caller(token="flp_t", server_url="https://here.example").complete(**ASKED)
    assert endpoint.requests[1].url == "https://here.example/x"
    assert endpoint.requests[1].headers["authorization"] == "Bearer flp_t"


def test_a_connection_that_fails_after_a_redirect_names_where_it_was_asked_for(caller):
    with Endpoint(redirect("https://there.example/x"), refused()), pytest.raises(errors.APIConnectionError) as caught:
        caller(server_url="https://here.example", retry_config=None).complete(**ASKED)
    assert str(caught.value) == "the endpoint could not be reached (there.example)"


def test_five_redirects_are_followed_and_no_sixth(caller):
    with Endpoint(redirect("/again", times=5), "Hi"):
        assert caller().complete(**ASKED).choices[0].text == "Hi"
    with Endpoint(redirect("/again", times=6)), pytest.raises(errors.APIConnectionError, match="too often"):
        caller().complete(**ASKED)


@pytest.mark.parametrize("status", [300, 304, 399])
@pytest.mark.parametrize("operation", ["complete", "events"])
def test_whatever_is_above_299_is_an_error(caller, status, operation):
    reply = raw(json.dumps(RESULT).encode(), status=status)
    with Endpoint(reply), pytest.raises(errors.APIError, match=str(status)) as caught:
        getattr(caller(), operation)(**ASKED)
    assert caught.value.status_code == status


@pytest.mark.parametrize("status", [200, 299])
def test_whatever_is_from_200_to_299_is_an_answer(caller, status):
    with Endpoint(raw(json.dumps(RESULT).encode(), status=status)):
        assert caller().complete(**ASKED).choices[0].text == "Hello you"


# How large an answer may be


def blown_up(size: int):
    """A good answer of `size` bytes."""
    content = json.dumps(RESULT).encode()
    blanks, rest = divmod(size - len(content), 2**20)
    return raw([b" " * 2**20] * blanks + [b" " * rest, content])


def test_an_answer_of_exactly_the_largest_size_is_read():
    with Endpoint(blown_up(LARGEST_ANSWER)), SyncFriendli() as client:
        assert client.dedicated.completions.complete(**ASKED).choices[0].text == "Hello you"


def test_an_answer_of_one_byte_more_is_too_large(caller):
    with Endpoint(blown_up(LARGEST_ANSWER + 1)), pytest.raises(errors.APIConnectionError, match="too large"):
        caller().complete(**ASKED)


# How large an event may be


LARGEST = 64


def fed(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder(largest=LARGEST)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def bytewise(content: bytes) -> list[bytes]:
    return [content[at : at + 1] for at in range(len(content))]


def begun(content: bytes) -> list[bytes]:
    """After a first event: from then on whole blocks are read in short."""
    return [b"data: a\n\n", content]


# With the line end that joins it to a next one; the field's name counts while its line is not whole.
WHOLE = LARGEST - 1
IN_PIECES = LARGEST - len(b"data: ")


@pytest.mark.parametrize(
    "lead", [[], [b"data: a\n\n"], [b": hm\n\n"]], ids=["first", "after an event", "after a comment"]
)
def test_an_event_of_exactly_the_bound_is_read_and_one_of_a_byte_more_refused(lead):
    fits, more = (b"data:" + b"x" * size + b"\n\n" for size in (WHOLE, WHOLE + 1))
    assert fed(*lead, fits)[-1][0] == "x" * WHOLE
    with pytest.raises(EventTooLargeError, match=str(LARGEST)):
        fed(*lead, more)


@pytest.mark.parametrize("lead", [[], [b"data: a\n\n"]], ids=["first", "after an event"])
def test_a_long_event_is_read_up_to_the_bound_byte_by_byte(lead):
    fits, more = (b"data: " + b"x" * size + b"\n\n" for size in (IN_PIECES, IN_PIECES + 1))
    assert fed(*lead, *bytewise(fits))[-1][0] == "x" * IN_PIECES
    with pytest.raises(EventTooLargeError):
        fed(*lead, *bytewise(more))


def test_an_event_of_several_lines_is_read_up_to_the_bound_byte_by_byte():
    """What a line held while it came is not counted once more when it is whole."""
    event = b"data: " + b"x" * 40 + b"\ndata: " + b"y" * 16 + b"\n\n"
    assert fed(*bytewise(event))[0][0] == "x" * 40 + "\n" + "y" * 16


@pytest.mark.parametrize("size", [LARGEST, LARGEST + 1, 10 * LARGEST])
def test_a_whole_block_above_the_bound_is_refused_as_one_in_pieces_is(size):
    block = b"data: " + b"x" * size + b"\n\n"
    for chunks in (begun(block), begun(block * 3), [b"data: a\n\n", *bytewise(block)]):
        with pytest.raises(EventTooLargeError):
            fed(*chunks)


def test_the_bound_is_of_each_event_alone():
    event = b"data: " + b"x" * (LARGEST - 10) + b"\n\n"
    assert len(fed(*[event] * 5)) == len(fed(event * 5)) == len(fed(*bytewise(event * 5))) == 5


@pytest.mark.parametrize("end", [b"\r\n\r", b"\n\r", b"\r\r"])
@pytest.mark.parametrize("lead", [[], [b"data: a\n\n"]], ids=["first", "after an event"])
def test_a_chunk_that_begins_with_the_rest_of_a_line_end_begins_no_line(lead, end):
    """The chunk has no CR of its own, so that its blocks would be read in short."""
    assert [event[0] for event in fed(*lead, b"data: b" + end, b"\ndata: c\n\n")][len(lead) :] == ["b", "c"]


# What is folded


def test_the_tokens_of_a_choice_have_64_bits():
    fold = CompletionFold()
    for token in (2**63 - 1, -(2**63)):
        fold.token(0, "a", token)
    assert fold.choices()[0].tokens == [2**63 - 1, -(2**63)]
    for token in (2**63, -(2**63) - 1):
        with pytest.raises(OverflowError):
            fold.token(0, "b", token)
    assert fold.choices()[0].tokens == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("size", [0, 4, 20, 28, 23, 25])
def test_logits_of_another_size_than_their_shape_are_refused(size):
    logits = CompletionsLogits(shape=(2, 3), data=b64encode(bytes(size)).decode())
    with pytest.raises(ValueError, match="another size than the shape"):
        logits.rows()
    assert len(CompletionsLogits(shape=(2, 3), data=b64encode(bytes(24)).decode()).rows()) == 2
