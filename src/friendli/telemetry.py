"""Spans and metrics for OpenTelemetry, by its GenAI semantic conventions; made of nothing but the public hooks.

    Friendli(hooks=telemetry.spans())
    Friendli(hooks=[telemetry.spans(), telemetry.metrics()])

Needs `pip install 'friendli[otel]'`. What is recorded are settings, names and counts: never a prompt, a text that was
generated, a phrase, a token of either kind, or a message that the endpoint wrote. `error.type` is the name of the
class in `friendli.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from friendli.errors import APIError, APIStreamError, SDKError
from friendli.hooks import Hooks

try:
    from opentelemetry.metrics import get_meter
    from opentelemetry.propagate import inject
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer, set_span_in_context
except ImportError as error:
    raise ImportError("friendli.telemetry needs OpenTelemetry: pip install 'friendli[otel]'") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.metrics import Histogram, Meter, MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from friendli.hooks import CallInfo, EndEvent, RequestEvent, ResponseEvent, RetryEvent
    from friendli.models.request import CompletionsBody
    from friendli.models.response import CompletionsResult

    Value = str | bool | int | float | Sequence[str]

__all__ = ["metrics", "spans"]

_OPERATION = "text_completion"
_PORTS = {"http": 80, "https": 443}
_SETTINGS = ("max_tokens", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty")
_LARGEST_INT = 2**63 - 1  # of an attribute; a seed may be larger
# The boundaries that the conventions advise.
_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(4**power for power in range(14))


def spans(tracer_provider: TracerProvider | None = None) -> Hooks:
    """One client span per call, retries included, from its first request to its end; without a provider the global one.

    Its parent is the context that the call is made in, and its own context goes along in the headers of each attempt.
    A retry is an event of the span, with `friendli.retry.attempt` and `friendli.retry.wait` (seconds).
    """
    seen = _Spans(get_tracer("friendli", version("friendli"), tracer_provider))
    return Hooks(request=seen.request, response=seen.response, retry=seen.retry, end=seen.end)


def metrics(meter_provider: MeterProvider | None = None) -> Hooks:
    """The conventions' histograms: how long calls and the waits for streams' first events took, and their tokens.

    Without a provider the global one.
    """
    return Hooks(end=_Histograms(get_meter("friendli", version("friendli"), meter_provider)).end)


@dataclass
class _Live:
    """A call that has begun and not ended; `status` is that of its latest attempt."""

    span: Span
    status: int | None = None


class _Spans:
    """The spans of one tracer. One whose call vanishes without an end vanishes with it."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._live: WeakKeyDictionary[CallInfo, _Live] = WeakKeyDictionary()

    def request(self, event: RequestEvent) -> None:
        live = self._live.get(event.call)
        if live is None:
            live = self._live[event.call] = _Live(self._begun(event.call))
        else:
            live.status = None
            live.span.set_attribute("http.request.resend_count", event.attempt - 1)
        carrier: dict[str, str] = {}
        inject(carrier, set_span_in_context(live.span))
        for name, value in carrier.items():
            event.headers.setdefault(name.lower(), value)  # the caller's own headers win

    def response(self, event: ResponseEvent) -> None:
        live = self._live.get(event.call)
        if live is not None:
            live.status = event.status

    def retry(self, event: RetryEvent) -> None:
        live = self._live.get(event.call)
        if live is not None:
            facts = {"friendli.retry.attempt": event.attempt, "friendli.retry.wait": event.wait}
            live.span.add_event("friendli.retry", {**facts, **_failed(event.error), **_status(live.status)})

    def end(self, event: EndEvent) -> None:
        live = self._live.pop(event.call, None)
        if live is None:
            return
        live.span.set_attributes({**_status(live.status), **_answered(event.result), **_failed(event.error)})
        if event.time_to_first_token is not None:
            live.span.set_attribute("gen_ai.response.time_to_first_chunk", event.time_to_first_token)
        if event.error is not None:
            live.span.set_status(Status(StatusCode.ERROR, _description(event.error)))
        live.span.end()

    def _begun(self, call: CallInfo) -> Span:
        facts = {**_place(call), **_asked(call)}
        return self._tracer.start_span(f"{_OPERATION} {call.body.model}", kind=SpanKind.CLIENT, attributes=facts)


class _Histograms:
    """Names, units and boundaries are those of the conventions."""

    def __init__(self, meter: Meter) -> None:
        def histogram(name: str, unit: str, description: str, bounds: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)

        self._duration = histogram("gen_ai.client.operation.duration", "s", "How long a call took.", _SECONDS)
        self._first = histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s", "From the request to a stream's first chunk.", _SECONDS
        )
        self._tokens = histogram("gen_ai.client.token.usage", "{token}", "Tokens that a call used.", _TOKENS)

    def end(self, event: EndEvent) -> None:
        common = {**_place(event.call), **_model_of(event.result)}
        self._duration.record(event.elapsed, {**common, **_failed(event.error)})
        if event.time_to_first_token is not None:
            self._first.record(event.time_to_first_token, common)
        if event.result is not None:
            usage = event.result.usage
            self._tokens.record(usage.prompt_tokens, {**common, "gen_ai.token.type": "input"})
            self._tokens.record(usage.completion_tokens, {**common, "gen_ai.token.type": "output"})


def _place(call: CallInfo) -> dict[str, Value]:
    """What a sampler may want to know, and what metrics are told apart by."""
    address = urlsplit(call.url)
    return {
        "gen_ai.operation.name": _OPERATION,
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": call.body.model,
        "server.address": address.hostname or "",
        "server.port": address.port or _PORTS[address.scheme],
    }


def _asked(call: CallInfo) -> dict[str, Value]:
    """The request's settings, as far as the conventions name them."""
    body = call.body
    given = {f"gen_ai.request.{name}": getattr(body, name) for name in _SETTINGS}
    if body.n != 1:
        given["gen_ai.request.choice.count"] = body.n
    if isinstance(body.seed, int) and body.seed <= _LARGEST_INT:
        given["gen_ai.request.seed"] = body.seed
    if call.operation == "stream":
        given["gen_ai.request.stream"] = True
    given["gen_ai.output.type"] = _output_type(body)
    return {name: value for name, value in given.items() if value is not None}


def _output_type(body: CompletionsBody) -> str | None:
    if body.response_format is None:
        return None
    return "json" if body.response_format.type.startswith("json") else "text"


def _answered(result: CompletionsResult | None) -> dict[str, Value]:
    """What the answer says about itself."""
    if result is None:
        return {}
    details = result.usage.prompt_tokens_details
    cached = details.cached_tokens if details is not None else None
    reasons = [choice.finish_reason for choice in result.choices if choice.finish_reason is not None]
    return {
        **_model_of(result),
        **({"gen_ai.response.id": result.id} if result.id is not None else {}),
        # One per choice, or none: they are told apart by their places alone.
        **({"gen_ai.response.finish_reasons": reasons} if len(reasons) == len(result.choices) else {}),
        "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": result.usage.completion_tokens,
        **({"gen_ai.usage.cache_read.input_tokens": cached} if cached is not None else {}),
    }


def _model_of(result: CompletionsResult | None) -> Mapping[str, Value]:
    return {"gen_ai.response.model": result.model} if result is not None and result.model is not None else {}


def _failed(error: SDKError | None) -> Mapping[str, Value]:
    return {} if error is None else {"error.type": type(error).__name__}


def _status(status: int | None) -> Mapping[str, Value]:
    return {} if status is None else {"http.response.status_code": status}


def _description(error: SDKError) -> str:
    """In words of our own: an endpoint's message may quote the request."""
    if isinstance(error, APIStreamError):
        return "the endpoint reported a failure inside the stream"
    return f"HTTP status {error.status_code}" if isinstance(error, APIError) else error.message
