"""A step as it was decided: which sequences compute how many tokens, and who draws from what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli_endpoint.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_rows` sequences run at once (one request with a larger `n` runs alone); a step computes at most
    `step_tokens` tokens, more than `max_rows`, so that prompts advance beside any number of decodes."""

    max_rows: int = 128
    step_tokens: int = 512

    def __post_init__(self) -> None:
        if self.max_rows < 1 or self.step_tokens < self.max_rows + 32:
            raise ValueError("max_rows must be positive and step_tokens at least max_rows + 32")


@dataclass(frozen=True, slots=True)
class Row:
    """`count` next tokens of a sequence; each of `draws` takes a token from the logits of the last of them."""

    sequence: Sequence
    count: int
    draws: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A step: block copies to make first, in order, then the rows of one forward."""

    rows: list[Row] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)
