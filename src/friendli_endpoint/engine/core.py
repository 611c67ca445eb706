"""The engine's step: schedule, run, sample, book. Synchronous, single-threaded, without input or output."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from friendli_endpoint.engine.adapters import Adapters
from friendli_endpoint.engine.admission import Admission
from friendli_endpoint.engine.batch import batch_of
from friendli_endpoint.engine.booking import book
from friendli_endpoint.engine.meter import Meter
from friendli_endpoint.engine.roster import Roster
from friendli_endpoint.engine.scheduler import Scheduler
from friendli_endpoint.engine.vocabulary import Abort, AddAdapter, DropAdapter, Pulse, Submit
from friendli_endpoint.sampling.draw import Draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.engine.plan import Limits, Plan
    from friendli_endpoint.engine.sequence import Sequence
    from friendli_endpoint.engine.step_model import StepModel
    from friendli_endpoint.engine.vocabulary import Event, ToEngine
    from friendli_endpoint.sampling.grammar import Grammars
    from friendli_endpoint.sampling.sampler import Sampler


class EngineCore:
    """Requests in, events out, one `step` at a time; `verify` checks the block accounts after every step.

    `grammars` compiles what `Controls.grammar` asks for, in threads of its own; without it such requests fail. Adapters
    are loaded in a thread, too, which `close` ends. `wake` is called from any thread when one of them may have made an
    idle core busy.
    """

    def __init__(
        self,
        model: StepModel,
        sampler: Sampler,
        limits: Limits,
        *,
        grammars: Grammars | None = None,
        wake: Callable[[], None] = lambda: None,
        verify: bool = False,
    ) -> None:
        self._model = model
        self._sampler = sampler
        self._roster = Roster(model.card)
        self._adapters = Adapters(model, wake)
        self._admission = Admission(model.card, self._roster, self._adapters, grammars, wake)
        self._scheduler = Scheduler(self._roster, limits, model.card.adapters)
        self._meter = Meter()
        self._verify = verify

    @property
    def busy(self) -> bool:
        """Whether a step would do something. What is still being compiled or loaded needs none."""
        return self._roster.busy or self._admission.busy

    def receive(self, message: ToEngine) -> None:
        match message:
            case Submit(request):
                self._admission.submit(request)
            case Abort(request_id, choice):
                self._admission.abort(request_id, choice)
                self._roster.drop(request_id, choice)
            case AddAdapter(key, path):
                self._adapters.add(key, path)
            case DropAdapter(key):
                self._adapters.drop(key)
            case _:
                assert_never(message)

    def step(self) -> list[Event]:
        """Advance every running request by one forward; the events of it, none when idle."""
        events: list[Event] = self._admission.admit()
        plan = self._scheduler.plan()
        if plan.rows:
            prepared = self._sampler.prepare(self._draws(plan))
            self._model.copy_blocks(plan.copies)
            logits = self._model.forward(batch_of(plan))
            self._meter.count(plan)
            events += book(self._roster, plan, self._sampler.finish(logits, prepared), self._admission.begin_again)
        if self._verify or not self._roster.busy:
            self._roster.check_integrity()
        return events

    def pulse(self, number: int) -> Pulse:
        """Where the core stands, in answer to the ping of this number."""
        roster, tables = self._roster, self._roster.tables
        return Pulse(
            number,
            forwards=self._meter.forwards,
            rows=self._meter.rows,
            prefill_tokens=self._meter.prefill_tokens,
            decode_tokens=self._meter.decode_tokens,
            cached_tokens=roster.cached_tokens,
            preemptions=roster.preemptions,
            running=len(roster.running),
            waiting=len(roster.waiting) + self._admission.waiting,
            kv_blocks=self._model.card.kv_blocks,
            kv_blocks_used=tables.held,
            kv_blocks_cached=tables.idle,
            adapters=self._adapters.loaded,
        )

    def close(self) -> None:
        """Give up what has not begun to be loaded, and wait a while for what has."""
        self._adapters.close()

    def _draws(self, plan: Plan) -> list[Draw]:
        """One draw per sequence that wants a token; sequences of one row share its logits."""
        rows = [row for row in plan.rows if row.draws]
        return [self._draw(i, sequence) for i, row in enumerate(rows) for sequence in row.draws]

    def _draw(self, row: int, sequence: Sequence) -> Draw:
        request, slot = sequence.request, sequence.choice
        history, position = sequence.catch_up(), sequence.generated
        search = self._roster.job_of(sequence).search
        if search is None:
            return Draw(row, request, request.seeds[slot], position, history)
        return Draw(row, request, request.seeds[0], position, history, search.places[slot])
