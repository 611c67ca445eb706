"""The compiled graph with its KV blocks: the engine's StepModel on OpenVINO."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import openvino as ov

from friendli_endpoint.engine.step_model import Batch
from friendli_endpoint.engine.vocabulary import ModelCard
from friendli_endpoint.model.memory import kv_tokens
from friendli_endpoint.model.paged_attention import BLOCK_SIZE, KEY_CACHE, VALUE_CACHE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.model.config import ModelConfig, ModelOptions

Integer = TypeVar("Integer", np.int32, np.int64)


class PagedModel:
    """A StepModel; see its contract. Not for use by two threads at once; `forward` releases the interpreter's lock.

    The block after the last usable one belongs to a dummy row: a lone token would take another matrix kernel, which
    rounds differently, so it gets company.
    """

    def __init__(self, compiled: ov.CompiledModel, config: ModelConfig, options: ModelOptions) -> None:
        caches = [each for each in compiled.inputs if each.any_name.startswith((KEY_CACHE, VALUE_CACHE))]
        blocks = _kv_blocks(caches, config, options.kv_tokens)
        self._dummy_block = blocks
        self._request = compiled.create_infer_request()
        self._caches: list[NDArray[np.generic]] = []
        for each in caches:
            tensor = ov.Tensor(each.element_type, ov.Shape([blocks + 1, *_block_shape(each)]))
            self._request.set_tensor(each, tensor)
            self._caches.append(tensor.data)
        self._card = ModelCard(
            name=config.name,
            architecture=config.architecture,
            vocab_size=config.vocab_size,
            context_length=config.context_length,
            block_size=BLOCK_SIZE,
            kv_blocks=blocks,
            weights="f16" if options.weights == "f16" else "i8",
            hidden_size=config.hidden,
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    def forward(self, batch: Batch) -> Logits:
        for name, value in self._feeds(batch).items():
            self._request.set_tensor(name, ov.Tensor(value))
        self._request.infer()
        logits: Logits = self._request.get_output_tensor(0).data
        return logits[: len(batch.sampled)]

    def warm_up(self) -> None:
        """One forward over the dummy block, so that a first request finds its kernels made; may raise RuntimeError."""
        row, begins = np.zeros(1, np.int32), np.array([0, 1], np.int32)
        token = np.zeros(1, np.int64)
        self.forward(Batch(token, row, begins, row + self._dummy_block, begins, token))

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for cache in self._caches:
            for source, destination in pairs:
                cache[destination] = cache[source]

    def _feeds(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        tokens, past, begins = batch.tokens, batch.past_lens, batch.row_begins
        blocks, block_begins = batch.blocks, batch.block_begins
        if len(tokens) == 1:
            tokens, past, begins = _with(tokens, 0), _with(past, 0), _with(begins, 2)
            blocks, block_begins = _with(blocks, self._dummy_block), _with(block_begins, len(blocks) + 1)
        lengths = np.diff(begins)
        return {
            "tokens": tokens,
            "positions": np.arange(len(tokens), dtype=np.int64) + np.repeat(past - begins[:-1], lengths),
            "sampled": _at_least_two(batch.sampled),
            "replaced": batch.replaced,
            "embeddings": batch.embeddings.reshape(len(batch.replaced), 1, self._card.hidden_size),
            "past_lens": past,
            "subsequence_begins": begins,
            "block_indices": blocks,
            "block_indices_begins": block_begins,
            "max_context_len": np.array((past + lengths).max(), np.int32),
        }


def _with(values: NDArray[Integer], last: int) -> NDArray[Integer]:
    return np.append(values, values.dtype.type(last))


def _at_least_two(sampled: NDArray[np.int64]) -> NDArray[np.int64]:
    """The head's product, too, must never see a lone row; what is repeated is not handed out."""
    return sampled if len(sampled) > 1 else np.resize(np.append(sampled, np.int64(0))[:1], 2)


def _block_shape(cache: ov.ConstOutput) -> list[int]:
    return [size.get_length() for size in list(cache.partial_shape)[1:]]


def _kv_blocks(caches: Sequence[ov.ConstOutput], config: ModelConfig, wanted: int | None) -> int:
    per_block = sum(math.prod(_block_shape(each)) * each.element_type.size for each in caches)
    return -(-kv_tokens(wanted, per_block // BLOCK_SIZE, config.context_length) // BLOCK_SIZE)
