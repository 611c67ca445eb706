"""Event streams by the WHATWG rules, in any pieces.

A case is one vector fed in one way: whole; in pieces of 1, of 2, of 7 bytes; and in two pieces, once for each place
where it can be cut. It is right if exactly the expected events come out: data, name, last id and retry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from runpy import run_path
from typing import TYPE_CHECKING, TypeAlias

from bench.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.faults.plan import Ask

SIZES = (1, 2, 7)
FURTHEST_CUT = 300  # beyond it, a long vector is only more of the same
_SHARED_WITH_THE_TESTS = ROOT / "tests" / "sdk" / "sse_vectors.py"

Vectors: TypeAlias = "Mapping[str, tuple[bytes, list[tuple[str, str, str, int | None]]]]"


@dataclass(frozen=True)
class VectorFigures:
    """`wrong` names the vectors that were wrong in at least one way."""

    vectors: int
    cases: int
    cases_right: int
    wrong: list[str]

    @property
    def vectors_right(self) -> int:
        return self.vectors - len(self.wrong)

    @property
    def kept(self) -> bool:
        return not self.wrong


def measure(ask: Ask) -> VectorFigures:
    vectors = known()
    names = [name for name, (content, _) in vectors.items() for _ in ways(content)]
    cases = [[piece.decode("latin-1") for piece in way] for content, _ in vectors.values() for way in ways(content)]
    answers = ask("decode", cases=cases)
    right = [_same(answer, vectors[name][1]) for name, answer in zip(names, answers, strict=True)]
    wrong = {name: None for name, good in zip(names, right, strict=True) if not good}
    return VectorFigures(len(vectors), len(cases), sum(right), list(wrong))


def known() -> Vectors:
    return run_path(str(_SHARED_WITH_THE_TESTS))["VECTORS"]


def ways(content: bytes) -> list[list[bytes]]:
    """Every way to feed a vector."""
    sized = [[content[at : at + size] for at in range(0, len(content), size)] for size in SIZES]
    cut = [[content[:at], content[at:]] for at in range(1, min(len(content), FURTHEST_CUT + 1))]
    return [[content], *sized, *cut]


def _same(answer: object, expected: list[tuple[str, str, str, int | None]]) -> bool:
    """Data that a client gives as the JSON value which it is, is right, too."""
    if not isinstance(answer, list) or len(answer) != len(expected):
        return False
    return all(
        tuple(got[1:]) == wanted[1:] and (got[0] == wanted[0] or got[0] == _value(wanted[0]))
        for got, wanted in zip(answer, expected, strict=True)
    )


def _value(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data
