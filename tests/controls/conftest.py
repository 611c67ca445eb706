"""One small model, 40 prompts, and what both sides make of them, computed once per test run."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pytest
from continuations import Ours
from control_answers import Answers, ask
from control_cases import GREEDY, LENGTH, Case, Tokens, beam_cases, drawn_cases, greedy_cases, sampled_beam_cases
from control_questions import Replaced, Sampled, Scored, random_answers, random_vectors

from friendli_endpoint.model import ModelOptions, loading
from random_model import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from reference import Reference

GROUPS = [(14, 7), (13, 21), (13, 40)]  # prompts, and how many tokens each of them has
VOCABULARY = 320
# With these the logits spread by 3, and greedy texts of 48 tokens do not go in circles.
SPREAD = {"embed_tokens": 1.0, "lm_head": 0.4, "q_proj": 0.2, "k_proj": 0.2, "v_proj": 0.15, "o_proj": 0.15}
SPREAD |= {"gate_proj": 0.2, "up_proj": 0.2, "down_proj": 0.2}


@pytest.fixture(scope="session")
def prompts() -> list[Tokens]:
    rng = np.random.default_rng(17)
    return [tuple(rng.integers(0, VOCABULARY, size).tolist()) for count, size in GROUPS for _ in range(count)]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("controls") / "model"
    return write_folder(folder, SPREAD, vocab_size=VOCABULARY, tie_word_embeddings=False)


@pytest.fixture(scope="session")
def ours(small_model: Path) -> Ours:
    """With KV in 32 bits the logits are the reference's to some 1e-5."""
    return Ours(loading.load(small_model, ModelOptions(weights="f16", kv="f32", kv_tokens=16384)))


@pytest.fixture(scope="session")
def texts(ours: Ours, prompts: list[Tokens]) -> list[list[int]]:
    """Our greedy continuations, of which the settings take what they ban and where they end."""
    return [each.tokens for each in ours.continued(Case(GREEDY), prompts, LENGTH)]


@pytest.fixture(scope="session")
def cases(texts: list[list[int]]) -> dict[str, Case]:
    return greedy_cases(texts) | beam_cases(texts)


@pytest.fixture(scope="session")
def sampled(prompts: list[Tokens], texts: list[list[int]]) -> dict[str, Sampled]:
    return {name: Sampled(case, prompts[0], 2000, 3) for name, case in sampled_beam_cases(texts).items()}


@pytest.fixture(scope="session")
def replaced(prompts: list[Tokens]) -> dict[str, Replaced]:
    return random_vectors(prompts, hidden_size=64, length=LENGTH)


@pytest.fixture(scope="session")
def scored(prompts: list[Tokens], texts: list[list[int]]) -> dict[str, Scored]:
    return random_answers(prompts, texts, VOCABULARY)


@pytest.fixture(scope="session")
def theirs(
    reference: Reference,
    small_model: Path,
    prompts: list[Tokens],
    cases: dict[str, Case],
    sampled: dict[str, Sampled],
    replaced: dict[str, Replaced],
    scored: dict[str, Scored],
) -> Answers:
    """The reference's answers to everything, from one run of it."""
    questions = {
        "prompts": [list(group) for _, group in groupby(prompts, len)],
        "length": LENGTH,
        "generated": {name: case.theirs() for name, case in cases.items()},
        "sampled": {name: each.theirs() for name, each in sampled.items()},
        "drawn": {name: case.theirs() for name, case in drawn_cases().items()},
        "replaced": {name: each.theirs() for name, each in replaced.items()},
        "scored": {name: each.theirs() for name, each in scored.items()},
    }
    return ask(reference, small_model, questions, small_model.parent)
