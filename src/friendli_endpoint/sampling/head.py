"""What sampling needs of whole rows, found natively: each row's most probable tokens, and its mass in blocks of ids.

Python never walks a vocabulary for an ordinary draw. Two small graphs stand beside the model's and run on the same
threads: the ranks depend on the logits alone, the masses on the temperature too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import openvino as ov
from openvino import opset16 as op

from friendli_endpoint.engine.vocabulary import MOST_LOGPROBS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits

HEAD_SIZE: Final = MOST_LOGPROBS
"""How many ranks are found of each row: as many as can be told of."""
MASS_WIDTH: Final = 256
"""How many tokens make one block of masses."""
_RANK_WIDTH: Final = 32
"""How many tokens make one block of those among which the highest ranks are looked for."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Per row: the K highest logits, highest first (equal ones by token id), and their tokens."""

    logits: NDArray[np.float64]  # [S, K], unscaled
    tokens: NDArray[np.int64]  # [S, K]

    def at(self, rows: NDArray[np.int64]) -> Ranks:
        """Those of the given rows, in that order."""
        return Ranks(self.logits[rows], self.tokens[rows])


@dataclass(frozen=True, slots=True)
class Masses:
    """Per row: the highest logit, and the sums of exp((logit - peak) * scale).

    `totals` is at least 1 and at most the vocabulary's size, 0 where all logits are minus infinity, and otherwise far
    above or not finite: what is native does not carry NaN through faithfully.
    """

    peaks: NDArray[np.float64]  # [S], unscaled
    blocks: NDArray[np.float64]  # [S, vocab / MASS_WIDTH, rounded up], over so many ids each
    totals: NDArray[np.float64]  # [S], over the whole row

    @property
    def log_sums(self) -> NDArray[np.float64]:
        """The log-sum-exp of each row of scale 1 [S]; nothing of use where a row is not sound."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log_sums: NDArray[np.float64] = self.peaks + np.log(self.totals)
        return log_sums

    @property
    def sound(self) -> NDArray[np.bool_]:
        """The row has a finite maximum [S]."""
        sound: NDArray[np.bool_] = (self.totals > 0) & (self.totals <= 2.0 * MASS_WIDTH * self.blocks.shape[1])
        return sound

    def at(self, rows: NDArray[np.int64]) -> Masses:
        """Those of the given rows, in that order."""
        return Masses(self.peaks[rows], self.blocks[rows], self.totals[rows])


class HeadFinder:
    """Finds `Ranks` and `Masses`; a row's are the same bit for bit alone and in any company."""

    def __init__(self, vocab_size: int, *, threads: int | None = None) -> None:
        self._size = min(HEAD_SIZE, vocab_size)
        config: dict[str, object] = {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        core = ov.Core()
        # One rank more than wanted tells whether the last one has equals that are left out.
        heads = _heads_graph(vocab_size, min(HEAD_SIZE + 1, vocab_size))
        self._heads = core.compile_model(heads, "CPU", config).create_infer_request()
        self._masses = core.compile_model(_masses_graph(vocab_size), "CPU", config).create_infer_request()

    def masses(self, logits: Logits, scales: NDArray[np.float32]) -> Masses:
        """The masses of rows [S, vocab], row r scaled by `scales[r]`."""
        peaks, sums = _run(self._masses, np.ascontiguousarray(logits), scales)
        return _masses(peaks, sums)

    def heads(self, logits: Logits, scales: NDArray[np.float32]) -> tuple[Ranks, Masses]:
        """The masses, and the ranks on top: that takes twice the time."""
        logits = np.ascontiguousarray(logits)
        peaks, sums, values, places, *best = _run(self._heads, logits, scales)
        tokens = places.astype(np.int64)
        if best:
            among = tokens // _RANK_WIDTH
            blocks = np.take_along_axis(best[0], among, axis=1).astype(np.int64)
            tokens += (blocks - among) * _RANK_WIDTH
        _rank_equals_by_id(logits, values, tokens, self._size)
        ranks = Ranks(values[:, : self._size].astype(np.float64), tokens[:, : self._size])
        return ranks, _masses(peaks, sums)


def _run(request: ov.InferRequest, logits: Logits, scales: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    request.set_input_tensor(0, ov.Tensor(logits, shared_memory=True))
    request.set_input_tensor(1, ov.Tensor(scales.reshape(-1, 1, 1), shared_memory=True))
    request.infer()
    return [tensor.data for tensor in request.output_tensors]


def _masses(peaks: NDArray[np.float32], blocks: NDArray[np.float32]) -> Masses:
    sums = blocks.astype(np.float64)
    return Masses(peaks.reshape(-1).astype(np.float64), sums, sums.sum(axis=1))


def _rank_equals_by_id(logits: Logits, values: NDArray[np.float32], tokens: NDArray[np.int64], size: int) -> None:
    """Put equal logits in the order of their ids, in place; minus infinity is left as it is, nobody draws it."""
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -np.inf)
    for row in np.flatnonzero(equal.any(axis=1)):
        tokens[row] = tokens[row, np.lexsort((tokens[row], -values[row]))]
        if len(values[row]) > size and equal[row, size - 1]:
            cut = values[row] == values[row, size]
            tokens[row, cut] = np.flatnonzero(logits[row] == values[row, size])[: np.count_nonzero(cut)]


def _masses_graph(vocab_size: int) -> ov.Model:
    logits, scales = _inputs(vocab_size)
    highest = op.reduce_max(_in_blocks(logits, vocab_size, _RANK_WIDTH), _ints(2), False)
    return ov.Model(_summed(logits, scales, highest, vocab_size), [logits, scales], "masses")


def _heads_graph(vocab_size: int, size: int) -> ov.Model:
    """Masses, the logits of the highest ranks, in any order where equal, and their tokens.

    In a large vocabulary the highest tokens are among those of the `size` blocks with the highest maxima. These blocks
    are then one more output, and the one before says where in them a token lies.
    """
    logits, scales = _inputs(vocab_size)
    blocks = _in_blocks(logits, vocab_size, _RANK_WIDTH)
    highest = op.reduce_max(blocks, _ints(2), False)
    outputs = _summed(logits, scales, highest, vocab_size)
    if vocab_size < 2 * size * _RANK_WIDTH:
        return ov.Model([*outputs, *_top(logits, size, "value")], [logits, scales], "heads")
    _, best = _top(highest, size, "none")
    among = op.reshape(op.gather(blocks, best, np.int32(1), 1), _ints(0, size * _RANK_WIDTH), True)
    return ov.Model([*outputs, *_top(among, size, "value"), best], [logits, scales], "heads")


def _inputs(vocab_size: int) -> tuple[ov.Node, ov.Node]:
    logits = op.parameter([-1, vocab_size], ov.Type.f32, name="logits")
    return logits, op.parameter([-1, 1, 1], ov.Type.f32, name="scales")


def _summed(logits: ov.Node, scales: ov.Node, highest: ov.Node, vocab_size: int) -> list[ov.Output]:
    """Peaks and sums of the blocks; `highest` are maxima that cover the rows."""
    peaks = op.reduce_max(op.unsqueeze(highest, _ints(2)), _ints(1), True)
    # Relative to the peak before scaling, so that a tiny temperature loses no precision.
    below = op.subtract(_in_blocks(logits, vocab_size, MASS_WIDTH), peaks)
    sums = op.reduce_sum(op.exp(op.multiply(below, scales)), _ints(2), False)
    return [peaks.output(0), sums.output(0)]


def _top(values: ov.Node, size: int, order: str) -> tuple[ov.Output, ov.Output]:
    # A constant k and an unstable sort: the stable variant, or k as an input, takes a path a hundred times slower.
    top = op.topk(values, op.constant(np.int32(size)), 1, "max", order, "i32")
    return top.output(0), top.output(1)


def _in_blocks(logits: ov.Node, vocab_size: int, width: int) -> ov.Node:
    """Logits [S, vocab] as [S, blocks, width], the last block filled up with minus infinity."""
    blocks = -(-vocab_size // width)
    if missing := blocks * width - vocab_size:
        logits = op.pad(logits, _ints(0, 0), _ints(0, missing), "constant", op.constant(np.float32(-np.inf)))
    return op.reshape(logits, _ints(0, blocks, width), True)


def _ints(*values: int) -> ov.Node:
    return op.constant(np.array(values, np.int64))
