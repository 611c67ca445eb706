"""Drives a StepModel by hand: sequences with block tables, and batches made of any mix of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.step_model import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import StepModel


@dataclass
class Row:
    """One sequence: how many tokens its KV blocks hold, which blocks those are, and its adapter's key."""

    past: int = 0
    blocks: list[int] = field(default_factory=list)
    adapter: str | None = None


class Driver:
    """Hands out blocks and runs forwards over any rows."""

    def __init__(self, model: StepModel) -> None:
        self.model = model
        self.free = list(range(model.card.kv_blocks))

    def step(
        self,
        rows: Sequence[Row],
        new: Sequence[Sequence[int]],
        *,
        every: bool = False,
        replaced: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> NDArray[np.float32]:
        """One forward over `new[i]` tokens of `rows[i]`; logits of each one's last token, or of `every` token.

        `replaced` has embeddings for tokens by their index among all the new ones.
        """
        size = self.model.card.block_size
        for row, tokens in zip(rows, new, strict=True):
            while len(row.blocks) * size < row.past + len(tokens):
                row.blocks.append(self.free.pop())
        begins = _begins([len(tokens) for tokens in new])
        total = int(begins[-1])
        replaced = replaced or {}
        batch = Batch(
            tokens=np.concatenate([np.asarray(tokens, np.int64) for tokens in new]),
            past_lens=np.array([row.past for row in rows], np.int32),
            row_begins=begins,
            blocks=np.concatenate([np.array(row.blocks, np.int32) for row in rows]),
            block_begins=_begins([len(row.blocks) for row in rows]),
            sampled=np.arange(total, dtype=np.int64) if every else (begins[1:] - 1).astype(np.int64),
            replaced=np.array(list(replaced), np.int64),
            embeddings=np.array(list(replaced.values()), np.float32),
            adapters=tuple(row.adapter for row in rows),
        )
        logits = self.model.forward(batch).copy()
        for row, tokens in zip(rows, new, strict=True):
            row.past += len(tokens)
        return logits

    def release(self, row: Row) -> None:
        self.free.extend(row.blocks)

    def generate(
        self, prompts: Sequence[Sequence[int]], count: int, adapters: Sequence[str | None] = ()
    ) -> tuple[list[list[int]], list[list[NDArray[np.float32]]]]:
        """Greedy continuations of prompts prefilled whole and together, and the logits behind every token."""
        rows = [Row(adapter=each) for each in adapters or [None] * len(prompts)]
        tokens: list[list[int]] = [[] for _ in prompts]
        seen: list[list[NDArray[np.float32]]] = [[] for _ in prompts]
        for _ in range(count):
            new = [given[-1:] or prompt for given, prompt in zip(tokens, prompts, strict=True)]
            for i, logits in enumerate(self.step(rows, new)):
                seen[i].append(logits)
                tokens[i].append(int(logits.argmax()))
        for row in rows:
            self.release(row)
        return tokens, seen


@dataclass(frozen=True)
class Expected:
    """What the reference model says: logits at every position of a prompt, and its greedy continuation."""

    prompt: NDArray[np.int64]
    logits: NDArray[np.float32]
    greedy: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Expected:
        with np.load(path) as arrays:
            return cls(arrays["prompt"], arrays["logits"], arrays["greedy"])


def _begins(lengths: Sequence[int]) -> NDArray[np.int32]:
    return np.cumsum([0, *lengths]).astype(np.int32)
