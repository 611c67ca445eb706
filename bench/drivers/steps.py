"""Our engine's step loop with a clock in it: `python -m bench.drivers.steps OPTIONS-AS-JSON`.

What the worker process does for a step is done here, in the same order: schedule, forward, sample, book, encode the
frame. The forward is timed apart, so that the rest, the host's time, can be told from it.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import msgspec

from bench.drivers.controls import WORKLOADS
from bench.wire import answer_all
from friendli_endpoint.engine.core import EngineCore
from friendli_endpoint.engine.frames import encode_frame
from friendli_endpoint.engine.loading import load_model, load_vocabulary
from friendli_endpoint.engine.options import EngineOptions
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import AdapterRefused, AddAdapter, Sampled, Stepped, Submit
from friendli_endpoint.sampling.grammar import Grammars
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Batch, Logits, StepModel
    from friendli_endpoint.engine.vocabulary import AdapterCard, Event, ModelCard, Request
    from friendli_endpoint.sampling.head import Masses, Ranks


class ClockedModel:
    """A `StepModel` that notes how long its last forward took, and for how many rows it gave logits."""

    def __init__(self, model: StepModel) -> None:
        self._model = model
        self.seconds = 0.0
        self.rows = 0
        self.tokens = 0

    @property
    def card(self) -> ModelCard:
        return self._model.card

    def forward(self, batch: Batch) -> Logits:
        begin = time.perf_counter()
        logits = self._model.forward(batch)
        self.seconds = time.perf_counter() - begin
        self.rows, self.tokens = len(batch.sampled), len(batch.tokens)
        return logits

    def add_adapter(self, key: str, path: str) -> AdapterCard:
        return self._model.add_adapter(key, path)

    def drop_adapter(self, key: str) -> None:
        self._model.drop_adapter(key)

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        self._model.copy_blocks(pairs)


class ClockedHeads:
    """A `HeadFinder` that notes how long it took since `seconds` was last set to 0."""

    def __init__(self, heads: HeadFinder) -> None:
        self._heads = heads
        self.seconds = 0.0

    def masses(self, logits: Logits, scales: NDArray[np.float32]) -> Masses:
        begin = time.perf_counter()
        found = self._heads.masses(logits, scales)
        self.seconds += time.perf_counter() - begin
        return found

    def heads(self, logits: Logits, scales: NDArray[np.float32]) -> tuple[Ranks, Masses]:
        begin = time.perf_counter()
        found = self._heads.heads(logits, scales)
        self.seconds += time.perf_counter() - begin
        return found


class Driver:
    """`options` has model, threads, rows, kv_tokens, and adapters by name; they lie in the folder `spool`."""

    def __init__(self, options: dict[str, Any], spool: str) -> None:
        chosen = EngineOptions(
            model=options["model"], threads=options["threads"], kv_tokens=options["kv_tokens"], spool=spool
        )
        self.rows: int = options["rows"]
        self.numbers = itertools.count()
        self.model = ClockedModel(load_model(chosen))
        vocab_size = self.model.card.vocab_size
        self.heads = ClockedHeads(HeadFinder(vocab_size, threads=options["threads"]))
        self.loaded = Flag()
        self.core = EngineCore(
            self.model,
            Sampler(self.heads),
            Limits(max_rows=self.rows, step_tokens=512),
            grammars=Grammars(lambda: load_vocabulary(chosen), vocab_size),
            wake=self.loaded.set,
        )
        for name, path in options["adapters"].items():
            self.add(name, path)

    def add(self, name: str, path: str) -> None:
        self.core.receive(AddAdapter(name, path))
        while not (events := self.core.step()):
            self.loaded.wait()
            self.loaded.clear()
        for event in events:
            if isinstance(event, AdapterRefused):
                raise ValueError(event.message)

    def answer(self, question: dict[str, Any]) -> object:
        make = WORKLOADS[question["workload"]]
        prompts = [tuple(prompt) for prompt in question["prompts"]]
        requests = make(prompts, question["max_tokens"], f"{next(self.numbers)}")
        adapters = question.get("adapters") or [None] * len(requests)
        return self.run(
            [msgspec.structs.replace(each, adapter=name) for each, name in zip(requests, adapters, strict=True)]
        )

    def run(self, requests: list[Request]) -> dict[str, float]:
        """Seconds in all, and medians over the steps in which every row draws and nothing is prefilled, in seconds."""
        start = time.perf_counter()
        for request in requests:
            self.core.receive(Submit(request))
        full: list[tuple[float, float, float]] = []
        events: list[Event] = []
        while len(ended(events)) < len(requests):
            begin = time.perf_counter()
            stepped = self.core.step()
            encode_frame(Stepped(tuple(stepped)))
            spent = time.perf_counter() - begin
            if self.model.rows == self.model.tokens == self.rows:
                full.append((spent, self.model.seconds, self.heads.seconds))
            self.model.rows, self.heads.seconds = 0, 0.0
            events += stepped
        if not full:
            raise ValueError(f"no step had {self.rows} rows: {events[:3]}")
        return {
            "seconds": time.perf_counter() - start,
            "tokens": sum(isinstance(event, Sampled) for event in events),
            "steps": len(full),
            "step_s": median(step for step, _, _ in full),
            "outside_share": median((step - forward) / step for step, forward, _ in full),
            "heads_share": median(heads / step for step, _, heads in full),
        }


def ended(events: list[Event]) -> list[Event]:
    return [event for event in events if type(event).__name__ in ("Finished", "Failed")]


if __name__ == "__main__":
    with TemporaryDirectory(prefix="friendli-bench-") as folder:
        driver = Driver(json.loads(sys.argv[1]), folder)
        answer_all(driver.answer)
        driver.core.close()
