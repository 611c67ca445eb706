"""The head of each row: its most probable tokens and its log-sum-exp, found natively.

Sampling needs the whole row only when a draw falls outside the head, which is rare; so Python never walks a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import openvino as ov
from openvino import opset16 as op

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits

HEAD_SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class Heads:
    """Per row: the K highest logits, highest first (equal ones by token id), their tokens, and log-sum-exp."""

    logits: NDArray[np.float64]  # [S, K], unscaled
    tokens: NDArray[np.int64]  # [S, K]
    log_sums: NDArray[np.float64]  # [S], of the scaled row


class HeadFinder:
    """A small graph beside the model's: top-k and log-sum-exp of whole rows, on the same threads."""

    def __init__(self, vocab_size: int, *, threads: int | None = None) -> None:
        self.size = min(HEAD_SIZE, vocab_size)
        config: dict[str, object] = {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        compiled = ov.Core().compile_model(_head_graph(vocab_size, self.size), "CPU", config)
        self._request = compiled.create_infer_request()

    def find(self, logits: Logits, scales: NDArray[np.float32]) -> Heads:
        """Heads of the rows [S, vocab]; row r's log-sum-exp is that of `logits[r] * scales[r]` (scales [S])."""
        self._request.set_input_tensor(0, ov.Tensor(np.ascontiguousarray(logits), shared_memory=True))
        self._request.set_input_tensor(1, ov.Tensor(scales.reshape(-1, 1), shared_memory=True))
        self._request.infer()
        values, tokens, spread = (self._request.get_output_tensor(i).data for i in range(3))
        order = np.lexsort((tokens, -values), axis=-1)
        ranked = np.take_along_axis(values, order, axis=1).astype(np.float64)
        return Heads(
            ranked, np.take_along_axis(tokens, order, axis=1).astype(np.int64), ranked[:, 0] * scales + spread[:, 0]
        )


def _head_graph(vocab_size: int, size: int) -> ov.Model:
    logits = op.parameter([-1, vocab_size], ov.Type.f32, name="logits")
    scales = op.parameter([-1, 1], ov.Type.f32, name="scales")
    axis = op.constant(np.array([1], np.int64))
    # A constant k and an unstable sort: the stable variant, or k as an input, takes a path a hundred times slower.
    top = op.topk(logits, op.constant(np.int32(size)), 1, "max", "value", "i32")
    # Relative to the peak before scaling, so that a tiny temperature loses no precision.
    below_peak = op.subtract(logits, op.reduce_max(logits, axis, True))
    spread = op.log(op.reduce_sum(op.exp(op.multiply(below_peak, scales)), axis, True))
    return ov.Model([top.output(0), top.output(1), spread.output(0)], [logits, scales], "head")
