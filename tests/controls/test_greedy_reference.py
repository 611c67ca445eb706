"""Every control of greedy decoding gives the tokens of `transformers.generate`, for 40 prompts in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from control_answers import ENDED, told_ties
from control_cases import LENGTH, greedy_cases

if TYPE_CHECKING:
    from continuations import Ours
    from control_answers import Answers
    from control_cases import Case, Tokens

pytestmark = pytest.mark.reference

NAMES = list(greedy_cases([[*range(50)]]))
MOST_TIES = 1


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_are_those_of_the_reference(
    name: str, ours: Ours, prompts: list[Tokens], cases: dict[str, Case], theirs: Answers
) -> None:
    continued = ours.continued(cases[name], prompts, LENGTH)
    assert len(continued) == len(prompts)
    assert len(told_ties(name, cases[name], continued, theirs[name])) <= MOST_TIES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plain"])
def test_the_control_matters_for_many_of_these_prompts(name: str, theirs: Answers) -> None:
    changed = (theirs[name]["tokens"] != theirs["plain"]["tokens"]).any(-1)
    print(f"{name}: changes {changed.sum()}")
    assert changed.sum() >= 10


def test_no_text_ends_before_its_least_tokens_and_some_right_then(theirs: Answers) -> None:
    lengths = (theirs["min-tokens"]["tokens"] != ENDED).sum(-1)
    assert lengths.min() >= 24
    assert (lengths < LENGTH).sum() >= 10
