"""Logits and draws in, tokens out: one call a step for every row that wants a token.

What is told of a row is taken before anything changes it; then come bans and penalties, then the choice.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, assert_never

import numpy as np

from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Expansion, Pick
from friendli_endpoint.sampling.drawing import draw_tokens, is_walked, numbers_of, scales_of
from friendli_endpoint.sampling.edits import Edits, edits
from friendli_endpoint.sampling.expansions import expand_beams, pre_normalise, pre_normalises
from friendli_endpoint.sampling.rows import Rows
from friendli_endpoint.sampling.scores import RawRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.sampling.draw import Draw, Outcome
    from friendli_endpoint.sampling.edits import Removed
    from friendli_endpoint.sampling.rows import FindsHeads

_Kind: TypeAlias = Literal["beam", "forced", "greedy", "random"]


class _Ahead(NamedTuple):
    """What draws need that hangs on no logits: edits of their rows, and the numbers [N, 2] of the N random ones."""

    edits: Edits
    numbers: NDArray[np.float64]

    @classmethod
    def of(cls, draws: Sequence[Draw]) -> _Ahead:
        return cls(Edits.of(draws), numbers_of([draw for draw in draws if _kind(draw) == "random"]))


class Prepared(NamedTuple):
    """Draws, and what is found out about them meanwhile; None when that is not worth a thread."""

    draws: Sequence[Draw]
    ahead: Future[_Ahead] | None


class Sampler:
    """Turns rows of logits into tokens."""

    def __init__(self, heads: FindsHeads) -> None:
        self._heads = heads
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="sampler")

    def close(self) -> None:
        """End the thread that works beside a forward."""
        self._beside.shutdown()

    def sample(self, logits: Logits, draws: Sequence[Draw]) -> list[Outcome]:
        """`prepare` and `finish` at once: a `Pick` for each draw, an `Expansion` for one of a beam.

        `logits` [S, vocab] are edited in place. Several draws of one request may share a row: what its controls know
        of them is the same then.
        """
        return self.finish(logits, self.prepare(draws))

    def prepare(self, draws: Sequence[Draw]) -> Prepared:
        """Begin with what needs no logits, while these are being computed; nothing that draws refer to may change."""
        plain = not any(edits(draw) or _kind(draw) == "random" for draw in draws)
        return Prepared(draws, None if plain else self._beside.submit(_Ahead.of, draws))

    def finish(self, logits: Logits, prepared: Prepared) -> list[Outcome]:
        """What `sample` gives, of draws that have been prepared."""
        draws, coming = prepared
        ahead = _Ahead.of(draws) if coming is None else coming.result()
        changing = ahead.edits.rows
        rows = Rows(self._heads, logits)
        raw = RawRows.of(rows, draws, changing | {draw.row for draw in draws if pre_normalises(draw)})
        pre_normalise(rows, draws)
        removed = ahead.edits.apply(rows)
        best = {} if raw is None else {row: token for row, token in raw.best.items() if row not in changing}
        outcomes = _chosen(rows, draws, best, ahead.numbers)
        outcomes = [_blamed(draw, outcome, removed) for draw, outcome in zip(draws, outcomes, strict=True)]
        return outcomes if raw is None else raw.told(draws, outcomes)


def _chosen(rows: Rows, draws: Sequence[Draw], best: Mapping[int, int], numbers: NDArray[np.float64]) -> list[Outcome]:
    """What each draw gives of its row as it is now; `best` holds the most probable tokens of some."""
    kinds: dict[_Kind, list[int]] = {}
    for i, draw in enumerate(draws):
        kinds.setdefault(_kind(draw), []).append(i)
    _find_together(rows, [draws[i] for i in (*kinds.get("beam", ()), *kinds.get("random", ()))])
    outcomes: list[Outcome] = [Pick(NO_TOKEN)] * len(draws)
    for kind, indices in kinds.items():
        for i, outcome in zip(indices, _of_kind(kind, rows, [draws[i] for i in indices], best, numbers), strict=True):
            outcomes[i] = outcome
    return outcomes


def _find_together(rows: Rows, draws: Sequence[Draw]) -> None:
    """Where draws that need something native of their rows differ in what they need, one look serves them all."""
    needs = {"beam" if draw.beam is not None else is_walked(draw.request.controls) for draw in draws}
    if len(needs) > 1:
        rows.find([draw.row for draw in draws], scales_of(draws))


def _kind(draw: Draw) -> _Kind:
    if draw.beam is not None:
        return "beam"
    if draw.request.controls.forced:
        return "forced"
    return "greedy" if draw.request.controls.greedy else "random"


def _of_kind(
    kind: _Kind, rows: Rows, draws: Sequence[Draw], best: Mapping[int, int], numbers: NDArray[np.float64]
) -> Iterable[Outcome]:
    match kind:
        case "beam":
            return expand_beams(rows, draws)
        case "forced":
            return map(Pick, _forced(rows, draws))
        case "greedy":
            return map(Pick, _highest(rows, [draw.row for draw in draws], best))
        case "random":
            return map(Pick, draw_tokens(rows, draws, numbers).tolist())
        case _:
            assert_never(kind)


def _forced(rows: Rows, draws: Sequence[Draw]) -> list[int]:
    _, logits = rows.highest([draw.row for draw in draws])
    tokens = [draw.request.controls.forced[draw.position] for draw in draws]
    return [token if fine else NO_TOKEN for token, fine in zip(tokens, np.isfinite(logits), strict=True)]


def _highest(rows: Rows, wanted: Sequence[int], best: Mapping[int, int]) -> list[int]:
    """The most probable token of each row, or why there is none."""
    if all(row in best for row in wanted):
        return [best[row] for row in wanted]
    tokens, logits = rows.highest(wanted)
    failures = np.where(np.isneginf(logits), NOTHING_LEFT, NO_TOKEN)
    found: list[int] = np.where(np.isfinite(logits), tokens, failures).tolist()
    return found


def _blamed(draw: Draw, outcome: Outcome, removed: Removed) -> Outcome:
    """The outcome, or `NO_TOKEN` where the model had failed on the row before anything was removed from it."""
    failure = min(outcome.token, 0) if isinstance(outcome, Pick) else outcome.failure
    if draw.row in removed.broken or (failure == NOTHING_LEFT and draw.row not in removed.finite):
        return Pick(NO_TOKEN) if draw.beam is None else Expansion((), NO_TOKEN)
    return outcome
