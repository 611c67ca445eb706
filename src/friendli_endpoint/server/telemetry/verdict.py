"""What an error says of the request that it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.errors import EngineFullError, PoisonError
from friendli_endpoint.server.errors import UnavailableError, is_timeout, problem_of
from friendli_endpoint.server.limits import ClientLeftError

if TYPE_CHECKING:
    from friendli_endpoint.server.telemetry.record import Outcome

_SERVER_ERROR = 500


def verdict(error: BaseException) -> tuple[Outcome, str | None]:
    """How a request ended, and the reason of a refusal: the type of the error that the client is told."""
    if not isinstance(error, Exception) or isinstance(error, ClientLeftError):  # cancelled: nobody waits for it
        return "left", None
    if is_timeout(error):
        return "timeout", None
    problem = problem_of(error)
    if problem.status < _SERVER_ERROR or isinstance(error, UnavailableError | EngineFullError | PoisonError):
        return "refused", problem.type
    return "failed", None
