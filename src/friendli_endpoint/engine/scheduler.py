"""Who computes what in the next step: running decodes first, then chunks of prompts, up to a budget of tokens.

The scheduler owns the jobs, their sequences and the KV blocks; it knows no tensors. `plan` decides a step and
allocates its blocks, `commit` books the step's tokens; between them nothing changes.

Admission is optimistic: a prompt starts when its blocks are there, and when decodes later run out of blocks the
youngest sequence gives its own back and computes again afterwards. The oldest is never preempted by a younger one, and
one sequence alone always fits, so the engine always makes progress.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from friendli_endpoint.engine.blocks import BlockPool
from friendli_endpoint.engine.job import Job
from friendli_endpoint.engine.plan import Plan, Row
from friendli_endpoint.engine.prefix import cached_blocks, prompt_keys
from friendli_endpoint.engine.sequence import Phase, Sequence
from friendli_endpoint.engine.vocabulary import Failed, Finished, Prefilled, Sampled

if TYPE_CHECKING:
    from collections.abc import Sequence as SequenceOf

    from friendli_endpoint.engine.plan import Limits
    from friendli_endpoint.engine.vocabulary import Event, ModelCard, Request


class Scheduler:
    """Jobs in, plans out."""

    def __init__(self, card: ModelCard, limits: Limits) -> None:
        self._card = card
        self._limits = limits
        self._pool = BlockPool(card.kv_blocks)
        self._jobs: dict[str, Job] = {}
        self._running: list[Sequence] = []  # oldest first
        self._waiting: list[Sequence] = []  # oldest first
        self._arrivals = 0

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def submit(self, request: Request) -> None:
        """Queue a request; it fits the model (see `ModelCard.longest_sequence`) and its id is not in use."""
        self._arrivals += 1
        job = Job.of(request, self._arrivals, prompt_keys(request, self._card.block_size))
        self._jobs[request.id] = job
        self._waiting.append(job.leader)

    def abort(self, request_id: str, choice: int | None = None) -> None:
        """End a request, or one choice of it, without further events; unknown ids are ignored."""
        job = self._jobs.get(request_id)
        if job is None:
            return
        for sequence in job.drop(choice):
            self._end(sequence)

    def plan(self) -> Plan:
        """The next step; empty when there is nothing to do."""
        plan = Plan()
        budget = self._limits.step_tokens - sum(not sequence.prefilling for sequence in self._running)
        for sequence in self._running.copy():
            # Oldest first, so whoever is preempted to make room has no row in this plan yet.
            if sequence.phase is not Phase.RUNNING:
                continue
            count = sequence.chunk(budget) if sequence.prefilling else 1
            if count and self._make_writable(sequence, count, plan):
                budget -= count if sequence.prefilling else 0
                plan.rows.append(self._row(sequence, count))
        self._admit(plan, budget)
        return plan

    def commit(self, plan: Plan, tokens: SequenceOf[int | None]) -> list[Event]:
        """Book a computed step, `tokens` being those of `plan.draws` (None: the model failed on that row)."""
        events: list[Event] = []
        drawn = iter(tokens)
        for row in plan.rows:
            taken = [(sequence, next(drawn)) for sequence in row.draws]
            if row.sequence.phase is Phase.RUNNING:
                self._advance(row, events)
            for sequence, token in taken:
                if sequence.phase is Phase.RUNNING:  # else its request has failed in this very step
                    self._book(sequence, token, events)
        return events

    def check_integrity(self) -> None:
        """Raise `IntegrityError` when blocks and sequences do not agree."""
        self._pool.check_integrity(sequence.blocks for job in self._jobs.values() for sequence in job.live.values())

    # Planning

    def _admit(self, plan: Plan, budget: int) -> None:
        while self._waiting:
            sequence = self._waiting[0]
            prefix = cached_blocks(sequence, self._pool, self._card.block_size)
            if not self._has_room(sequence, prefix):
                return
            sequence.computed = len(prefix) * self._card.block_size
            count = sequence.chunk(budget)
            if not count:
                sequence.computed = 0
                return
            del self._waiting[0]
            self._start(sequence, prefix)
            budget -= count
            plan.rows.append(self._row(sequence, count))

    def _has_room(self, sequence: Sequence, prefix: list[int]) -> bool:
        """Whether to start it now: rows, its blocks, and one more block for each that already runs."""
        if not self._running:
            return True
        rows = sum(self._rows_of(running) for running in self._running) + self._rows_of(sequence)
        needed = self._blocks_for(len(sequence.tokens)) + sum(map(self._pool.is_idle, prefix)) - len(prefix)
        return rows <= self._limits.max_rows and needed + len(self._running) <= self._pool.available

    def _rows_of(self, sequence: Sequence) -> int:
        """How many rows of a step it takes, or will take once its request has forked."""
        return 1 if self._jobs[sequence.request.id].forked else len(sequence.request.seeds)

    def _start(self, sequence: Sequence, prefix: list[int]) -> None:
        for block in prefix:
            self._pool.share(block)
        missing = self._blocks_for(len(sequence.tokens)) - len(prefix)
        sequence.blocks = prefix + [self._pool.allocate() for _ in range(missing)]
        self._jobs[sequence.request.id].note_cached(sequence.computed)
        self._run(sequence)

    def _make_writable(self, sequence: Sequence, count: int, plan: Plan) -> bool:
        """Give the sequence blocks of its own for its next tokens; False when it had to be preempted itself."""
        first, end = sequence.computed // self._card.block_size, self._blocks_for(sequence.computed + count)
        while len(sequence.blocks) < end:
            if self._pool.available:
                sequence.blocks.append(self._pool.allocate())
            elif not self._preempt_for(sequence):
                return False
        for i in range(first, end):
            while self._pool.is_shared(sequence.blocks[i]):  # until it is copied, or its other holders are preempted
                if self._pool.available:
                    self._copy_on_write(sequence, i, plan)
                elif not self._preempt_for(sequence):
                    return False
        return True

    def _copy_on_write(self, sequence: Sequence, i: int, plan: Plan) -> None:
        shared, own = sequence.blocks[i], self._pool.allocate()
        plan.copies.append((shared, own))
        self._pool.release([shared])
        sequence.blocks[i] = own

    def _preempt_for(self, sequence: Sequence) -> bool:
        """Preempt the youngest, which may give blocks back; False when that was `sequence` itself."""
        youngest = self._running[-1]
        self._preempt(youngest)
        return youngest is not sequence

    def _row(self, sequence: Sequence, count: int) -> Row:
        end = sequence.computed + count
        takers = [sequence]
        job = self._jobs[sequence.request.id]
        if end == sequence.prompt_length and not job.forked:
            takers += self._fork(job)
        draws = (s for s in takers if end == len(s.tokens) and s.choice not in job.dropped)
        return Row(sequence, count, tuple(draws))

    def _fork(self, job: Job) -> list[Sequence]:
        """The other choices start behind the leader's prompt, on the leader's blocks."""
        prompt_blocks = job.leader.blocks[: self._blocks_for(job.leader.prompt_length)]
        forks = job.fork()
        for fork in forks:
            fork.blocks, fork.computed = prompt_blocks.copy(), fork.prompt_length
            for block in prompt_blocks:
                self._pool.share(block)
            self._run(fork)
        return forks

    # Booking

    def _advance(self, row: Row, events: list[Event]) -> None:
        sequence, job = row.sequence, self._jobs[row.sequence.request.id]
        if sequence.prefilling:
            self._publish(sequence, row.count)
        sequence.computed += row.count
        if not sequence.prefilling and not job.announced:
            job.announced = True
            events.append(Prefilled(job.request.id, job.cached_tokens or 0))
        if job.forked and sequence.choice in job.dropped:
            self._end(sequence)

    def _publish(self, sequence: Sequence, count: int) -> None:
        """Only what prefill wrote may be found again: decode rows write other bits for the same tokens."""
        size = self._card.block_size
        for i in range(sequence.computed // size, (sequence.computed + count) // size):
            self._pool.publish(sequence.blocks[i], sequence.keys[i])

    def _book(self, sequence: Sequence, token: int | None, events: list[Event]) -> None:
        request = sequence.request
        if token is None:
            events.append(Failed(request.id, "the model produced no finite logits"))
            self.abort(request.id)
        elif token in request.eos_tokens:
            self._finish(Finished(request.id, sequence.choice, "stop"), sequence, events)
        else:
            sequence.tokens.append(token)
            events.append(Sampled(request.id, sequence.choice, token))
            if sequence.generated == request.max_tokens:
                self._finish(Finished(request.id, sequence.choice, "length"), sequence, events)

    def _finish(self, event: Finished, sequence: Sequence, events: list[Event]) -> None:
        events.append(event)
        self._end(sequence)

    # Edges of a sequence's life

    def _run(self, sequence: Sequence) -> None:
        sequence.phase = Phase.RUNNING
        insort(self._running, sequence, key=Sequence.age)

    def _preempt(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self._give_back(sequence)
        sequence.phase = Phase.WAITING
        insort(self._waiting, sequence, key=Sequence.age)

    def _end(self, sequence: Sequence) -> None:
        (self._running if sequence.phase is Phase.RUNNING else self._waiting).remove(sequence)
        self._give_back(sequence)
        sequence.phase = Phase.ENDED
        job = self._jobs[sequence.request.id]
        del job.live[sequence.choice]
        if not job.live:
            del self._jobs[sequence.request.id]

    def _give_back(self, sequence: Sequence) -> None:
        self._pool.release(sequence.blocks)
        sequence.blocks, sequence.computed = [], 0

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._card.block_size)
