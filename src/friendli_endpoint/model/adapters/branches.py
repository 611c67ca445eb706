"""Where adapters enter the graph: a branch beside the projections of a layer that read the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from friendli_endpoint.model.architectures import expected_shapes
from friendli_endpoint.model.names import PRODUCTS, READERS, layer_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set

    from friendli_endpoint.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Branch:
    """A pair of low-rank products beside each of those `products` of a layer that read the same input.

    The products are equally wide. Where one is of several parts, the parts' ranks are stacked: per product, A is
    [inputs, stacked * rank], and B, [stacked * rank, outputs], is zero outside each part's own columns.
    """

    layer: int
    products: tuple[tuple[str, ...], ...]
    places: Mapping[str, Place]
    inputs: int
    outputs: int

    @property
    def stacked(self) -> int:
        return max(place.rank for place in self.places.values()) + 1

    def tensor(self, part: str) -> str:
        return layer_tensor(self.layer, part)

    @property
    def a(self) -> str:
        """The graph input that takes A of each adapter in the batch."""
        return f"lora_a.{self.layer}.{'_'.join(self.places)}"

    @property
    def b(self) -> str:
        """The graph input that takes B."""
        return f"lora_b.{self.layer}.{'_'.join(self.places)}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a branch a part is: which product, which of its stacked ranks, which columns."""

    product: int
    rank: int
    columns: slice


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
    outputs = {part: shapes[layer_tensor(layer, part)][0] for product in products for part in product}
    return Branch(
        layer=layer,
        products=products,
        places={
            part: Place(i, [each for each in product if each in targets].index(part), _columns(product, part, outputs))
            for i, product in enumerate(products)
            for part in product
            if part in targets
        },
        inputs=shapes[layer_tensor(layer, products[0][0])][1],
        outputs=sum(outputs[part] for part in products[0]),
    )


def _columns(product: Sequence[str], part: str, outputs: Mapping[str, int]) -> slice:
    begin = sum(outputs[before] for before in product[: product.index(part)])
    return slice(begin, begin + outputs[part])
