"""Reported log-probabilities are those of the reference, of forced answers and of tokens that were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from continuations import request
from control_answers import furthest
from control_cases import GREEDY, LENGTH, Case

from friendli_endpoint.engine.vocabulary import Controls, Report

if TYPE_CHECKING:
    from continuations import Ours
    from control_answers import Answers
    from control_cases import Tokens
    from control_questions import Replaced, Scored

pytestmark = pytest.mark.reference

EXACT = 1e-3
TOP_5 = Report(logprobs=5)


def test_forced_answers_have_the_log_probabilities_of_the_reference(
    ours: Ours, scored: dict[str, Scored], theirs: Answers
) -> None:
    """All of them in one batch, whatever other controls say."""
    controls = [Controls(forced=each.answer, top_k=3, repetition_penalty=1.5) for each in scored.values()]
    cases = zip(scored.items(), map(Case, controls), strict=True)
    told = ours.together([request(case, each.prompt, LENGTH, name, report=TOP_5) for (name, each), case in cases])
    for name, each in scored.items():
        assert told[name, 0].tokens == list(each.answer)
        assert told[name, 0].reason == "stop"
        assert furthest(told[name, 0].scores, theirs[name]) < EXACT


def test_vectors_in_place_of_tokens_give_what_the_reference_makes_of_the_same_embeddings(
    ours: Ours, replaced: dict[str, Replaced], prompts: list[Tokens], texts: list[list[int]], theirs: Answers
) -> None:
    """Twice, and the same prompts without vectors in between: none of them finds the KV of another in the cache."""
    asked = [
        request(Case(GREEDY), each.prompt, LENGTH, name, report=TOP_5, embeddings=each.ours())
        for name, each in replaced.items()
    ]
    for _ in range(2):
        told = ours.together(asked)
        for name in replaced:
            assert told[name, 0].tokens == theirs[name]["tokens"].tolist()
            assert furthest(told[name, 0].scores, theirs[name]) < EXACT
        assert [each.tokens for each in ours.continued(Case(GREEDY), prompts, LENGTH)] == texts


def test_controls_leave_the_reported_log_probabilities_as_the_model_has_them(ours: Ours, prompts: list[Tokens]) -> None:
    changed = Controls(temperature=0.5, top_k=40, repetition_penalty=2.0, bad_words=((1,), (2,)))
    plain, asked = (
        ours.together(request(Case(controls), prompt, 1, str(i), report=TOP_5) for i, prompt in enumerate(prompts))
        for controls in (Controls(), changed)
    )
    assert [each.scores[0].top for each in plain.values()] == [each.scores[0].top for each in asked.values()]
    assert [each.tokens for each in plain.values()] != [each.tokens for each in asked.values()]


def test_the_tokens_of_a_beam_have_the_scores_that_forcing_them_gives(
    ours: Ours, prompts: list[Tokens], cases: dict[str, Case]
) -> None:
    """Bit for bit, through every copy of a block and whatever the search was."""
    case = cases["beams-penalties"]
    searches = ours.together(request(case, prompt, LENGTH, str(i), report=TOP_5) for i, prompt in enumerate(prompts))
    found = {key: each for key, each in searches.items() if each.tokens}
    asked = [
        request(Case(Controls(forced=tuple(each.tokens))), prompts[int(name)], LENGTH, name, report=TOP_5)
        for (name, _), each in found.items()
    ]
    assert len(found) > len(prompts) // 2
    assert {key: each.scores for key, each in ours.together(asked).items()} == {
        key: each.scores for key, each in found.items()
    }
