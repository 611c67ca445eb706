"""Spans and metrics: what they say, what they never say, and that each call has its own."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sdk_stub import RESULT, SECOND, STREAM_HEAD, Reset, Wait, answer, chunk, serving, streamed

from friendli import AsyncFriendli, SyncFriendli, errors, models, telemetry
from friendli.hooks import CallInfo, EndEvent, RequestEvent, ResponseEvent, RetryEvent

SECRET = "s3cret"
URL = "https://api.example/dedicated/v1/completions"


class Recorder:
    """A tracer provider, what it exported, and a call's events by hand."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.hooks = telemetry.spans(self.provider)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def request(self, call, attempt=1, **headers):
        self.hooks.request(RequestEvent(call, attempt, headers))
        return headers

    def response(self, call, status=200, attempt=1):
        self.hooks.response(ResponseEvent(call, attempt, status, {}, None, 0.1))

    def end(self, call, result=None, error=None, first=None):
        self.hooks.end(EndEvent(call, result, error, 1.5, first))


@pytest.fixture
def recorder():
    return Recorder()


def call_of(operation="complete", url=URL, **fields):
    kind = models.DedicatedCompletionsStreamBody if operation == "stream" else models.DedicatedCompletionsCompleteBody
    return CallInfo(operation, url, "key-1", kind(**{"model": "demo:route", "prompt": SECRET, **fields}))


def result_of(**changes):
    return models.CompletionsResult.model_validate({**RESULT, **changes})


def one(recorder):
    (span,) = recorder.spans
    return span


def test_a_span_says_what_was_asked_and_what_came(recorder):
    call = call_of(
        max_tokens=9,
        temperature=0.5,
        top_p=0.25,
        top_k=4,
        frequency_penalty=1.0,
        presence_penalty=-1.0,
        seed=7,
        n=2,
        response_format={"type": "json_object"},
    )
    recorder.request(call)
    recorder.response(call)
    assert recorder.spans == ()
    recorder.end(call, result_of(usage={**RESULT["usage"], "prompt_tokens_details": {"cached_tokens": 3}}))
    span = one(recorder)
    assert (span.name, span.kind, span.status.status_code) == (
        "text_completion demo:route",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": "demo:route",
        "server.address": "api.example",
        "server.port": 443,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.top_k": 4,
        "gen_ai.request.frequency_penalty": 1.0,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.seed": 7,
        "gen_ai.output.type": "json",
        "http.response.status_code": 200,
        "gen_ai.response.id": "cmpl-1",
        "gen_ai.response.model": "demo",
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 3,
    }


def test_what_was_not_said_is_not_recorded(recorder):
    call = call_of(url="http://[::1]:8080/v1/completions", n=1)
    recorder.request(call)
    choice = {**RESULT["choices"][0], "finish_reason": None}
    recorder.end(call, result_of(id=None, model=None, choices=[choice]))
    assert dict(one(recorder).attributes) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": "demo:route",
        "server.address": "::1",
        "server.port": 8080,
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
    }


@pytest.mark.parametrize("seed", [[1], 2**63])
def test_a_seed_that_no_attribute_can_hold_is_left_out(recorder, seed):
    call = call_of(seed=seed)
    recorder.request(call)
    recorder.end(call)
    assert "gen_ai.request.seed" not in one(recorder).attributes


@pytest.mark.parametrize(
    ("response_format", "kind"),
    [({"type": "text"}, "text"), ({"type": "regex", "schema": "a+"}, "text"), ({"type": "json_object"}, "json")],
)
def test_the_output_type_is_what_the_format_asks_for(recorder, response_format, kind):
    call = call_of(response_format=response_format)
    recorder.request(call)
    recorder.end(call)
    assert one(recorder).attributes["gen_ai.output.type"] == kind


def test_a_stream_says_so_and_when_its_first_event_came(recorder):
    call = call_of("stream")
    recorder.request(call)
    recorder.end(call, result_of(), first=0.25)
    attributes = one(recorder).attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0.25


def test_a_stream_that_was_closed_early_is_no_error(recorder):
    call = call_of("stream")
    recorder.request(call)
    recorder.end(call, first=0.25)
    span = one(recorder)
    assert span.status.status_code is StatusCode.UNSET
    assert not {"error.type", "gen_ai.usage.input_tokens"} & span.attributes.keys()


def test_a_retry_is_an_event_and_the_span_has_the_last_status(recorder):
    call = call_of()
    recorder.request(call)
    recorder.response(call, 503)
    recorder.hooks.retry(RetryEvent(call, 1, errors.InternalServerError(SECRET, 503), 0.5))
    recorder.request(call, 2)
    recorder.hooks.retry(RetryEvent(call, 2, errors.APIConnectionError("refused"), 0.0))
    recorder.request(call, 3)
    recorder.response(call, 200, 3)
    recorder.end(call, result_of())
    span = one(recorder)
    assert [(event.name, dict(event.attributes)) for event in span.events] == [
        (
            "friendli.retry",
            {
                "friendli.retry.attempt": 1,
                "friendli.retry.wait": 0.5,
                "error.type": "InternalServerError",
                "http.response.status_code": 503,
            },
        ),
        (
            "friendli.retry",
            {"friendli.retry.attempt": 2, "friendli.retry.wait": 0.0, "error.type": "APIConnectionError"},
        ),
    ]
    assert span.attributes["http.request.resend_count"] == 2
    assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (errors.RateLimitError(SECRET, 429, SECRET), "HTTP status 429"),
        (errors.APIStreamError(SECRET, 200), "the endpoint reported a failure inside the stream"),
        (errors.APITimeoutError("no answer in time"), "no answer in time"),
    ],
)
def test_an_error_is_the_spans_status_in_our_own_words(recorder, error, description):
    call = call_of()
    recorder.request(call)
    recorder.end(call, error=error)
    span = one(recorder)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == description
    assert span.attributes["error.type"] == type(error).__name__


def test_no_text_of_request_answer_or_server_is_recorded(recorder):
    call = call_of(stop=[SECRET], bad_words=[SECRET], seed=1)
    recorder.request(call, authorization=SECRET)
    recorder.response(call, 500)
    recorder.hooks.retry(RetryEvent(call, 1, errors.InternalServerError(SECRET, 500, SECRET), 0.1))
    recorder.end(call, result_of(choices=[{**RESULT["choices"][0], "text": SECRET}]))
    other = call_of()
    recorder.request(other)
    recorder.end(other, error=errors.UnprocessableEntityError(SECRET, 422, SECRET, field=SECRET))
    assert SECRET not in "".join(span.to_json() for span in recorder.spans)


def test_the_parent_is_the_context_of_the_call_and_every_attempt_carries_the_span(recorder):
    with recorder.provider.get_tracer("test").start_as_current_span("outer") as outer:
        call = call_of()
        first = recorder.request(call)
    second = recorder.request(call, 2)
    recorder.end(call)
    span = next(span for span in recorder.spans if span.name != "outer")
    assert span.parent == outer.get_span_context()
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
    assert first == second == {"traceparent": expected}


def test_headers_that_the_caller_gave_are_left_alone(recorder):
    call = call_of()
    token = context.attach(baggage.set_baggage("team", "blue"))
    try:
        headers = recorder.request(call, traceparent="mine")
    finally:
        context.detach(token)
    assert headers == {"traceparent": "mine", "baggage": "team=blue"}


def test_calls_that_overlap_keep_their_spans_apart(recorder):
    calls = [call_of(model=f"m{number}") for number in range(3)]
    for call in calls:
        recorder.request(call)
    for number in (1, 0, 2):
        recorder.response(calls[number], 200 + number)
        recorder.end(calls[number])
    assert [(span.name, span.attributes["http.response.status_code"]) for span in recorder.spans] == [
        ("text_completion m1", 201),
        ("text_completion m0", 200),
        ("text_completion m2", 202),
    ]
    assert len({span.context.trace_id for span in recorder.spans}) == 3


def test_a_call_that_never_ends_leaves_nothing_behind(recorder):
    live = recorder.hooks.request.__self__._live
    call = call_of()
    recorder.request(call)
    assert len(live) == 1
    del call
    gc.collect()
    assert len(live) == 0


def test_events_of_a_call_that_was_never_sent_are_ignored(recorder):
    call = call_of()
    recorder.end(call, error=errors.InvalidRequestError("no token"))
    assert recorder.spans == ()


def test_without_a_provider_the_global_one_is_used():
    assert not trace.get_current_span().is_recording()
    hooks = telemetry.spans()
    call, headers = call_of(), {}
    hooks.request(RequestEvent(call, 1, headers))
    hooks.end(EndEvent(call, None, None, 0.1, None))
    assert headers == {}  # none is set, so no span has an identity to pass on


def points(reader):
    """(metric, attributes) -> (count, sum)"""
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    return {
        (metric.name, metric.unit, tuple(sorted(point.attributes.items()))): (point.count, point.sum)
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_metrics_count_time_and_tokens():
    reader = InMemoryMetricReader()
    hooks = telemetry.metrics(MeterProvider([reader]))
    hooks.end(EndEvent(call_of("stream"), result_of(), None, 1.5, 0.25))
    hooks.end(EndEvent(call_of(), None, errors.RateLimitError(SECRET, 429), 0.5, None))
    common = {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": "demo:route",
        "server.address": "api.example",
        "server.port": 443,
    }
    answered = {**common, "gen_ai.response.model": "demo"}

    def key(name, unit, attributes):
        return f"gen_ai.client.{name}", unit, tuple(sorted(attributes.items()))

    assert points(reader) == {
        key("operation.duration", "s", answered): (1, 1.5),
        key("operation.duration", "s", {**common, "error.type": "RateLimitError"}): (1, 0.5),
        key("operation.time_to_first_chunk", "s", answered): (1, 0.25),
        key("token.usage", "{token}", {**answered, "gen_ai.token.type": "input"}): (1, 5),
        key("token.usage", "{token}", {**answered, "gen_ai.token.type": "output"}): (1, 2),
    }


def test_the_histograms_have_the_boundaries_of_the_conventions():
    reader = InMemoryMetricReader()
    telemetry.metrics(MeterProvider([reader])).end(EndEvent(call_of(), result_of(), None, 1.5, 0.25))
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    bounds = {metric.name: metric.data.data_points[0].explicit_bounds for metric in scope.metrics}
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    assert bounds["gen_ai.client.operation.duration"] == bounds["gen_ai.client.operation.time_to_first_chunk"]
    assert bounds["gen_ai.client.operation.duration"] == seconds
    assert bounds["gen_ai.client.token.usage"][::13] == (1, 67108864)


def test_without_opentelemetry_the_import_says_what_to_install():
    program = "import sys; sys.modules['opentelemetry'] = None\nimport friendli.telemetry"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ImportError: friendli.telemetry needs OpenTelemetry: pip install 'friendli[otel]'" in done.stderr


# With the real clients.

ASK = {"model": "demo", "prompt": SECRET, "max_tokens": 2}


def traced(asked):
    return asked.headers["traceparent"].split("-")[2]


def span_id(span):
    return f"{span.context.span_id:016x}"


def test_a_call_is_one_span_that_all_attempts_carry(recorder, caller):
    replies = iter([answer({"error": SECRET}, 503, retry_after_ms="0"), answer(RESULT)])
    with serving(lambda _: [next(replies)]) as stub:
        caller(server_url=stub.url, hooks=recorder.hooks).complete(**ASK)
    span = one(recorder)
    assert [traced(asked) for asked in stub.asked] == [span_id(span)] * 2
    assert span.attributes["gen_ai.usage.output_tokens"] == 2
    assert span.attributes["server.port"] == int(stub.url.rpartition(":")[2])
    assert span.attributes["http.request.resend_count"] == 1
    assert [event.attributes["http.response.status_code"] for event in span.events] == [503]
    assert SECRET not in span.to_json()


def test_a_stream_is_one_span_until_its_last_event(recorder, caller):
    with serving(lambda _: streamed(SECOND)) as stub:
        caller(server_url=stub.url, hooks=recorder.hooks).events(**ASK)
    attributes = one(recorder).attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.usage.input_tokens"] == 5
    assert attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 20


def test_a_stream_that_broke_off_is_a_span_with_its_error(recorder, caller):
    with (
        serving(lambda _: [STREAM_HEAD, chunk(SECOND[0]), Reset]) as stub,
        pytest.raises(errors.StreamTruncatedError),
    ):
        caller(server_url=stub.url, hooks=recorder.hooks).events(**ASK)
    span = one(recorder)
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "StreamTruncatedError")


def test_a_call_that_no_one_answers_is_a_span_with_its_error(recorder, caller):
    with serving(lambda _: []) as stub:
        pass
    with pytest.raises(errors.APIConnectionError):
        caller(server_url=stub.url, hooks=recorder.hooks, retry_config=None).complete(**ASK)
    assert one(recorder).attributes["error.type"] == "APIConnectionError"
    assert "http.response.status_code" not in one(recorder).attributes


@pytest.mark.parametrize("leave", [lambda stream: stream.close(), lambda stream: None], ids=["closed", "dropped"])
@pytest.mark.parametrize("read", [0, 1], ids=["unread", "half read"])
def test_a_stream_that_is_left_ends_its_span_without_an_error(recorder, leave, read):
    with serving(lambda _: streamed(SECOND)) as stub, SyncFriendli(server_url=stub.url, hooks=recorder.hooks) as client:
        stream = client.dedicated.completions.stream(**ASK)
        for _ in range(read):
            next(stream)
        assert recorder.spans == ()
        leave(stream)
        del stream
        gc.collect()
        assert one(recorder).status.status_code is StatusCode.UNSET


def test_tasks_that_call_at_once_have_a_span_each_below_their_own(recorder):
    tracer = recorder.provider.get_tracer("test")

    async def call(client, number):
        with tracer.start_as_current_span(f"outer {number}"):
            await client.dedicated.completions.complete(**{**ASK, "model": f"m{number}"})

    async def calls(url):
        async with AsyncFriendli(server_url=url, hooks=recorder.hooks) as client:
            await asyncio.gather(*(call(client, number) for number in range(8)))

    with serving(lambda _: [answer(RESULT)]) as stub:
        asyncio.run(calls(stub.url))
    spans = {span.name: span for span in recorder.spans}
    for number in range(8):
        assert spans[f"text_completion m{number}"].parent.span_id == spans[f"outer {number}"].context.span_id
    assert {asked.json["model"]: traced(asked) for asked in stub.asked} == {
        f"m{number}": span_id(spans[f"text_completion m{number}"]) for number in range(8)
    }


def test_a_call_that_is_cancelled_ends_its_span(recorder):
    asked, answered = threading.Event(), threading.Event()

    def script(_):
        asked.set()
        yield Wait(answered)

    async def call(url):
        async with AsyncFriendli(server_url=url, hooks=recorder.hooks) as client:
            task = asyncio.create_task(client.dedicated.completions.complete(**ASK))
            await asyncio.to_thread(asked.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(script) as stub:
        try:
            asyncio.run(call(stub.url))
        finally:
            answered.set()
    span = one(recorder)
    assert (span.status.status_code, span.attributes.get("error.type")) == (StatusCode.UNSET, None)
