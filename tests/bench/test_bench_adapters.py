"""What the measurements of adapters count and make, without a model and without peers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import gguf
import httpx2
import numpy as np
from bench.adapters.adding import gaps
from bench.adapters.changes import ChangeFigures, Load
from bench.adapters.files import RANK, write_adapters
from bench.adapters.residents import count_faults
from bench.client import flood
from bench.wire import Job, Outcome, Run

from bench import http_load

if TYPE_CHECKING:
    from pathlib import Path


def test_gaps_are_those_that_a_span_touches() -> None:
    arrivals = [0.0, 1.0, 3.0, 6.0, 10.0]

    assert gaps(arrivals, 2.0, 3.5) == [2.0, 3.0]
    assert gaps(arrivals, 3.5, 5.0) == [3.0]


def test_a_short_answer_has_failed_and_a_whole_one_with_other_tokens_is_wrong() -> None:
    load = [Job([1], 2), Job([2], 2), Job([3], 2)]
    together = Run(1.0, [Outcome(None, 2, [5, 6]), Outcome(None, 1, [5]), Outcome(None, 2, [5, 7])])
    alone = Run(1.0, [Outcome(None, 2, [5, 6])] * 3)

    assert count_faults([load], [together], [alone]) == (1, 1)


def test_an_adapter_has_both_sides_of_each_projection_of_the_model_and_values_of_its_own(tmp_path: Path) -> None:
    files = write_adapters(base_model(tmp_path / "base.gguf"), tmp_path, 2)

    first, second = ({each.name: each.data for each in gguf.GGUFReader(path).tensors} for path in files.values())
    assert {name: values.shape for name, values in first.items()} == {
        "blk.0.attn_q.weight.lora_a": (RANK, 64),
        "blk.0.attn_q.weight.lora_b": (32, RANK),
        "blk.1.ffn_down.weight.lora_a": (RANK, 96),
        "blk.1.ffn_down.weight.lora_b": (64, RANK),
    }
    assert not any(np.array_equal(values, second[name]) for name, values in first.items())


def test_a_change_that_is_not_answered_as_it_should_be_counts_and_so_does_a_request_with_other_tokens() -> None:
    """The flood server answers every stream alike, a PUT with 200 as if the route had been there, no DELETE at all."""
    alone = [(Job([1], 3, adapter="a0"), [1000, 1001, 1002]), (Job([1], 3, adapter="a1"), [7, 8, 9])]

    with flood() as url:
        figures = asyncio.run(one_round(url, alone))

    assert (figures.changes, figures.requests, figures.changed) == (3, 2, 1)
    assert [sentence.partition(":")[0] for sentence in figures.failed] == ["PUT route", "DELETE route"]


async def one_round(url: str, alone: list[tuple[Job, list[int]]]) -> ChangeFigures:
    async with httpx2.AsyncClient(base_url=url) as client:
        load = Load(http_load.ours(url), client, {"a0": "/a0", "a1": "/a1"}, alone)
        await load.change("route", rounds=1)
    return load.figures


def base_model(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    for name, shape in {
        "token_embd.weight": (16, 64),
        "blk.0.attn_norm.weight": (64,),
        "blk.0.attn_q.weight": (32, 64),
        "blk.1.ffn_down.weight": (64, 96),
    }.items():
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
