"""How a reply is sent: when, in which chunks, with which headers, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from friendli._transport.exchange import Answer, Ending, rechunked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli._transport.exchange import Step
    from friendli.testing.asked import Request

Generation: TypeAlias = Literal[1, 2]
Headers: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Style:
    """How an endpoint sends its replies where they do not say it themselves. Raises `ValueError`."""

    generation: Generation = 2
    chunk_bytes: int | None = None

    def __post_init__(self) -> None:
        check_generation(self.generation)
        _check_count("chunk_bytes", self.chunk_bytes)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How a reply is sent, and how often; times in seconds. Raises `ValueError`."""

    delay: float = 0.0
    pace: float = 0.0
    chunk_bytes: int | None = None
    headers: Headers | None = None
    times: int = 1

    def __post_init__(self) -> None:
        for name, seconds in (("delay", self.delay), ("pace", self.pace)):
            if not seconds >= 0:
                raise ValueError(f"{name} should be seconds from 0, not {seconds}")
        _check_count("times", self.times)
        _check_count("chunk_bytes", self.chunk_bytes)

    def answer(
        self, request: Request, style: Style, headers: Headers, body: Sequence[Step], *, status: int, ending: Ending
    ) -> Answer:
        """The answer with this body, named as the endpoint's answers are."""
        steps = tuple(body)
        if size := self.chunk_bytes or style.chunk_bytes:
            steps = tuple(rechunked(steps, size))
        own = {name.lower(): value for name, value in (self.headers or {}).items()}
        named = {"x-request-id": f"req-{request.number}", **headers, **own}
        return Answer(status, named, steps, ending, self.delay)


def paced(chunks: Sequence[bytes], pace: float) -> list[Step]:
    """`chunks` with waits of `pace` seconds between them."""
    steps: list[Step] = []
    for chunk in chunks:
        steps += [pace, chunk] if steps and pace else [chunk]
    return steps


def check_generation(generation: int | None) -> None:
    """Raise `ValueError` unless there is such a generation."""
    if generation not in (None, 1, 2):
        raise ValueError(f"generation should be 1 or 2, not {generation!r}")


def check_ending(then: object) -> None:
    """Raise `ValueError` unless an answer can end so."""
    if then not in get_args(Ending):
        raise ValueError(f"then should be one of {', '.join(get_args(Ending))}, not {then!r}")


def _check_count(name: str, count: int | None) -> None:
    if count is not None and count < 1:
        raise ValueError(f"{name} should be 1 or more, not {count}")
