"""What was asked of an endpoint."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli._transport.exchange import Exchange, State


class Request:
    """One HTTP request, attempts of the same call counted singly. Its repr shows neither token nor prompt.

    `number` counts the endpoint's requests from 1. `headers` have lower-case names.
    """

    def __init__(self, number: int, exchange: Exchange) -> None:
        self.number = number
        self._exchange = exchange

    @property
    def method(self) -> str:
        return self._exchange.method

    @property
    def url(self) -> str:
        return self._exchange.url

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def headers(self) -> Mapping[str, str]:
        return self._exchange.headers

    @property
    def content(self) -> bytes:
        """The body as it was sent."""
        return self._exchange.content

    @property
    def body(self) -> dict[str, object]:
        """The fields of the body, none where there is no body; raises `ValueError` if it is no JSON object."""
        if self._fields is None:
            raise ValueError(f"the body of {self} is no JSON object")
        return self._fields

    @property
    def model(self) -> str | None:
        """`endpoint-id` or `endpoint-id:adapter-route`."""
        model = self._told.get("model")
        return model if isinstance(model, str) else None

    @property
    def prompt(self) -> str | list[str] | None:
        """None where `tokens` were given in its place."""
        prompt = self._told.get("prompt")
        return prompt if isinstance(prompt, str | list) else None

    @property
    def stream(self) -> bool:
        return self._told.get("stream") is True

    @property
    def team(self) -> str | None:
        return self.headers.get("x-friendli-team")

    @property
    def idempotency_key(self) -> str | None:
        """The same on all attempts of a call."""
        return self.headers.get("idempotency-key")

    @property
    def at(self) -> float:
        """When it came: virtual seconds that its thread or task had waited."""
        return self._exchange.at

    @property
    def state(self) -> State:
        """How far its answer got: "unanswered", "open", "read" to its end, "closed" before it, or "broken"."""
        return self._exchange.state

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        kind = f" model={self.model!r} stream={self.stream}" if self._told else ""
        return f"<Request {self.number}: {self.method} {place}{kind}>"

    @cached_property
    def _fields(self) -> dict[str, object] | None:
        try:
            body = json.loads(self.content or b"{}")
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    @property
    def _told(self) -> dict[str, object]:
        return self._fields or {}
