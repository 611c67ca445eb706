"""A LoRA adapter in memory, and the way there that its file formats share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.architectures import expected_shapes
from friendli_endpoint.model.names import PROJECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.config import ModelConfig

MOST_RANK = 512  # a bound against absurd amounts of work; larger ones are no longer small changes


@dataclass(frozen=True, slots=True)
class LowRank:
    """What one projection adds to its output: `y += (x @ a.T) @ b.T`.

    `a` is [rank, inputs]; `b` is [outputs, rank] and has the adapter's scale already in it.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Adapter:
    """`changes` are by the names of `names.py`, `layers.<i>.<part>`; they may differ in rank. There is at least one."""

    changes: Mapping[str, LowRank]

    @property
    def rank(self) -> int:
        """The largest."""
        return max(len(change.a) for change in self.changes.values())

    @property
    def targets(self) -> tuple[str, ...]:
        """The projections that it changes in any layer, in the order of PROJECTIONS."""
        changed = {name.rpartition(".")[2] for name in self.changes}
        return tuple(part for part in PROJECTIONS if part in changed)

    @property
    def parameters(self) -> int:
        return sum(change.a.size + change.b.size for change in self.changes.values())


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A projection's two tensors as a file has them, `scale` not yet in `b`."""

    a: StoredTensor
    b: StoredTensor
    scale: float


def pair_up(source: str, sides: Mapping[tuple[str, str], StoredTensor]) -> dict[str, tuple[StoredTensor, StoredTensor]]:
    """Tensors by (name, "A" or "B") -> A and B by name. AdapterError when one is alone, or there is none."""
    if not sides:
        raise AdapterError(f"{source} holds no tensors of an adapter")
    for (name, side), tensor in sides.items():
        other = "B" if side == "A" else "A"
        if (name, other) not in sides:
            raise AdapterError(f"{source}: tensor {tensor.name!r} is there without its {other}")
    return {name: (sides[name, "A"], sides[name, "B"]) for name, _ in sides}


def check_place(source: str, name: str | None, tensor: str, config: ModelConfig) -> str:
    """`name` when it is a projection of the model. AdapterError, which names `tensor`, when it is none."""
    layer, part = _layer_and_part(name)
    if part in {"embedding", "head"}:
        raise AdapterError(
            f"{source}: tensor {tensor!r} changes the {part}, which is not supported; "
            f"supported are the projections {', '.join(PROJECTIONS)}"
        )
    if name is None or part not in PROJECTIONS:
        raise AdapterError(
            f"{source}: tensor {tensor!r} is not a low-rank change of a projection ({', '.join(PROJECTIONS)})"
        )
    if layer >= config.layers:
        raise AdapterError(
            f"{source}: tensor {tensor!r} is for layer {layer}, but {config.name} has {config.layers} layers, from 0; "
            "the adapter was trained on another model"
        )
    return name


def assemble(source: str, pairs: Mapping[str, StoredPair], config: ModelConfig) -> Adapter:
    """The adapter in memory of its own, once every shape fits the model. AdapterError when one does not."""
    shapes = expected_shapes(config)
    for name, pair in pairs.items():
        _check_shapes(source, pair, shapes[name], config)
    return Adapter({name: _change(source, pair) for name, pair in pairs.items()})


def _layer_and_part(name: str | None) -> tuple[int, str]:
    match (name or "").split("."):
        case ["layers", layer, part]:
            return int(layer), part
        case [part]:
            return 0, part
        case _:
            return 0, ""


def _check_shapes(source: str, pair: StoredPair, shape: tuple[int, ...], config: ModelConfig) -> None:
    outputs, inputs = shape
    rank = pair.a.shape[0]
    if rank > MOST_RANK:
        raise AdapterError(f"{source}: tensor {pair.a.name!r} has rank {rank}; supported are ranks up to {MOST_RANK}")
    for tensor, needed in ((pair.a, (rank, inputs)), (pair.b, (outputs, rank))):
        if tensor.shape != needed:
            raise AdapterError(
                f"{source}: tensor {tensor.name!r} has shape {list(tensor.shape)}, where {config.name} needs "
                f"{list(needed)}; was the adapter trained on another model?"
            )


def _change(source: str, pair: StoredPair) -> LowRank:
    with np.errstate(all="ignore"):
        change = LowRank(np.array(pair.a.float32(), np.float32), pair.b.float32() * np.float32(pair.scale))
    for tensor, values in ((pair.a, change.a), (pair.b, change.b)):
        if not np.isfinite(values).all():
            raise AdapterError(f"{source}: tensor {tensor.name!r} has values that are not finite numbers")
    return change
