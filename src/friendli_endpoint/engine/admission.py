"""The way into the roster: what cannot be done is refused; what is not ready yet is waited for, beside the steps.

That is a grammar, which is compiled first, an adapter that is still being loaded, or both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from friendli_endpoint.engine.vocabulary import Failed
from friendli_endpoint.sampling.grammar import GrammarError
from friendli_endpoint.sampling.history import History
from friendli_endpoint.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from friendli_endpoint.engine.adapters import Adapters
    from friendli_endpoint.engine.job import Job
    from friendli_endpoint.engine.roster import Roster
    from friendli_endpoint.engine.vocabulary import Event, Grammar, ModelCard, Request
    from friendli_endpoint.sampling.grammar import Grammars, Matcher

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """A request that waits for its grammar, its adapter or both, and the choices of it that are over.

    `announced`: it has been in the roster before, and its prompt was read.
    """

    request: Request
    matcher: Future[Matcher] | None = None
    dropped: list[int] = field(default_factory=list)
    announced: bool = False


class Admission:
    """Requests as they arrive."""

    def __init__(
        self,
        card: ModelCard,
        roster: Roster,
        adapters: Adapters,
        grammars: Grammars | None,
        wake: Callable[[], None],
    ) -> None:
        self._card = card
        self._roster = roster
        self._adapters = adapters
        self._grammars = grammars
        self._wake = wake
        self._pending: dict[str, _Pending] = {}
        self._refused: list[Event] = []

    @property
    def busy(self) -> bool:
        """Whether `admit` has something to do."""
        return bool(self._refused) or bool(self._due()) or self._adapters.busy(self._adapters_in_use)

    @property
    def waiting(self) -> int:
        """How many requests wait for a grammar or an adapter."""
        return len(self._pending)

    def submit(self, request: Request) -> None:
        """Into the roster, at once or when its grammar and its adapter are there."""
        problem = _problem(request, self._card) or self._problem_of_adapter(request.adapter)
        if problem is not None:
            self._refused.append(Failed(request.id, problem))
        elif request.controls.grammar is not None:
            self._compile(request, request.controls.grammar)
        elif self._is_loading(request):
            self._pending[request.id] = _Pending(request)
        else:
            self._roster.add(request, History.of(request, None))

    def begin_again(self, job: Job) -> None:
        """Take a job out of the roster and let its request in again, with a grammar that it shares with no other.

        What it has generated is replayed, as after a restart; a beam search has reported nothing and starts over.
        """
        request, grammar = job.request, job.request.controls.grammar
        if self._grammars is None or grammar is None:
            raise ValueError("only a request with a grammar can begin again")
        if job.search is None:
            request = replace(request, generated=job.generated())
        over = [choice for choice in range(len(request.seeds)) if choice not in job.live or not job.live[choice].wanted]
        self._roster.drop(request.id)
        compiling = self._grammars.compile(grammar, request.eos_tokens, alone=True)
        self._wait(request, compiling, over, announced=True)

    def abort(self, request_id: str, choice: int | None) -> None:
        """Forget a request that is not in the roster yet, or one choice of it."""
        pending = self._pending.get(request_id)
        if pending is None:
            return
        if choice is None:
            del self._pending[request_id]
            if pending.matcher:
                pending.matcher.cancel()  # nobody waits for it, but others may wait for its turn
        else:
            pending.dropped.append(choice)

    def admit(self) -> list[Event]:
        """Let those in who wait for nothing more; what became of adapters, and what was refused since the last call."""
        events = self._adapters.settle(self._adapters_in_use)
        for pending in self._due():
            del self._pending[pending.request.id]
            self._enter(pending)
        events += self._refused
        self._refused = []
        return events

    def _due(self) -> list[_Pending]:
        return [
            pending
            for pending in self._pending.values()
            if (pending.matcher is None or pending.matcher.done()) and not self._is_loading(pending.request)
        ]

    def _is_loading(self, request: Request) -> bool:
        return request.adapter is not None and self._adapters.is_loading(request.adapter)

    def _problem_of_adapter(self, key: str | None) -> str | None:
        return None if key is None or self._adapters.takes(key) else f"adapter {key!r} is not loaded"

    def _adapters_in_use(self) -> set[str]:
        waited_for = (pending.request.adapter for pending in self._pending.values())
        return self._roster.adapters.union(adapter for adapter in waited_for if adapter is not None)

    def _compile(self, request: Request, grammar: Grammar) -> None:
        if self._grammars is None:
            self._refused.append(Failed(request.id, "response_format: this engine has no grammars.", "response_format"))
        else:
            self._wait(request, self._grammars.compile(grammar, request.eos_tokens), [])

    def _wait(self, request: Request, matcher: Future[Matcher], over: list[int], *, announced: bool = False) -> None:
        self._pending[request.id] = _Pending(request, matcher, over, announced)
        matcher.add_done_callback(lambda _: self._wake())

    def _enter(self, pending: _Pending) -> None:
        request, matcher = pending.request, pending.matcher
        if request.adapter is not None and not self._adapters.has(request.adapter):
            self._refused.append(Failed(request.id, f"adapter {request.adapter!r} could not be loaded"))
        elif matcher is not None and (error := matcher.exception()) is not None:
            self._refused.append(_refusal(request, error))
        else:
            job = self._roster.add(request, History.of(request, matcher.result() if matcher else None))
            job.announced = pending.announced
            for choice in pending.dropped:
                self._roster.drop(request.id, choice)


def _refusal(request: Request, error: BaseException) -> Failed:
    """A grammar that we failed on, though it is no fault of the request, must not take the engine down either."""
    if not isinstance(error, GrammarError):
        _log.error("a grammar of request %s could not be compiled:\n%s", request.id, trace_of(error))
        error = GrammarError("the grammar cannot be compiled")
    return Failed(request.id, f"response_format: {error}.", "response_format")


def _problem(request: Request, card: ModelCard) -> str | None:
    """The server has checked all this; a request that got by must not take the engine down with it."""
    if not request.prompt or not request.seeds or request.max_tokens < 1:
        return "a request needs a prompt, a seed and room for a token"
    room = card.most_tokens(len(request.prompt), request.beams.width if request.beams else 1)
    if request.max_tokens > room:
        return f"max_tokens is {request.max_tokens}, and there is room for {room} in context and KV cache"
    controls = request.controls
    named = [*request.prompt, *request.eos_tokens, *controls.forced, *chain.from_iterable(controls.bad_words)]
    if not 0 <= min(named) <= max(named) < card.vocab_size:
        return f"a token is outside the vocabulary of {card.vocab_size}"
    return _problem_of_embeddings(request, card.hidden_size)


def _problem_of_embeddings(request: Request, hidden_size: int) -> str | None:
    embeddings = request.embeddings
    if embeddings is None:
        return None
    if len(embeddings.values) != 4 * hidden_size * len(embeddings.positions):
        return f"replaced embeddings need {hidden_size} numbers each"
    if any(not 0 <= position < len(request.prompt) for position in embeddings.positions):
        return "a replaced embedding is outside the prompt"
    return None
