"""An engine without a model, for the server's tests: the same events, decided by arithmetic or by a given script."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from friendli_endpoint.engine.meter import Meter
from friendli_endpoint.engine.vocabulary import (
    AdapterCard,
    Finished,
    ModelCard,
    Prefilled,
    Pulse,
    Request,
    Sampled,
    Scores,
)
from friendli_endpoint.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from friendli_endpoint.engine.vocabulary import TokenEvent

Script: TypeAlias = Callable[[Request, int], Sequence[int]]
"""The tokens of one choice of a request; a script that runs out before `max_tokens` ends with "stop"."""

FAKE_CARD = ModelCard(
    name="fake",
    architecture="fake",
    vocab_size=257,
    context_length=512,
    block_size=32,
    kv_blocks=64,
    weights="none",
    hidden_size=2,
    adapters=16,
)
FAKE_ADAPTER = AdapterCard(rank=8, targets=("q", "v"), parameters=1000)


class FakeEngine:
    """An `Engine` in memory.

    A token is a pure function of prompt, the choice's seed, the adapter's path and position, unless `script` says
    otherwise, or the request's forced tokens do. Before `min_tokens` an end token gives way to the next one. What a
    request's report asks for is a pure function of token and position (`scores_of`). The other controls, beams and
    embeddings are taken and change nothing. At most `rows` requests run at once, the others wait. A step takes
    `step_seconds`. `submitted` and `aborted` record what was asked; `live` holds the ids that wait or run.

    `adapters` holds the paths of those that are there by key, `adding` the keys of those that are on their way,
    `dropped` of those that were there; all of them have the card `FAKE_ADAPTER`. A request for another key fails.

    `pulse` counts as if each request had forwards of its own; `restarts` is what it was set to.
    """

    def __init__(
        self,
        card: ModelCard = FAKE_CARD,
        *,
        script: Script | None = None,
        rows: int = 64,
        step_seconds: float = 0.0,
    ) -> None:
        self.submitted: list[Request] = []
        self.aborted: list[tuple[str, int | None]] = []
        self.live: dict[str, set[int]] = {}
        self.fail_with: Exception | None = None
        """Raised by every request at its next step, when set."""
        self.adapters: dict[str, str] = {}
        self.adding: set[str] = set()
        self.dropped: list[str] = []
        self.refuse_adapters_with: Exception | None = None
        """Raised for every adapter that is to be added, when set."""
        self.restarts = 0
        self._card = card
        self._script = script
        self._most_rows = rows
        self._rows = asyncio.Semaphore(rows)
        self._meter = Meter()
        self._step_seconds = step_seconds
        self._moving = asyncio.Event()
        self._moving.set()
        self._taking_adapters = asyncio.Event()
        self._taking_adapters.set()
        self._ready = False
        self._closed = False

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def ready(self) -> bool:
        return self._ready

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._ready = ready

    @property
    def pulse(self) -> Pulse:
        meter, running = self._meter, min(len(self.live), self._most_rows)
        return Pulse(
            meter.forwards,
            forwards=meter.forwards,
            rows=meter.rows,
            prefill_tokens=meter.prefill_tokens,
            decode_tokens=meter.decode_tokens,
            running=running,
            waiting=len(self.live) - running,
            kv_blocks=self._card.kv_blocks,
            kv_blocks_used=min(running, self._card.kv_blocks),
            adapters=len(self.adapters),
        )

    async def start(self) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        self._closed = False
        self._ready = True

    async def close(self) -> None:
        self._ready = False
        self._closed = True
        self.resume()
        self.resume_adapters()

    def stall(self) -> None:
        """Hold every request before its next step until `resume`."""
        self._moving.clear()

    def resume(self) -> None:
        self._moving.set()

    def stall_adapters(self) -> None:
        """Hold every adapter that is to be added until `resume_adapters`."""
        self._taking_adapters.clear()

    def resume_adapters(self) -> None:
        self._taking_adapters.set()

    async def add_adapter(self, key: str, path: str) -> AdapterCard:
        if key in self.adapters or key in self.dropped:
            raise ValueError(f"the key {key!r} has been used")
        self.adding.add(key)
        try:
            await self._taking_adapters.wait()
        finally:
            self.adding.remove(key)
        self._check_open()
        if error := self.refuse_adapters_with or self.fail_with:
            raise error
        self.adapters[key] = path
        return FAKE_ADAPTER

    def drop_adapter(self, key: str) -> None:
        if self.adapters.pop(key, None) is not None:
            self.dropped.append(key)

    async def submit(self, request: Request) -> AsyncGenerator[TokenEvent]:
        if request.adapter is not None and request.adapter not in self.adapters:
            raise EngineError(f"there is no adapter {request.adapter!r}")
        self.submitted.append(request)
        self.live[request.id] = set(range(len(request.seeds)))
        try:
            async with self._rows:
                async for event in self._run(request):
                    yield event
        finally:
            if self.live.pop(request.id, None):
                self.aborted.append((request.id, None))

    def abort(self, request_id: str, choice: int | None = None) -> None:
        live = self.live.get(request_id)
        if live is None:
            return
        self.aborted.append((request_id, choice))
        if choice is None:
            live.clear()
        else:
            live.discard(choice)

    async def _run(self, request: Request) -> AsyncGenerator[TokenEvent]:
        await self._step(1)
        self._meter.prefill_tokens += len(request.prompt)
        yield Prefilled(request.id, cached_tokens=0)
        live = self.live[request.id]
        scripts = [self._tokens(request, choice) for choice in range(len(request.seeds))]
        positions = [len(tokens) for tokens in request.generated] or [0] * len(scripts)
        while live:
            await self._step(len(live))
            self._meter.decode_tokens += len(live)
            for choice in sorted(live):
                event = _next_event(request, choice, positions[choice], scripts[choice], self._card.vocab_size)
                positions[choice] += 1
                if isinstance(event, Finished):
                    live.discard(choice)
                yield event

    async def _step(self, rows: int) -> None:
        await asyncio.sleep(self._step_seconds)
        await self._moving.wait()
        self._check_open()
        if self.fail_with is not None:
            raise self.fail_with
        self._meter.forwards += 1
        self._meter.rows += rows

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine has been closed")

    def _tokens(self, request: Request, choice: int) -> Sequence[int]:
        if request.controls.forced:
            return request.controls.forced
        if self._script is not None:
            return self._script(request, choice)
        adapter = "" if request.adapter is None else self.adapters[request.adapter]
        return _continuation(request, choice, adapter, self._card.vocab_size)


def _next_event(request: Request, choice: int, position: int, tokens: Sequence[int], vocab_size: int) -> TokenEvent:
    forced = bool(request.controls.forced)
    if position >= len(tokens) and (forced or position < request.max_tokens):
        return Finished(request.id, choice, "stop")
    if position >= request.max_tokens:
        return Finished(request.id, choice, "length")
    token = tokens[position]
    if token in request.eos_tokens and not forced:
        if position >= request.controls.min_tokens:
            return Finished(request.id, choice, "stop")
        token = (token + 1) % vocab_size
    return Sampled(request.id, choice, token, scores_of(request, position, token, vocab_size))


def scores_of(request: Request, position: int, token: int, vocab_size: int) -> Scores | None:
    """What the fake tells of `token` at `position`, if the request's report asks.

    The most probable tokens are `token` and the ids after it, at odd positions the id before it, too; their
    log-probabilities are -0.5, -1.5 and so on. The logits are 0, that of `token` is 1 + `position`.
    """
    report = request.report
    if report.logprobs is None and not report.logits:
        return None
    before = position % 2
    top = tuple(((token - before + rank) % vocab_size, -0.5 - rank) for rank in range(report.logprobs or 0))
    return Scores(-0.5 - before, top, _row(token, position, vocab_size) if report.logits else None)


def _row(token: int, position: int, vocab_size: int) -> bytes:
    row = array("f", [0.0]) * vocab_size
    row[token] = 1.0 + position
    return row.tobytes()


def _continuation(request: Request, choice: int, adapter: str, vocab_size: int) -> list[int]:
    """`max_tokens` tokens that look random and depend on prompt, seed, adapter and position alone."""
    source = hashlib.blake2b(repr((request.prompt, request.seeds[choice], adapter)).encode())
    state = int.from_bytes(source.digest()[:8], "little")
    tokens = []
    for _ in range(request.max_tokens):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        tokens.append((state >> 33) % vocab_size)
    return tokens
