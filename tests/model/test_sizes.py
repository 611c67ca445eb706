"""Forwards have few sizes: the runtime keeps something for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from step_driver import Driver, Row

from friendli_endpoint.model import ModelOptions, load
from friendli_endpoint.model.graph import Graph
from friendli_endpoint.model.paged_attention import BLOCK_SIZE
from friendli_endpoint.model.sizes import group_size_for, sampled_size_for, size_for
from random_model import write_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import pytest
    from numpy.typing import NDArray

COUNTS = range(5000)


def test_a_size_holds_what_was_asked_for_and_little_more() -> None:
    for count in COUNTS:
        assert count <= size_for(count) < count + BLOCK_SIZE
        assert size_for(count) <= max(2, count * 17 / 16)


def test_what_costs_less_is_rounded_further() -> None:
    for count in COUNTS:
        assert count <= sampled_size_for(count) <= max(2, count * 5 / 4)
        assert count <= group_size_for(count) <= max(2, count * 3 / 2)
    assert {sampled_size_for(count) for count in range(33)} == {*range(2, 9), 10, 12, 14, 16, 20, 24, 28, 32}
    assert {group_size_for(count) for count in range(65)} == {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}


def test_there_are_few_sizes_and_each_is_its_own() -> None:
    assert all(size_for(size_for(count)) == size_for(count) for count in COUNTS)
    assert len({size_for(count) for count in range(513)}) == 95
    assert {size_for(count) for count in range(33)} == {*range(2, 33)}


def test_every_forward_has_such_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[tuple[int, ...]] = []
    feed = Graph.feed

    def watch(graph: Graph, inputs: Mapping[str, NDArray[np.generic]]) -> None:
        fed.append((len(inputs["tokens"]), len(inputs["sampled"])))
        feed(graph, inputs)

    monkeypatch.setattr(Graph, "feed", watch)
    model = load(write_folder(tmp_path / "model"), ModelOptions(kv_tokens=4001))
    for rows in range(30, 45):
        assert len(Driver(model).step([Row() for _ in range(rows)], [[token] for token in range(rows)])) == rows
    assert {tokens for tokens, _ in fed} == {2, 30, 31, 32, 34, 36, 38, 40, 42, 44}
    assert {sampled for _, sampled in fed} == {2, 32, 40, 48}
