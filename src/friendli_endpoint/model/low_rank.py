"""The adapters' part of the graph: every token gets the low-rank change of its own adapter, if it has one.

The tokens of one adapter are gathered into a group, so that each product of the batch reads each adapter's weights
once, and goes over no token that has another. Sums run over one token's channels alone: what company it has, or how
long the groups are, does not change a bit of its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from openvino import opset16 as op

from friendli_endpoint.model import pieces
from friendli_endpoint.model.paged_attention import parameter
from friendli_endpoint.model.sizes import group_size_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.pieces import Value

MEMBERS, PLACES = "lora_members", "lora_places"


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """Which tokens have which adapter: graph inputs, the same in every layer.

    members    int32 [G, 1, M]  the tokens of each of G adapters, filled up with T, which is no token
    places[P]  int32 [T, P]     where each token's changes are among the G * P * M that a branch of P products computes;
                                for a token of the base model beyond them
    """

    members: ov.Node
    places: Mapping[int, ov.Node]

    @classmethod
    def create(cls, branches: Iterable[Branch]) -> GroupInputs:
        products = sorted({len(branch.products) for branch in branches})
        places = {p: parameter(f"{PLACES}.{p}", [-1, p], ov.Type.i32) for p in products}
        return cls(parameter(MEMBERS, [-1, 1, -1], ov.Type.i32), places)

    def parameters(self) -> list[ov.Node]:
        return [self.members, *self.places.values()]


def weights(branch: Branch) -> tuple[ov.Node, ov.Node]:
    """The graph inputs A [G, P, inputs, ranks] and B [G, P, ranks, outputs] of a branch, float32."""
    products = len(branch.products)
    a = parameter(branch.a, [-1, products, branch.inputs, -1], ov.Type.f32)
    return a, parameter(branch.b, [-1, products, -1, branch.outputs], ov.Type.f32)


def changes(x: Value, branch: Branch, a: Value, b: Value, groups: GroupInputs) -> list[Value]:
    """What the adapters add to each of the branch's products of `x` [T, 1, inputs]; exactly 0 for the base model."""
    products = len(branch.products)
    # Gathering from beyond the end gives zeros.
    members = pieces.rows(pieces.flat(x, branch.inputs), groups.members)
    low = op.matmul(members, a, transpose_a=False, transpose_b=False)
    change = pieces.flat(op.matmul(low, b, transpose_a=False, transpose_b=False), branch.outputs)
    change = pieces.rows(change, groups.places[products])
    return [change] if products == 1 else [*pieces.split(change, [1] * products, axis=1)]


def group_tokens(slots: NDArray[np.int64], groups: int, branches: Iterable[Branch]) -> dict[str, NDArray[np.int32]]:
    """The values of GroupInputs for tokens with the adapters in `slots` [T], -1 for the base model."""
    tokens = np.flatnonzero(slots >= 0)
    tokens = tokens[np.argsort(slots[tokens], kind="stable")]
    counts = np.bincount(slots[tokens], minlength=groups)
    length = group_size_for(int(counts.max()))
    first = np.cumsum(counts) - counts
    places = slots[tokens] * length + np.arange(len(tokens)) - first[slots[tokens]]
    members = np.full(groups * length, len(slots), np.int32)
    members[places] = tokens
    feeds: dict[str, NDArray[np.int32]] = {MEMBERS: members.reshape(groups, 1, length)}
    for products in {len(branch.products) for branch in branches}:
        back = np.full((len(slots), products), groups * products * length, np.int32)
        back[tokens] = (places + slots[tokens] * (products - 1) * length)[:, None] + np.arange(products) * length
        feeds[f"{PLACES}.{products}"] = back
    return feeds
