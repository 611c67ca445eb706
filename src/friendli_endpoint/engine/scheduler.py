"""Who computes what in the next step: running decodes first, then chunks of prompts, up to a budget of tokens.

The scheduler knows no tensors. `plan` decides a step and allocates its blocks; the booking enters what came of it;
between them nothing changes.

Admission is optimistic: a prompt starts when its blocks are there, and when decodes later run out of blocks the
youngest sequence gives its own back and computes again afterwards; the beams of a search do so together. The oldest is
never preempted by a younger one, and one choice, or one search, alone always fits, so the engine always makes progress.

Those that wait start in order of age, with one exception. The sequences that run have at most `ModelCard.adapters`
different adapters. While there is no slot for the adapter of the oldest that waits, younger ones may pass it whose
adapter runs already, so that the batch stays full; but `max_rows` of them at most, or its turn would never come: then
only requests without an adapter pass, the adapters that run come to their ends, and it takes the first slot that is
free. It waits for its slot alone, so whoever lacks rows or blocks is passed by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.engine.plan import Plan, Row
from friendli_endpoint.engine.sequence import Phase
from friendli_endpoint.engine.slots import AdapterSlots

if TYPE_CHECKING:
    from friendli_endpoint.engine.plan import Limits
    from friendli_endpoint.engine.roster import Roster
    from friendli_endpoint.engine.sequence import Sequence


class Scheduler:
    """A roster in, plans out; at most `adapters` different adapters run at once."""

    def __init__(self, roster: Roster, limits: Limits, adapters: int) -> None:
        self._roster = roster
        self._limits = limits
        self._adapters = adapters

    def plan(self) -> Plan:
        """The next step; empty when there is nothing to do."""
        plan = Plan()
        budget = self._limits.step_tokens - sum(not sequence.prefilling for sequence in self._roster.running)
        for group in self._roster.groups():
            # Oldest first, so whoever is preempted to make room has no row in this plan yet.
            if group[0].phase is not Phase.RUNNING:
                continue
            prefilling = group[0].prefilling
            count = group[0].chunk(budget) if prefilling else 1
            if count and all(self._make_writable(sequence, count, plan) for sequence in group):
                budget -= count if prefilling else 0
                plan.rows.extend([self._row(sequence, count) for sequence in group])
        self._admit(plan, budget)
        return plan

    def _admit(self, plan: Plan, budget: int) -> None:
        waiting, passed = self._roster.waiting, 0
        if not waiting:
            return
        slots = AdapterSlots(self._roster.running, self._adapters, self._limits.max_rows)
        while passed < len(waiting):
            sequence = waiting[passed]
            if not slots.admits(sequence):
                passed += 1
                continue
            count = self._start(sequence, budget)
            if not count:
                return
            slots.take(sequence)
            budget -= count
            plan.rows.append(self._row(sequence, count))

    def _start(self, sequence: Sequence, budget: int) -> int:
        """Let one that waits run, if there is room; how many tokens it computes first, 0 when it goes on waiting."""
        prefix = self._roster.tables.cached(sequence)
        if not self._has_room(sequence, prefix):
            return 0
        sequence.computed = len(prefix) * self._roster.tables.block_size
        count = sequence.chunk(budget)
        if count:
            self._roster.start(sequence, prefix)
        else:
            sequence.computed = 0
        return count

    def _has_room(self, sequence: Sequence, prefix: list[int]) -> bool:
        """Whether to start it now: its rows, its blocks, and one more block for each row that already runs."""
        if not self._roster.running:
            return True
        rows = sum(map(self._rows_of, self._roster.running))
        needed = self._roster.tables.cost(sequence, prefix) + self._blocks_of_company(sequence)
        fits = needed + rows <= self._roster.tables.available
        return fits and rows + self._rows_of(sequence) <= self._limits.max_rows

    def _rows_of(self, sequence: Sequence) -> int:
        return self._roster.job_of(sequence).rows_of(sequence)

    def _blocks_of_company(self, sequence: Sequence) -> int:
        """The blocks that its choices or beams take beside those of the prompt: what they have written, and a next."""
        job, tables = self._roster.job_of(sequence), self._roster.tables
        if sequence is not job.leader:
            return 0
        shared = sequence.prompt_length // tables.block_size
        parked = sum(tables.needed(len(each.tokens)) - shared for each in job.parked)
        return parked + job.rows_of(sequence) - 1 - len(job.parked)

    def _make_writable(self, sequence: Sequence, count: int, plan: Plan) -> bool:
        """Give the sequence blocks of its own for its next tokens; False when it had to be preempted itself."""
        while not self._roster.tables.make_writable(sequence, count, plan.copies):
            self._roster.preempt(self._roster.running[-1])
            if sequence.phase is not Phase.RUNNING:
                return False
        return True

    def _row(self, sequence: Sequence, count: int) -> Row:
        end = sequence.computed + count
        takers = [sequence]
        job = self._roster.job_of(sequence)
        if end == sequence.prompt_length and sequence is job.leader:
            takers += self._roster.fork(job)
        return Row(sequence, count, tuple(s for s in takers if end == len(s.tokens) and s.wanted))
