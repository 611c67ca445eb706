"""The engine's step: schedule, run, sample, book. Synchronous, single-threaded, without input or output."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from friendli_endpoint.engine.batch import batch_of
from friendli_endpoint.engine.scheduler import Scheduler
from friendli_endpoint.engine.vocabulary import Abort, Failed, Submit
from friendli_endpoint.sampling.draw import NO_TOKEN, Draw

if TYPE_CHECKING:
    from friendli_endpoint.engine.plan import Limits, Plan
    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.engine.vocabulary import Event, Request, ToEngine
    from friendli_endpoint.sampling.sampler import Sampler


class EngineCore:
    """Requests in, events out, one `step` at a time; `verify` checks the block accounts after every step."""

    def __init__(self, model: StepModel, sampler: Sampler, limits: Limits, *, verify: bool = False) -> None:
        self._model = model
        self._sampler = sampler
        self._scheduler = Scheduler(model.card, limits)
        self._verify = verify
        self._refused: list[Event] = []

    @property
    def busy(self) -> bool:
        return self._scheduler.busy or bool(self._refused)

    def receive(self, message: ToEngine) -> None:
        match message:
            case Submit(request):
                self._submit(request)
            case Abort(request_id, choice):
                self._scheduler.abort(request_id, choice)
            case _:
                assert_never(message)

    def step(self) -> list[Event]:
        """Advance every running request by one forward; the events of it, none when idle."""
        events, self._refused = self._refused, []
        plan = self._scheduler.plan()
        if plan.rows:
            self._model.copy_blocks(plan.copies)
            logits = self._model.forward(batch_of(plan))
            picks = self._sampler.sample(logits, _draws(plan))
            events += self._scheduler.commit(plan, [None if token == NO_TOKEN else token for token, _ in picks])
        if self._verify or not self._scheduler.busy:
            self._scheduler.check_integrity()
        return events

    def _submit(self, request: Request) -> None:
        problem = self._problem(request)
        if problem is None:
            self._scheduler.submit(request)
        else:
            self._refused.append(Failed(request.id, problem))

    def _problem(self, request: Request) -> str | None:
        """The server has checked all this; a request that got by must not take the engine down with it."""
        card = self._model.card
        if not request.prompt or not request.seeds or request.max_tokens < 1:
            return "a request needs a prompt, a seed and room for a token"
        if len(request.prompt) + request.max_tokens > card.longest_sequence:
            return f"prompt and max_tokens exceed the {card.longest_sequence} tokens of the model's context"
        if not 0 <= min(request.prompt) <= max(request.prompt) < card.vocab_size:
            return f"a prompt token is outside the vocabulary of {card.vocab_size}"
        if request.adapter is not None:
            return f"adapter {request.adapter!r} is not loaded"
        return None


def _draws(plan: Plan) -> list[Draw]:
    """One draw per sequence that wants a token; sequences of one row share its logits."""
    rows = [row for row in plan.rows if row.draws]
    return [
        Draw(i, sequence.request, sequence.request.seeds[sequence.choice], sequence.generated)
        for i, row in enumerate(rows)
        for sequence in row.draws
    ]
