"""What calls do, told to a logger: never a token, a prompt or an output."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from friendli.hooks import Hooks

if TYPE_CHECKING:
    from friendli.errors import SDKError
    from friendli.hooks import EndEvent, RequestEvent, ResponseEvent, RetryEvent


class Logger(Protocol):
    """Anything that takes messages as the standard library's loggers do."""

    def debug(self, msg: str, /, *args: object) -> object:
        """Note `msg % args`."""


def log_hooks(logger: Logger) -> Hooks:
    """Hooks that tell `logger` of every attempt, wait and end."""

    def request(event: RequestEvent) -> None:
        model, key = event.call.body.model, event.call.idempotency_key
        logger.debug(
            "%s %s: attempt %d, model %r, key %s", event.call.operation, event.call.url, event.attempt, model, key
        )

    def response(event: ResponseEvent) -> None:
        key = event.call.idempotency_key
        logger.debug("%s: status %d after %.3f s, request id %r", key, event.status, event.elapsed, event.request_id)

    def retry(event: RetryEvent) -> None:
        logger.debug("%s: trying again in %.3f s: %s", event.call.idempotency_key, event.wait, _named(event.error))

    def end(event: EndEvent) -> None:
        outcome = _named(event.error) if event.error else "done" if event.finished else "given up"
        logger.debug("%s: %s after %.3f s", event.call.idempotency_key, outcome, event.elapsed)

    return Hooks(request=request, response=response, retry=retry, end=end)


def _named(error: SDKError) -> str:
    """Its class and status: some servers quote the prompt in their messages."""
    return f"{type(error).__name__}, status {error.status_code}"


def stderr_logger() -> logging.Logger:
    """The logger "friendli" at its most talkative; it writes to stderr unless the program has given it handlers."""
    logger = logging.getLogger("friendli")
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
    return logger
