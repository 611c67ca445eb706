"""Where adapters enter the graph: a branch beside the projections of a layer that read the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from friendli_endpoint.model.architectures import expected_shapes
from friendli_endpoint.model.names import PRODUCTS, READERS, layer_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from friendli_endpoint.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Branch:
    """One pair of low-rank products for all `parts` of a layer that adapters change.

    The parts' ranks are stacked: A is [inputs, parts * rank], B is [parts * rank, outputs] and zero outside each part's
    own `columns`. `products` are those of the model's own products, in the order of the columns, that B adds to.
    """

    layer: int
    parts: tuple[str, ...]
    products: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    columns: Mapping[str, slice]
    inputs: int

    @property
    def outputs(self) -> int:
        return sum(self.widths)

    def tensor(self, part: str) -> str:
        return layer_tensor(self.layer, part)

    @property
    def a(self) -> str:
        """The graph input that takes A of each adapter in the batch."""
        return f"lora_a.{self.layer}.{'_'.join(self.parts)}"

    @property
    def b(self) -> str:
        """The graph input that takes B."""
        return f"lora_b.{self.layer}.{'_'.join(self.parts)}"


def branches(config: ModelConfig, targets: Set[str]) -> Iterator[Branch]:
    """The branches of a graph whose adapters change the projections `targets`."""
    shapes = expected_shapes(config)
    for layer in range(config.layers):
        for group in READERS:
            products = tuple(each for each in PRODUCTS if set(each) <= set(group) and targets & set(each))
            if products:
                yield _branch(layer, products, targets, shapes)


def _branch(
    layer: int, products: tuple[tuple[str, ...], ...], targets: Set[str], shapes: Mapping[str, tuple[int, ...]]
) -> Branch:
    covered = [part for product in products for part in product]
    sizes = {part: shapes[layer_tensor(layer, part)] for part in covered}
    begins = [sum(sizes[before][0] for before in covered[:i]) for i in range(len(covered))]
    columns = {part: slice(begin, begin + sizes[part][0]) for part, begin in zip(covered, begins, strict=True)}
    return Branch(
        layer=layer,
        parts=tuple(part for part in covered if part in targets),
        products=products,
        widths=tuple(sum(sizes[part][0] for part in product) for product in products),
        columns=columns,
        inputs=sizes[covered[0]][1],
    )
