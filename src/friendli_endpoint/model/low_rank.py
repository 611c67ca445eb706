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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from friendli_endpoint.model.adapters.branches import Branch
    from friendli_endpoint.model.pieces import Value

MEMBERS, PLACES = "lora_members", "lora_places"
SHORTEST_GROUP = 2  # a group of one would take another matrix kernel, which rounds differently


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """Which tokens have which adapter: graph inputs, the same in every layer.

    members  int32 [G, M]  the tokens of each of G adapters, filled up with T, which is no token
    places   int32 [T]     where each token is among the G * M; a token of the base model has G * M, which is none
    """

    members: ov.Node
    places: ov.Node

    @classmethod
    def create(cls) -> GroupInputs:
        return cls(parameter(MEMBERS, [-1, -1], ov.Type.i32), parameter(PLACES, [-1], ov.Type.i32))

    def parameters(self) -> list[ov.Node]:
        return [self.members, self.places]


def weights(branch: Branch) -> tuple[ov.Node, ov.Node]:
    """The graph inputs A [G, inputs, ranks] and B [G, ranks, outputs] of a branch, float32."""
    a = parameter(branch.a, [-1, branch.inputs, -1], ov.Type.f32)
    return a, parameter(branch.b, [-1, -1, branch.outputs], ov.Type.f32)


def changes(x: Value, branch: Branch, a: Value, b: Value, groups: GroupInputs) -> list[Value]:
    """What the adapters add to each of the branch's products of `x` [T, 1, inputs]; exactly 0 for the base model."""
    # Gathering from beyond the end gives zeros.
    members = pieces.rows(pieces.flat(x, branch.inputs), groups.members)
    low = op.matmul(members, a, transpose_a=False, transpose_b=False)
    change = op.matmul(low, b, transpose_a=False, transpose_b=False)
    change = pieces.rows(pieces.column(pieces.flat(change, branch.outputs)), groups.places)
    return [*pieces.split(change, branch.widths)] if len(branch.widths) > 1 else [change]


def group_tokens(slots: NDArray[np.int64], groups: int) -> dict[str, NDArray[np.int32]]:
    """The values of GroupInputs for tokens with the adapters in `slots` [T], -1 for the base model."""
    tokens = np.flatnonzero(slots >= 0)
    tokens = tokens[np.argsort(slots[tokens], kind="stable")]
    counts = np.bincount(slots[tokens], minlength=groups)
    length = max(int(counts.max()), SHORTEST_GROUP)
    first = np.cumsum(counts) - counts
    places = slots[tokens] * length + np.arange(len(tokens)) - first[slots[tokens]]
    members = np.full(groups * length, len(slots), np.int32)
    members[places] = tokens
    back = np.full(len(slots), groups * length, np.int32)
    back[tokens] = places
    return {MEMBERS: members.reshape(groups, length), PLACES: back}
