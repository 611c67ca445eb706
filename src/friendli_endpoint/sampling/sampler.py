"""Logits and draws in, tokens out: one call a step for every row that wants a token.

What is told of a row is taken before anything changes it; then come bans and penalties, then the choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

import numpy as np

from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Expansion, Pick
from friendli_endpoint.sampling.drawing import draw_tokens
from friendli_endpoint.sampling.edits import edit, edited
from friendli_endpoint.sampling.expansions import expand_beams, pre_normalise, pre_normalises
from friendli_endpoint.sampling.rows import Rows
from friendli_endpoint.sampling.scores import RawRows, reports

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.draw import Draw, Outcome
    from friendli_endpoint.sampling.rows import FindsHeads

_Kind: TypeAlias = Literal["beam", "forced", "greedy", "random"]


class Sampler:
    """Turns rows of logits into tokens."""

    def __init__(self, heads: FindsHeads) -> None:
        self._heads = heads

    def sample(self, logits: Logits, draws: Sequence[Draw]) -> list[Outcome]:
        """A `Pick` for each draw, an `Expansion` for one of a beam; `logits` [S, vocab] are edited in place.

        Several draws of one request may share a row: what its controls know of them is the same then.
        """
        rows = Rows(self._heads, logits)
        changed = {draw.row: draw for draw in draws if edited(draw)}
        raw = RawRows.of(rows, draws, changed.keys() | {draw.row for draw in draws if pre_normalises(draw)})
        lost = _not_finite(rows, [*changed, *(draw.row for draw in draws if draw.request.controls.forced)])
        pre_normalise(rows, draws)
        edit(logits, list(changed.values()))
        best = {} if raw is None else {row: token for row, token in raw.best.items() if row not in changed}
        outcomes = _chosen(rows, draws, best)
        for i, draw in enumerate(draws):
            if draw.row in lost:
                outcomes[i] = _failed(draw, NO_TOKEN)
            elif draw.row not in changed and _failure(outcomes[i]) == NOTHING_LEFT:
                outcomes[i] = _failed(draw, NO_TOKEN)  # it was the model that left nothing
            elif raw is not None and reports(draw):
                outcomes[i] = raw.told(draw, outcomes[i])
        return outcomes


def _chosen(rows: Rows, draws: Sequence[Draw], best: Mapping[int, int]) -> list[Outcome]:
    """What each draw gives of its row as it is now; `best` holds the most probable tokens of some."""
    kinds: dict[_Kind, list[int]] = {}
    for i, draw in enumerate(draws):
        kinds.setdefault(_kind(draw), []).append(i)
    outcomes: list[Outcome] = [Pick(NO_TOKEN)] * len(draws)
    for kind, indices in kinds.items():
        for i, outcome in zip(indices, _of_kind(kind, rows, [draws[i] for i in indices], best), strict=True):
            outcomes[i] = outcome
    return outcomes


def _kind(draw: Draw) -> _Kind:
    if draw.beam is not None:
        return "beam"
    if draw.request.controls.forced:
        return "forced"
    return "greedy" if draw.request.controls.greedy else "random"


def _of_kind(kind: _Kind, rows: Rows, draws: Sequence[Draw], best: Mapping[int, int]) -> Iterable[Outcome]:
    match kind:
        case "beam":
            return expand_beams(rows, draws)
        case "forced":
            return [Pick(draw.request.controls.forced[draw.position]) for draw in draws]
        case "greedy":
            return map(Pick, _highest(rows, [draw.row for draw in draws], best))
        case "random":
            return map(Pick, draw_tokens(rows, draws).tolist())
        case _:
            assert_never(kind)


def _highest(rows: Rows, wanted: Sequence[int], best: Mapping[int, int]) -> list[int]:
    """The most probable token of each row, or why there is none."""
    if all(row in best for row in wanted):
        return [best[row] for row in wanted]
    tokens, logits = rows.highest(wanted)
    failures = np.where(np.isneginf(logits), NOTHING_LEFT, NO_TOKEN)
    found: list[int] = np.where(np.isfinite(logits), tokens, failures).tolist()
    return found


def _not_finite(rows: Rows, wanted: Sequence[int]) -> set[int]:
    """Those of the rows that have no finite maximum."""
    if not wanted:
        return set()
    _, logits = rows.highest(wanted)
    return {row for row, fine in zip(wanted, np.isfinite(logits), strict=True) if not fine}


def _failed(draw: Draw, failure: int) -> Outcome:
    return Pick(failure) if draw.beam is None else Expansion((), failure)


def _failure(outcome: Outcome) -> int:
    """0 when it did not fail."""
    return min(outcome.token, 0) if isinstance(outcome, Pick) else outcome.failure
