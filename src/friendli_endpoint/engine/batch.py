"""A plan as the arrays that one forward takes."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.step_model import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.plan import Plan, Row
    from friendli_endpoint.engine.vocabulary import Embeddings


def batch_of(plan: Plan) -> Batch:
    """The rows of a plan, in order; `sampled` has one index per row that somebody draws from."""
    sequences = [row.sequence for row in plan.rows]
    adapters = tuple(sequence.request.adapter for sequence in sequences)
    begins = list(accumulate((row.count for row in plan.rows), initial=0))
    new = chain.from_iterable(row.sequence.tokens[row.sequence.computed :][: row.count] for row in plan.rows)
    batch = Batch(
        tokens=np.fromiter(new, np.int64, begins[-1]),
        past_lens=np.array([sequence.computed for sequence in sequences], np.int32),
        row_begins=np.array(begins, np.int32),
        blocks=np.fromiter(chain.from_iterable(sequence.blocks for sequence in sequences), np.int32),
        block_begins=np.fromiter(accumulate((len(s.blocks) for s in sequences), initial=0), np.int32),
        sampled=np.array([end - 1 for row, end in zip(plan.rows, begins[1:], strict=True) if row.draws], np.int64),
        adapters=adapters if any(adapter is not None for adapter in adapters) else (),
    )
    replacing = [
        _replacements(row, begin, embeddings)
        for row, begin in zip(plan.rows, begins, strict=False)
        if (embeddings := row.sequence.request.embeddings)
    ]
    return _with_replacements(batch, replacing) if replacing else batch


def _replacements(row: Row, begin: int, embeddings: Embeddings) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which of the batch's tokens, and by what, a row replaces that begins at `begin`."""
    places = np.array(embeddings.positions, np.int64) - row.sequence.computed
    here = (places >= 0) & (places < row.count)
    values = np.frombuffer(embeddings.values, np.float32).reshape(len(places), -1)
    return places[here] + begin, values[here]


def _with_replacements(batch: Batch, parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> Batch:
    places, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    return replace(batch, replaced=places, embeddings=values) if len(places) else batch
