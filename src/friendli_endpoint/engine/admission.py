"""The way into the roster: what cannot be done is refused, and a grammar is compiled beside the steps first."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from friendli_endpoint.engine.vocabulary import Failed
from friendli_endpoint.sampling.grammar import GrammarError
from friendli_endpoint.sampling.history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from friendli_endpoint.engine.roster import Roster
    from friendli_endpoint.engine.vocabulary import Event, Grammar, ModelCard, Request
    from friendli_endpoint.sampling.grammar import Grammars, Matcher

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """A request whose grammar is being compiled, and the choices of it that were aborted meanwhile."""

    request: Request
    matcher: Future[Matcher]
    dropped: list[int] = field(default_factory=list)


class Admission:
    """Requests as they arrive."""

    def __init__(
        self, card: ModelCard, roster: Roster, grammars: Grammars | None, when_compiled: Callable[[], None]
    ) -> None:
        self._card = card
        self._roster = roster
        self._grammars = grammars
        self._when_compiled = when_compiled
        self._pending: dict[str, _Pending] = {}
        self._refused: list[Event] = []

    @property
    def busy(self) -> bool:
        """Whether `admit` has something to do."""
        return bool(self._refused) or any(pending.matcher.done() for pending in self._pending.values())

    def submit(self, request: Request) -> None:
        """Into the roster, at once or when its grammar is there."""
        problem = _problem(request, self._card)
        grammar = request.controls.grammar
        if problem is not None:
            self._refused.append(Failed(request.id, problem))
        elif grammar is None:
            self._roster.add(request, History.of(request, None))
        else:
            self._compile(request, grammar)

    def abort(self, request_id: str, choice: int | None) -> None:
        """Forget a request that is not in the roster yet, or one choice of it."""
        pending = self._pending.get(request_id)
        if pending is None:
            return
        if choice is None:
            del self._pending[request_id]
            pending.matcher.cancel()  # nobody waits for it, but others may wait for its turn
        else:
            pending.dropped.append(choice)

    def admit(self) -> list[Event]:
        """Let those in whose grammar has been compiled; what had to be refused since the last call."""
        for pending in [pending for pending in self._pending.values() if pending.matcher.done()]:
            del self._pending[pending.request.id]
            self._enter(pending)
        events, self._refused = self._refused, []
        return events

    def _compile(self, request: Request, grammar: Grammar) -> None:
        if self._grammars is None:
            self._refused.append(Failed(request.id, "response_format: this engine has no grammars.", "response_format"))
        else:
            compiling = self._grammars.compile(grammar, request.eos_tokens)
            self._pending[request.id] = _Pending(request, compiling)
            compiling.add_done_callback(lambda _: self._when_compiled())

    def _enter(self, pending: _Pending) -> None:
        if (error := pending.matcher.exception()) is not None:
            self._refused.append(_refusal(pending.request, error))
            return
        self._roster.add(pending.request, History.of(pending.request, pending.matcher.result()))
        for choice in pending.dropped:
            self._roster.drop(pending.request.id, choice)


def _refusal(request: Request, error: BaseException) -> Failed:
    """A grammar that we failed on, though it is no fault of the request, must not take the engine down either."""
    if not isinstance(error, GrammarError):
        _log.error("a grammar of request %s could not be compiled", request.id, exc_info=error)
        error = GrammarError("the grammar cannot be compiled")
    return Failed(request.id, f"response_format: {error}.", "response_format")


def _problem(request: Request, card: ModelCard) -> str | None:
    """The server has checked all this; a request that got by must not take the engine down with it."""
    if not request.prompt or not request.seeds or request.max_tokens < 1:
        return "a request needs a prompt, a seed and room for a token"
    if request.max_tokens > card.most_tokens(len(request.prompt), request.beams.width if request.beams else 1):
        return f"prompt and max_tokens exceed the {card.longest_sequence} tokens of the model's context"
    controls = request.controls
    named = [*request.prompt, *request.eos_tokens, *controls.forced, *chain.from_iterable(controls.bad_words)]
    if not 0 <= min(named) <= max(named) < card.vocab_size:
        return f"a token is outside the vocabulary of {card.vocab_size}"
    if request.adapter is not None:
        return f"adapter {request.adapter!r} is not loaded"
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
