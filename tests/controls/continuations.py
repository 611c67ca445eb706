"""Our side: a core on a real model, and what it makes of many requests that are submitted at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

from friendli_endpoint.engine.core import EngineCore
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import Failed, Finished, Request, Sampled, Submit
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler
from friendli_endpoint.text import ChoiceText
from friendli_endpoint.text.spelling import BYTE_LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from control_cases import Case

    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.engine.vocabulary import Event, FinishReason, Scores


@dataclass
class Continuation:
    """What a choice was told."""

    tokens: list[int] = field(default_factory=list)
    scores: list[Scores | None] = field(default_factory=list)
    reason: FinishReason | None = None


class Ours:
    """One core, whose accounts are checked after every step."""

    def __init__(self, model: StepModel) -> None:
        sampler = Sampler(HeadFinder(model.card.vocab_size, threads=2))
        self._core = EngineCore(model, sampler, Limits(), verify=True)

    def together(self, requests: Iterable[Request]) -> dict[tuple[str, int], Continuation]:
        """Continuations by request and choice, all of them computed in one running batch."""
        for request in requests:
            self._core.receive(Submit(request))
        told: dict[tuple[str, int], Continuation] = {}
        while self._core.busy:
            for event in self._core.step():
                _note(event, told)
        return told

    def continued(self, case: Case, prompts: Sequence[Sequence[int]], length: int) -> list[Continuation]:
        """Every prompt's continuation, at most `length` tokens."""
        (continued,) = self.all_continued({"": case}, prompts, length).values()
        return continued

    def all_continued(
        self, cases: Mapping[str, Case], prompts: Sequence[Sequence[int]], length: int
    ) -> dict[str, list[Continuation]]:
        """The same by name of a case, all cases in one batch."""
        numbers = range(len(prompts))
        told = self.together(request(cases[name], prompts[i], length, f"{i} {name}") for i in numbers for name in cases)
        return {name: [stopped(told[f"{i} {name}", 0], case.stops) for i in numbers] for name, case in cases.items()}


def request(case: Case, prompt: Sequence[int], length: int, name: str, **more: object) -> Request:
    settings = {"seeds": (0,), "eos_tokens": case.eos, "controls": case.controls, "beams": case.beams} | more
    return Request(name, tuple(prompt), max_tokens=length, **settings)


def stopped(continuation: Continuation, stops: tuple[tuple[int, ...], ...]) -> Continuation:
    """What the text of a choice keeps of it when sequences of tokens stop it, whatever these tokens spell."""
    spelt = SimpleNamespace(token_bytes=lambda token: f" {token}".encode(), spelling=BYTE_LEVEL)
    text = ChoiceText(spelt, stop_tokens=stops)
    pieces = [piece for token in continuation.tokens for piece in text.push(token)] + text.finish()
    return replace(continuation, tokens=[piece.token for piece in pieces])


def _note(event: Event, told: dict[tuple[str, int], Continuation]) -> None:
    match event:
        case Sampled(name, choice, token, scores):
            continuation = told.setdefault((name, choice), Continuation())
            continuation.tokens.append(token)
            continuation.scores.append(scores)
        case Finished(name, choice, reason):
            told.setdefault((name, choice), Continuation()).reason = reason
        case Failed():
            raise AssertionError(f"the engine failed: {event}")
