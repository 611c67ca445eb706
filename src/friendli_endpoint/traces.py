"""Where an error came from, without what it may quote of a request."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from friendli_endpoint.errors import EndpointError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LINKS: Final = 5
_MOST_FRAMES: Final = 30
# What these say names types, attributes and files. Others, a ValueError first of all, quote what they were given.
_DISCREET: Final = (
    *(AttributeError, NameError, TypeError, ImportError, OSError),
    *(ArithmeticError, MemoryError, RecursionError, EndpointError),
)


def trace_of(error: BaseException) -> str:
    """The frames and types of an error and of those behind it, the first cause first; a message only if it is ours."""
    return "\n".join(line for link in reversed(list(_chain(error))) for line in _lines(link))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MOST_LINKS):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _lines(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]:
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        if frame.line:
            yield f"    {frame.line}"
    kind = type(error)
    quotes = isinstance(error, RequestError) or not isinstance(error, _DISCREET)
    yield f"{kind.__module__}.{kind.__qualname__}" + ("" if quotes else f": {error}")
