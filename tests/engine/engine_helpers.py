"""What the engine's tests share: a core on the fake model, and the answer that it must give, computed plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.core import EngineCore
from friendli_endpoint.engine.fake_model import FakeStepModel, context_logits, salt_of
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import Controls, Event, Finished, Request, Sampled
from friendli_endpoint.sampling.draw import Draw
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.history import History
from friendli_endpoint.sampling.sampler import Sampler

if TYPE_CHECKING:
    from friendli_endpoint.sampling.grammar import Matcher

GREEDY = Controls(temperature=0)
HEADS = HeadFinder(97, threads=1)


def core_on(model: FakeStepModel, *, max_rows: int = 8, step_tokens: int = 64, **more: object) -> EngineCore:
    return EngineCore(model, Sampler(HEADS), Limits(max_rows, step_tokens), verify=True, **more)


def request(
    name: str,
    prompt: list[int],
    *,
    max_tokens: int = 8,
    seeds: tuple[int, ...] = (1,),
    controls: Controls = GREEDY,
    **more: object,
) -> Request:
    return Request(name, tuple(prompt), seeds, max_tokens, controls=controls, **more)


def run(core: EngineCore, steps: int = 10_000) -> list[Event]:
    """All events until the core is idle."""
    events: list[Event] = []
    for _ in range(steps):
        if not core.busy:
            return events
        events += core.step()
    raise AssertionError(f"still busy after {steps} steps")


def tokens_of(events: list[Event]) -> dict[tuple[str, int], list[int]]:
    """Reported tokens per request and choice."""
    tokens: dict[tuple[str, int], list[int]] = {}
    for event in events:
        if isinstance(event, Sampled):
            tokens.setdefault((event.request_id, event.choice), []).append(event.token)
    return tokens


def reasons_of(events: list[Event]) -> dict[tuple[str, int], str]:
    return {(event.request_id, event.choice): event.reason for event in events if isinstance(event, Finished)}


def expected(asked: Request, choice: int, adapter: str | None = None) -> list[int]:
    """The tokens of one choice, computed alone, one context after the other; `adapter` is the text of its adapter."""
    salt = 0 if adapter is None else salt_of(adapter)
    context, sampler = list(asked.prompt), Sampler(HEADS)
    for position in range(asked.max_tokens):
        logits = context_logits(np.array(context) + salt, salt)[None].astype(np.float32)
        draw = Draw(0, asked, asked.seeds[choice], position, history_of(asked, context))
        ((token, _),) = sampler.sample(logits, [draw])
        if token in asked.eos_tokens:
            break
        context.append(token)
    return context[len(asked.prompt) :]


def history_of(asked: Request, context: list[int], matcher: Matcher | None = None) -> History | None:
    """What the controls have to know of a context, read from its beginning."""
    history = History.of(asked, matcher)
    if history is not None:
        history.read(context)
    return history
