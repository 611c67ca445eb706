"""The compiled graph with its KV blocks: the engine's StepModel on OpenVINO."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import openvino as ov

from friendli_endpoint.engine.step_model import Batch
from friendli_endpoint.engine.vocabulary import ModelCard
from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters.arena import Arena
from friendli_endpoint.model.adapters.library import SMALLEST_RANK, Graphs, Library
from friendli_endpoint.model.adapters.spool import Spool
from friendli_endpoint.model.graph import Graph
from friendli_endpoint.model.low_rank import group_tokens
from friendli_endpoint.model.memory import kv_tokens
from friendli_endpoint.model.paged_attention import BLOCK_SIZE, KEY_CACHE, VALUE_CACHE
from friendli_endpoint.model.sizes import sampled_size_for, size_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits
    from friendli_endpoint.engine.vocabulary import AdapterCard
    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.config import ModelConfig, ModelOptions

Integer = TypeVar("Integer", np.int32, np.int64)
COPIES = 2  # of the weights while a graph is made: as it is given them, and as its kernels read them


class PagedModel:
    """A StepModel; see its contract. Not for use by two threads at once; `forward` releases the interpreter's lock.

    The block after the last usable one belongs to a dummy row, which fills a forward up to one of the sizes that there
    are (see `sizes`).
    """

    def __init__(
        self,
        compiled: ov.CompiledModel,
        config: ModelConfig,
        options: ModelOptions,
        compile_with: Callable[[Sequence[Branch]], ov.CompiledModel],
        weight_bytes: int,
    ) -> None:
        caches = [each for each in compiled.inputs if each.any_name.startswith((KEY_CACHE, VALUE_CACHE))]
        blocks = _kv_blocks(caches, config, options.kv_tokens)
        self._dummy_block = blocks
        self._caches = {
            each.any_name: ov.Tensor(each.element_type, ov.Shape([blocks + 1, *_block_shape(each)])) for each in caches
        }
        self._graph = Graph(compiled, self._caches)
        self._compile_with = compile_with
        self._library = _library(config, options, Graphs(self._graph_for, COPIES * weight_bytes))
        self._card = ModelCard(
            name=config.name,
            architecture=config.architecture,
            vocab_size=config.vocab_size,
            context_length=config.context_length,
            block_size=BLOCK_SIZE,
            kv_blocks=blocks,
            weights="f16" if options.weights == "f16" else "i8",
            hidden_size=config.hidden,
            adapters=options.adapters if self._library else 0,
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    def forward(self, batch: Batch) -> Logits:
        sampled = len(batch.sampled)
        batch = self._in_company(batch)
        graph = self._graph
        if self._library and any(batch.adapters):
            graph = self._library.prepare(batch.adapters, np.diff(batch.row_begins))
        graph.feed(self._feeds(batch))
        return graph.run()[:sampled]

    def add_adapter(self, key: str, path: str) -> AdapterCard:
        if self._library is None:
            raise AdapterError("this model has been loaded without room for adapters")
        return self._library.add(key, path)

    def drop_adapter(self, key: str) -> None:
        if self._library is not None:
            self._library.drop(key)

    def warm_up(self) -> None:
        """One forward over the dummy block, so that a first request finds its kernels made; may raise RuntimeError."""
        self._graph.feed(self._idle_feeds())
        self._graph.run()

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for cache in self._caches.values():
            data = cache.data
            for source, destination in pairs:
                data[destination] = data[source]

    def _graph_for(self, branches: Sequence[Branch]) -> Graph:
        """The graph with these branches for adapters, warmed up; beside the other one, on the same caches."""
        graph = Graph(self._compile_with(branches), self._caches)
        arena = Arena(branches, rank=SMALLEST_RANK, slots=1)
        graph.share(arena.feeds(1))
        graph.feed(group_tokens(np.zeros(2, np.int64), 1, branches) | self._idle_feeds())
        graph.run()
        return graph

    def _idle_feeds(self) -> dict[str, NDArray[np.generic]]:
        """A forward over the dummy block alone."""
        row, begins, token = np.zeros(1, np.int32), np.array([0, 1], np.int32), np.zeros(1, np.int64)
        return self._feeds(self._in_company(Batch(token, row, begins, row + self._dummy_block, begins, token)))

    def _in_company(self, batch: Batch) -> Batch:
        """A batch of a size that there is, as many sampled as well; what is added or repeated is not handed out."""
        missing = size_for(len(batch.tokens)) - len(batch.tokens)
        if missing:
            batch = replace(
                batch,
                tokens=np.append(batch.tokens, np.zeros(missing, np.int64)),
                past_lens=_with(batch.past_lens, 0),
                row_begins=_with(batch.row_begins, len(batch.tokens) + missing),
                blocks=_with(batch.blocks, self._dummy_block),
                block_begins=_with(batch.block_begins, len(batch.blocks) + 1),
                adapters=(*batch.adapters, None),
            )
        repeated = np.resize(np.append(batch.sampled, np.int64(0))[:1], sampled_size_for(len(batch.sampled)))
        repeated[: len(batch.sampled)] = batch.sampled
        return replace(batch, sampled=repeated)

    def _feeds(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        lengths = np.diff(batch.row_begins)
        positions = np.arange(len(batch.tokens), dtype=np.int64)
        return {
            "tokens": batch.tokens,
            "positions": positions + np.repeat(batch.past_lens - batch.row_begins[:-1], lengths),
            "sampled": batch.sampled,
            "replaced": batch.replaced,
            "embeddings": batch.embeddings.reshape(len(batch.replaced), 1, self._card.hidden_size),
            "past_lens": batch.past_lens,
            "subsequence_begins": batch.row_begins,
            "block_indices": batch.blocks,
            "block_indices_begins": batch.block_begins,
            "max_context_len": np.array((batch.past_lens + lengths).max(), np.int32),
        }


def _library(config: ModelConfig, options: ModelOptions, graphs: Graphs) -> Library | None:
    if options.spool is None or not options.adapters:
        return None
    return Library(config, Spool(options.spool), options.adapters, graphs)


def _with(values: NDArray[Integer], last: int) -> NDArray[Integer]:
    return np.append(values, values.dtype.type(last))


def _block_shape(cache: ov.ConstOutput) -> list[int]:
    return [size.get_length() for size in list(cache.partial_shape)[1:]]


def _kv_blocks(caches: Sequence[ov.ConstOutput], config: ModelConfig, wanted: int | None) -> int:
    per_block = sum(math.prod(_block_shape(each)) * each.element_type.size for each in caches)
    return -(-kv_tokens(wanted, per_block // BLOCK_SIZE, config.context_length) // BLOCK_SIZE)
