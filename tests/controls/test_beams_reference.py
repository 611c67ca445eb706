"""Every setting of a beam search gives the tokens of `transformers.generate`, for 40 searches in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from control_answers import ENDED, ties, told_ties
from control_cases import LENGTH, beam_cases

if TYPE_CHECKING:
    from continuations import Ours
    from control_answers import Answers
    from control_cases import Case, Tokens

pytestmark = pytest.mark.reference

NAMES = list(beam_cases([[*range(50)]]))
MOST_TIES = 1


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_are_those_of_the_reference(
    name: str, ours: Ours, prompts: list[Tokens], cases: dict[str, Case], theirs: Answers
) -> None:
    continued = ours.continued(cases[name], prompts, LENGTH)
    assert len(continued) == len(prompts)
    assert len(told_ties(name, cases[name], continued, theirs[name])) <= MOST_TIES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "beams-4"])
def test_the_setting_matters_for_some_of_these_prompts(name: str, theirs: Answers) -> None:
    """Against the plain search of four beams, or that which differs in nothing but the setting."""
    plain = theirs[{"beams-early": "beams-several-eos"}.get(name, "beams-4")]
    changed = (theirs[name]["tokens"] != plain["tokens"]).any(-1)
    print(f"{name}: changes {changed.sum()}, {(theirs[name]['tokens'][:, -1] == ENDED).sum()} end")
    assert changed.sum() >= 4


def test_all_settings_in_one_batch_give_each_its_own_tokens(
    ours: Ours, prompts: list[Tokens], cases: dict[str, Case], theirs: Answers
) -> None:
    """Greedy texts under any controls beside beam searches of any width: for some prompts, every case at once."""
    told = ours.all_continued(cases, prompts[::4], LENGTH)
    for name, case in cases.items():
        expected = {key: value[::4] for key, value in theirs[name].items()}
        assert len(ties(case, told[name], expected)) <= MOST_TIES
