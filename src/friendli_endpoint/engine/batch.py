"""A plan as the arrays that one forward takes."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.step_model import Batch

if TYPE_CHECKING:
    from friendli_endpoint.engine.plan import Plan


def batch_of(plan: Plan) -> Batch:
    """The rows of a plan, in order; `sampled` has one index per row that somebody draws from."""
    sequences = [row.sequence for row in plan.rows]
    begins = list(accumulate((row.count for row in plan.rows), initial=0))
    new = chain.from_iterable(row.sequence.tokens[row.sequence.computed :][: row.count] for row in plan.rows)
    return Batch(
        tokens=np.fromiter(new, np.int64, begins[-1]),
        past_lens=np.array([sequence.computed for sequence in sequences], np.int32),
        row_begins=np.array(begins, np.int32),
        blocks=np.fromiter(chain.from_iterable(sequence.blocks for sequence in sequences), np.int32),
        block_begins=np.fromiter(accumulate((len(s.blocks) for s in sequences), initial=0), np.int32),
        sampled=np.array([end - 1 for row, end in zip(plan.rows, begins[1:], strict=True) if row.draws], np.int64),
    )
