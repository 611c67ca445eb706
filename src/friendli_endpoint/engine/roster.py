"""Who is in the engine: jobs, their sequences in order of age, and the blocks that those hold.

Every edge of a sequence's life is a method here, so that the three never contradict each other.
"""

from __future__ import annotations

from bisect import insort
from itertools import groupby
from typing import TYPE_CHECKING

from friendli_endpoint.engine.job import Job
from friendli_endpoint.engine.prefix import prompt_keys
from friendli_endpoint.engine.sequence import Phase, Sequence
from friendli_endpoint.engine.tables import BlockTables

if TYPE_CHECKING:
    from collections.abc import Sequence as SequenceOf

    from friendli_endpoint.engine.vocabulary import ModelCard, Request
    from friendli_endpoint.sampling.history import History


class Roster:
    """Read by the scheduler and the booking; `running` and `waiting` are ordered, the oldest first.

    `cached_tokens` and `preemptions` count what has been so far.
    """

    def __init__(self, card: ModelCard) -> None:
        self.tables = BlockTables(card.kv_blocks, card.block_size)
        self.running: list[Sequence] = []
        self.waiting: list[Sequence] = []
        self.cached_tokens = 0
        self.preemptions = 0
        self._block_size = card.block_size
        self._jobs: dict[str, Job] = {}
        self._arrivals = 0

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    @property
    def adapters(self) -> set[str]:
        """Those that its requests use."""
        return {adapter for job in self._jobs.values() if (adapter := job.request.adapter) is not None}

    def job(self, request_id: str) -> Job:
        return self._jobs[request_id]

    def job_of(self, sequence: Sequence) -> Job:
        return self._jobs[sequence.request.id]

    def groups(self) -> list[list[Sequence]]:
        """The running sequences, oldest first; the beams of a search together, because they only step together."""
        return [list(group) for _, group in groupby(self.running, key=_company)]

    def add(self, request: Request, history: History | None) -> Job:
        """Queue a request whose id is not in use; every choice starts from a copy of `history`."""
        self._arrivals += 1
        job = Job.of(request, self._arrivals, prompt_keys(request, self._block_size), history)
        self._jobs[request.id] = job
        self.waiting.append(job.leader)
        return job

    def drop(self, request_id: str, choice: int | None = None) -> None:
        """End a request, or one choice of it; unknown ids are ignored."""
        job = self._jobs.get(request_id)
        for sequence in job.drop(choice) if job else ():
            self.end(sequence)

    def start(self, sequence: Sequence, prefix: list[int]) -> None:
        """Let one that waits run, behind the cached blocks of its prompt."""
        self.waiting.remove(sequence)
        self.tables.begin(sequence, prefix)
        self.job_of(sequence).note_cached(sequence.computed)
        self.cached_tokens += sequence.computed
        self._run(sequence)

    def fork(self, job: Job) -> list[Sequence]:
        """Let those that are parked run behind the leader's prompt, on the leader's blocks."""
        forks, job.parked = job.parked, []
        for fork in forks:
            self.tables.share(job.leader, fork, job.leader.prompt_length)
            self._run(fork)
        return forks

    def preempt(self, sequence: Sequence) -> None:
        """Take the blocks of a running sequence, and of those that run together with it; it waits for its turn."""
        self.preemptions += 1
        job = self.job_of(sequence)
        first, *others = group = job.together_with(sequence)
        for each in group:
            if each.phase is Phase.RUNNING:
                self.running.remove(each)
            self.tables.release(each)
            each.phase = Phase.PARKED
        if others:
            job.leader, job.parked = first, others
        first.phase = Phase.WAITING
        insort(self.waiting, first, key=Sequence.age)

    def split(self, job: Job, moves: SequenceOf[tuple[int, int]]) -> None:
        """Replace the beams of a search by those that `moves` names: (slot of the parent, token), in order of slot."""
        parents = job.together_with(job.leader)
        length = len(parents[0].tokens)
        beams: list[Sequence] = []
        for slot, token in moves:
            beam = parents[slot]
            if beam in beams:
                beam = self._twin(beam, length)
            beam.tokens.append(token)
            beams.append(beam)
        for parent in parents:
            if parent not in beams:
                self.tables.release(parent)
                parent.phase = Phase.ENDED
        for place, beam in enumerate(beams):
            beam.choice = place
        at = self.running.index(parents[0])
        self.running[at : at + len(parents)] = beams
        job.leader, job.live = beams[0], dict(enumerate(beams))

    def end(self, sequence: Sequence) -> None:
        """Let a sequence go, wherever it is; with the last of them the job."""
        job = self.job_of(sequence)
        home = {Phase.RUNNING: self.running, Phase.WAITING: self.waiting, Phase.PARKED: job.parked}
        home[sequence.phase].remove(sequence)
        self.tables.release(sequence)
        sequence.phase = Phase.ENDED
        del job.live[sequence.choice]
        if not job.live:
            del self._jobs[sequence.request.id]

    def check_integrity(self) -> None:
        """Raise `IntegrityError` when blocks and sequences do not agree."""
        self.tables.check_integrity(sequence for job in self._jobs.values() for sequence in job.live.values())

    def _run(self, sequence: Sequence) -> None:
        sequence.phase = Phase.RUNNING
        insort(self.running, sequence, key=Sequence.age)

    def _twin(self, sequence: Sequence, length: int) -> Sequence:
        twin = sequence.twin(length)
        self.tables.share(sequence, twin, sequence.computed)
        twin.phase = Phase.RUNNING
        return twin


def _company(sequence: Sequence) -> tuple[int, int]:
    return sequence.arrival, 0 if sequence.request.beams else sequence.choice
