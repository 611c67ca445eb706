"""The reference's answers, and ours held against them: equal, or parted at a tie that can be shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from continuations import Continuation
    from control_cases import Case
    from numpy.typing import NDArray

    from friendli_endpoint.engine.vocabulary import Scores
    from reference import Reference

TIE = 2e-4
"""Scores that differ by less are a tie: what rounding may move one."""

ENDED = -1


@dataclass(frozen=True)
class Answers:
    """By question and key; see the oracle for what there is."""

    arrays: dict[str, NDArray[np.generic]]

    def __getitem__(self, question: str) -> dict[str, NDArray[np.generic]]:
        return {
            name.rpartition("/")[2]: value for name, value in self.arrays.items() if name.rpartition("/")[0] == question
        }


def ask(reference: Reference, model: Path, questions: dict[str, object], folder: Path) -> Answers:
    """One run of the reference; see the oracle for what the questions are."""
    asked, answered = folder / "questions.json", folder / "answers.npz"
    asked.write_text(json.dumps(questions))
    reference.run(Path(__file__).with_name("oracle_generate.py"), model, asked, answered)
    with np.load(answered) as arrays:
        return Answers(dict(arrays))


def ties(
    case: Case, ours: Sequence[Continuation], theirs: dict[str, NDArray[np.generic]], tie: float = TIE
) -> list[str]:
    """Where the two part, a sentence for each; AssertionError where the scores differ by `tie` or more."""
    found = []
    for i, (continuation, expected) in enumerate(zip(ours, theirs["tokens"].tolist(), strict=True)):
        place = first_difference(continuation.tokens, [token for token in expected if token != ENDED])
        if place is None:
            continue
        difference = _of_beams(i, theirs) if case.beams else _of_greedy(i, place, case, continuation, theirs)
        said = f"prompt {i} parts at token {place}, where scores differ by {difference:.1e}"
        assert difference < tie, f"{said}: {continuation.tokens} is not {expected}"
        found.append(said)
    return found


def told_ties(
    name: str, case: Case, ours: Sequence[Continuation], theirs: dict[str, NDArray[np.generic]], tie: float = TIE
) -> list[str]:
    """`ties`, printed with how many texts are equal."""
    parted = ties(case, ours, theirs, tie)
    print(f"{name}: {len(ours) - len(parted)} of {len(ours)}", *parted, sep="\n  ")
    return parted


def furthest(ours: Sequence[Scores | None], theirs: dict[str, NDArray[np.generic]]) -> float:
    """The largest difference of log-probabilities: of the tokens, of the most probable ones by rank, and by token."""
    told = [scores for scores in ours if scores is not None]
    differences = [np.abs([scores.logprob for scores in told] - theirs["logprobs"])]
    for scores, tokens, logprobs in zip(told, theirs["top"].tolist(), theirs["top_logprobs"], strict=True):
        mine = np.array([logprob for _, logprob in scores.top])
        by_token = logprobs[[tokens.index(token) for token, _ in scores.top]]
        differences += [np.abs(mine - logprobs[: len(mine)]), np.abs(mine - by_token)]
    return float(np.concatenate(differences).max())


def first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int | None:
    both = enumerate(zip_longest(ours, theirs, fillvalue=ENDED))
    return next((place for place, (mine, other) in both if mine != other), None)


def _of_greedy(
    i: int, place: int, case: Case, continuation: Continuation, theirs: dict[str, NDArray[np.generic]]
) -> float:
    """How far our token was behind theirs, by their own scores."""
    taken = continuation.tokens[place : place + 1] or list(case.eos)
    top, scores = theirs["top"][i, place], theirs["scores"][i, place]
    return float(scores[0] - max(scores[np.isin(top, taken)], default=-np.inf))


def _of_beams(i: int, theirs: dict[str, NDArray[np.generic]]) -> float:
    """How close their search came to keeping another beam, or to another best one in the end."""
    return float(min(theirs["margins"][i], theirs["lead"][i]))


def deviations(statistic: float, freedom: float) -> float:
    """A chi-square statistic as a standard normal value (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * freedom)
    return ((statistic / freedom) ** (1 / 3) - 1 + spread) / spread**0.5
