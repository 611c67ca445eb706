"""The private operation that everything stands on."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset16 as op

from friendli_endpoint.errors import EngineError
from friendli_endpoint.model import paged_attention
from friendli_endpoint.model.paged_attention import Heads, RowInputs, attend, cache_parameters, parameter

SIZE, TOKENS = 32, 40
HEADS = Heads(queries=2, keys=1, size=SIZE)


def graph(window: int) -> ov.Model:
    rows = RowInputs.create()
    inputs = {name: parameter(name, [-1, n * SIZE], ov.Type.f32) for name, n in (("q", 2), ("k", 1), ("v", 1))}
    caches = cache_parameters(0)
    out = attend(*inputs.values(), caches, rows, HEADS, window)
    return ov.Model([op.result(out)], [*inputs.values(), *caches, *rows.parameters()], "attention")


def expected(q: np.ndarray, k: np.ndarray, v: np.ndarray, window: int) -> np.ndarray:
    distance = np.arange(TOKENS)[:, None] - np.arange(TOKENS)[None, :]
    seen = (distance >= 0) & ((distance < window) | (window == 0))
    out = []
    for head in q.reshape(TOKENS, 2, SIZE).swapaxes(0, 1):
        scores = np.where(seen, head @ k.T / np.sqrt(SIZE), -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out.append(weights / weights.sum(-1, keepdims=True) @ v)
    return np.concatenate(out, axis=1)


def run(window: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(graph(window), "CPU", settings)
    request = compiled.create_infer_request()
    for each in compiled.inputs:
        if "cache" in each.any_name:
            shape = [2, *(size.get_length() for size in list(each.partial_shape)[1:])]
            request.set_tensor(each, ov.Tensor(each.element_type, ov.Shape(shape)))
    feeds = {
        "past_lens": [0],
        "subsequence_begins": [0, TOKENS],
        "block_indices": [1, 0],
        "block_indices_begins": [0, 2],
    }
    feeds = {name: np.array(value, np.int32) for name, value in feeds.items()}
    feeds |= {"max_context_len": np.array(TOKENS, np.int32), "q": q, "k": k, "v": v}
    for name, value in feeds.items():
        request.set_tensor(name, ov.Tensor(value))
    request.infer()
    return request.get_output_tensor(0).data.copy()


@pytest.mark.parametrize("window", [0, 7])
def test_paged_attention_is_what_this_release_was_written_for(window: int) -> None:
    installed = ov.__version__
    assert installed.startswith(paged_attention.VERSION), (
        f"paged attention is private to OpenVINO: written for {paged_attention.VERSION}, but {installed} is there; "
        "compare its inputs with paged_attention.py, run the bit-for-bit tests, then move VERSION and the pin"
    )
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((TOKENS, n * SIZE), dtype=np.float32) for n in (2, 1, 1))
    try:
        found = run(window, q, k, v)
    except (EngineError, RuntimeError) as error:
        pytest.fail(
            f"the inputs of OpenVINO's paged attention have changed; compare them with paged_attention.py: {error}"
        )
    assert np.abs(found - expected(q, k, v, window)).max() < 1e-5


def test_another_operation_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged_attention, "_unused", list)
    with pytest.raises(EngineError, match=r"install openvino==2026\.4\.\*"):
        graph(0)
