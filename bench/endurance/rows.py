"""A promise, what it must show, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Row:
    """One line of the table; `held` says whether `got` is what it must be."""

    what: str
    must: str
    got: str
    held: bool


class Part(Protocol):
    """A module of this package that measures."""

    def measure(self, *, quick: bool) -> Iterator[Row]:
        """Its rows, each as soon as it is known. `quick` is a short form, to see that it works."""


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a Markdown table, one after the other."""
    yield "| what | must | got | held |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        yield f"| {row.what} | {row.must} | {row.got} | {'yes' if row.held else '**no**'} |"
