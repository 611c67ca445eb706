"""What is asked beside continuations: answers to score, and vectors that stand in for tokens of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.vocabulary import Embeddings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control_cases import Case
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scored:
    """A prompt, and an answer whose log-probabilities are wanted."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def theirs(self) -> dict[str, object]:
        return {"prompt": self.prompt, "answer": self.answer}


@dataclass(frozen=True)
class Sampled:
    """A prompt to be continued `count` times by `length` tokens, drawn."""

    case: Case
    prompt: tuple[int, ...]
    count: int
    length: int

    def theirs(self) -> dict[str, object]:
        arguments = self.case.theirs()
        return {"prompt": self.prompt, "count": self.count, "length": self.length, "arguments": arguments}


@dataclass(frozen=True)
class Replaced:
    """A prompt with `values` [positions, hidden size] for the embeddings at `positions`, and how far it goes on."""

    prompt: tuple[int, ...]
    positions: tuple[int, ...]
    values: NDArray[np.float32]
    length: int

    def ours(self) -> Embeddings:
        return Embeddings(self.positions, self.values.tobytes())

    def theirs(self) -> dict[str, object]:
        values = self.values.tolist()
        return {"prompt": self.prompt, "positions": self.positions, "values": values, "length": self.length}


def random_answers(
    prompts: Sequence[tuple[int, ...]], texts: Sequence[Sequence[int]], vocab_size: int
) -> dict[str, Scored]:
    """For each prompt its likely continuation or, for every other one, tokens that hardly follow; of many lengths."""
    rng = np.random.default_rng(23)
    lengths = rng.integers(1, 40, len(prompts)).tolist()
    unlikely = [tuple(rng.integers(0, vocab_size, length).tolist()) for length in lengths]
    answers = [tuple(texts[i][:n]) if i % 2 else unlikely[i] for i, n in enumerate(lengths)]
    return {f"scored-{i}": Scored(*both) for i, both in enumerate(zip(prompts, answers, strict=True))}


def random_vectors(
    prompts: Sequence[tuple[int, ...]], hidden_size: int, length: int, scale: float = 1.0
) -> dict[str, Replaced]:
    """For each prompt one or some positions, the first or the last or all among them; vectors spread by `scale`."""
    rng = np.random.default_rng(29)
    asked = {}
    for i, prompt in enumerate(prompts):
        last = len(prompt) - 1
        some = rng.choice(len(prompt), rng.integers(1, 6), replace=False)
        positions = [(0,), (last,), (0, last), tuple(range(last + 1)), tuple(sorted(some.tolist()))][i % 5]
        values = (scale * rng.standard_normal((len(positions), hidden_size))).astype(np.float32)
        asked[f"replaced-{i}"] = Replaced(prompt, positions, values, length)
    return asked
