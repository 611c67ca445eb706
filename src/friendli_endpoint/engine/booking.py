"""A computed step entered in the roster: tokens to their sequences, the end of those that are complete, events out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.engine.sequence import Phase
from friendli_endpoint.engine.vocabulary import Failed, Finished, Prefilled, Resumed, Sampled
from friendli_endpoint.sampling.draw import NO_TOKEN, NOTHING_LEFT, Expansion

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as SequenceOf

    from friendli_endpoint.engine.job import Job
    from friendli_endpoint.engine.plan import Plan, Row
    from friendli_endpoint.engine.roster import Roster
    from friendli_endpoint.engine.sequence import Sequence
    from friendli_endpoint.engine.vocabulary import Event, FinishReason, Request
    from friendli_endpoint.sampling.draw import Outcome, Pick
    from friendli_endpoint.sampling.grammar import Matcher


def book(roster: Roster, plan: Plan, outcomes: SequenceOf[Outcome], begin_again: Callable[[Job], None]) -> list[Event]:
    """The events of a step, given one outcome for each draw of its rows, in order.

    `begin_again` takes a request back that others may have broken, who use the same grammar.
    """
    return _Booking(roster, begin_again).enter(plan, outcomes)


class _Booking:
    def __init__(self, roster: Roster, begin_again: Callable[[Job], None]) -> None:
        self._roster = roster
        self._begin_again = begin_again
        self._events: list[Event] = []

    def enter(self, plan: Plan, outcomes: SequenceOf[Outcome]) -> list[Event]:
        drawn = iter(outcomes)
        searches: dict[str, list[Expansion]] = {}
        for row in plan.rows:
            taken = [(sequence, next(drawn)) for sequence in row.draws]
            if row.sequence.phase is Phase.RUNNING:
                self._advance(row)
            for sequence, outcome in taken:
                if sequence.phase is not Phase.RUNNING:  # its request has failed in this very step
                    continue
                if isinstance(outcome, Expansion):
                    searches.setdefault(sequence.request.id, []).append(outcome)
                else:
                    self._book(sequence, outcome)
        for request_id, expansions in searches.items():
            self._search(self._roster.job(request_id), expansions)
        return self._events

    def _advance(self, row: Row) -> None:
        sequence, job = row.sequence, self._roster.job_of(row.sequence)
        if sequence.prefilling:
            self._roster.tables.publish(sequence, row.count)
        sequence.computed += row.count
        if not sequence.prefilling and not job.announced:
            job.announced = True
            self._events.append(Prefilled(job.request.id, job.cached_tokens or 0))
        if not sequence.prefilling and sequence.computed == len(sequence.tokens) - 1:
            self._events.append(Resumed(job.request.id))
        if not sequence.prefilling and not sequence.wanted:
            self._roster.end(sequence)

    def _book(self, sequence: Sequence, pick: Pick) -> None:
        request = sequence.request
        forced = request.controls.forced
        if pick.token < 0:
            self._fail(sequence, pick.token)
        elif pick.token in request.eos_tokens and not forced:
            self._finish(sequence, "stop")
        else:
            sequence.tokens.append(pick.token)
            self._events.append(Sampled(request.id, sequence.choice, pick.token, pick.scores))
            self._finish_if_complete(sequence)

    def _finish_if_complete(self, sequence: Sequence) -> None:
        request, matcher = sequence.request, sequence.matcher()
        if matcher and matcher.error:
            self._leave_grammar(sequence, matcher, matcher.error)
        elif sequence.generated == len(request.controls.forced) or (matcher and matcher.finished):
            self._finish(sequence, "stop")
        elif sequence.generated == request.max_tokens:
            self._finish(sequence, "length")

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        self._events.append(Finished(sequence.request.id, sequence.choice, reason))
        self._roster.end(sequence)

    def _search(self, job: Job, expansions: list[Expansion]) -> None:
        """One step of a beam search: its beams go on, or its result is reported as the request's only choice."""
        request, search = job.request, job.search
        if search is None:
            return
        if not search.complete and all(expansion.failure for expansion in expansions):
            self._fail(job.leader, expansions[0].failure)
        elif moves := search.advance(expansions):
            self._roster.split(job, moves)
        else:
            tokens, reason = search.result()
            self._events += [Sampled(request.id, 0, token, scores) for token, scores in tokens]
            self._events.append(Finished(request.id, 0, reason))
            self._roster.drop(request.id)

    def _fail(self, sequence: Sequence, failure: int) -> None:
        request, matcher = sequence.request, sequence.matcher()
        if failure == NO_TOKEN:
            self._blame(request, None, "the model produced no finite logits")
        elif matcher and matcher.error:
            self._leave_grammar(sequence, matcher, matcher.error)
        elif failure == NOTHING_LEFT:
            field = _ban_of(request)
            self._blame(request, field, f"{field}: with the other controls it leaves no token to go on with.")

    def _leave_grammar(self, sequence: Sequence, matcher: Matcher, error: str) -> None:
        """Blame the request for its grammar's end if that was its own doing."""
        if matcher.alone:
            self._blame(sequence.request, "response_format", f"response_format: {error}.")
        else:
            self._begin_again(self._roster.job_of(sequence))

    def _blame(self, request: Request, field: str | None, message: str) -> None:
        self._events.append(Failed(request.id, message, field))
        self._roster.drop(request.id)


def _ban_of(request: Request) -> str:
    """The field that most likely left nothing to draw."""
    controls = request.controls
    if controls.grammar is not None:
        return "response_format"
    if controls.bad_words:
        return "bad_words"
    return "no_repeat_ngram" if controls.no_repeat_ngram > 1 else "min_tokens"
