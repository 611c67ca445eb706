"""The default model under the controls, as it is served but for its weights: tokens and scores of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from continuations import Ours
from continuations import request as asked
from control_answers import Answers, ask, furthest, told_ties
from control_cases import GREEDY, Case, greedy, search
from control_questions import Scored, random_vectors

from friendli_endpoint.engine.vocabulary import Controls, Report
from friendli_endpoint.model import ModelOptions, loading
from friendli_endpoint.text import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from control_cases import Tokens
    from control_questions import Replaced

    from reference import Reference

pytestmark = [pytest.mark.real, pytest.mark.reference]

PROMPT, ANSWER, LENGTH = 16, 24, 24  # tokens
TIE, MOST_TIES = 2e-2, 3  # KV has 16 bits here
PENALISED = Controls(repetition_penalty=1.1, no_repeat_ngram=3)
CASES = {
    "plain": Case(GREEDY),
    "penalised": Case(greedy(repetition_penalty=1.1, no_repeat_ngram=3, frequency_penalty=0.4, presence_penalty=0.3)),
    "beams": Case(PENALISED, eos=(30, 2), beams=search(4, length_penalty=1.5)),
}


@pytest.fixture(scope="module")
def pieces(default_model: Path, request: pytest.FixtureRequest) -> dict[str, Scored]:
    """Beginnings of passages, and how they go on."""
    text = (request.config.rootpath / "LICENSE").read_text()
    tokens = load_tokenizer(default_model).encode(text)
    starts = range(0, 12 * 150, 150)
    cut = [tuple(tokens[start : start + PROMPT + ANSWER]) for start in starts]
    return {f"scored-{i}": Scored(each[:PROMPT], each[PROMPT:]) for i, each in enumerate(cut)}


@pytest.fixture(scope="module")
def default_prompts(pieces: dict[str, Scored]) -> list[Tokens]:
    return [each.prompt for each in pieces.values()]


@pytest.fixture(scope="module")
def vectors(default_prompts: list[Tokens]) -> dict[str, Replaced]:
    return random_vectors(default_prompts[:5], hidden_size=576, length=1, scale=0.1)


@pytest.fixture(scope="module")
def default_ours(default_model: Path) -> Ours:
    return Ours(loading.load(default_model, ModelOptions(weights="f16", kv_tokens=8192)))


@pytest.fixture(scope="module")
def exact_ours(default_model: Path) -> Ours:
    """With KV in 32 bits, as a server with `--kv f32` has it."""
    return Ours(loading.load(default_model, ModelOptions(weights="f16", kv="f32", kv_tokens=4096)))


@pytest.fixture(scope="module")
def default_theirs(
    reference: Reference,
    default_model: Path,
    default_prompts: list[Tokens],
    pieces: dict[str, Scored],
    vectors: dict[str, Replaced],
    tmp_path_factory: pytest.TempPathFactory,
) -> Answers:
    questions = {
        "prompts": [default_prompts],
        "length": LENGTH,
        "generated": {name: case.theirs() for name, case in CASES.items()},
        "replaced": {name: each.theirs() for name, each in vectors.items()},
        "scored": {name: each.theirs() for name, each in pieces.items()},
    }
    return ask(reference, default_model, questions, tmp_path_factory.mktemp("default"))


@pytest.mark.parametrize("name", list(CASES))
def test_the_default_model_gives_the_tokens_of_the_reference(
    name: str, default_ours: Ours, default_prompts: list[Tokens], default_theirs: Answers
) -> None:
    continued = default_ours.continued(CASES[name], default_prompts, LENGTH)
    assert len(told_ties(name, CASES[name], continued, default_theirs[name], TIE)) <= MOST_TIES


@pytest.mark.parametrize(("side", "most"), [("default_ours", 0.03), ("exact_ours", 0.001)])
def test_the_default_model_scores_given_answers_as_the_reference(
    side: str, most: float, request: pytest.FixtureRequest, pieces: dict[str, Scored], default_theirs: Answers
) -> None:
    """To three digits but for what KV in 16 bits rounds."""
    told = request.getfixturevalue(side).together(
        asked(Case(Controls(forced=each.answer)), each.prompt, ANSWER, name, report=Report(logprobs=5))
        for name, each in pieces.items()
    )
    distances = [furthest(told[name, 0].scores, default_theirs[name]) for name in pieces]
    print(f"{side}: largest difference {max(distances):.5f}, its median by answer {np.median(distances):.5f}")
    assert max(distances) < most
    assert [told[name, 0].tokens for name in pieces] == [list(each.answer) for each in pieces.values()]


def test_the_default_model_reads_vectors_in_place_of_tokens_as_the_reference(
    exact_ours: Ours, vectors: dict[str, Replaced], default_theirs: Answers
) -> None:
    told = exact_ours.together(
        asked(Case(GREEDY), each.prompt, 1, name, report=Report(logprobs=5), embeddings=each.ours())
        for name, each in vectors.items()
    )
    for name in vectors:
        assert furthest(told[name, 0].scores, default_theirs[name]) < 0.001
