"""Compiles grammars off the step loop, and keeps the latest."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Final

from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.matcher import Matcher
from friendli_endpoint.sampling.grammar.native import Compiled, Native
from friendli_endpoint.sampling.grammar.pattern import whole
from friendli_endpoint.sampling.grammar.schema import to_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli_endpoint.engine.vocabulary import Grammar
    from friendli_endpoint.sampling.grammar.vocabulary import Vocabulary

MOST_BYTES: Final = 128 * 1024
"""The longest source of a grammar, in UTF-8."""

_MOST_USES: Final = 256
"""Matchers made of one compilation, after which it starts afresh: what its copies share grows with every use."""


class Grammars:
    """Compiles for one model. `vocabulary` is called once, in a compiling thread, at the first grammar.

    At most `most_kept` grammars with `most_kept_bytes` of source in all are kept, the latest used ones; those that
    failed are kept, too, as what is wrong with them.
    """

    def __init__(
        self,
        vocabulary: Callable[[], Vocabulary],
        vocab_size: int,
        *,
        threads: int = 2,
        most_kept: int = 32,
        most_kept_bytes: int = 1024 * 1024,
    ) -> None:
        self._vocabulary = vocabulary
        self._vocab_size = vocab_size
        self._threads = threads
        self._most_kept = most_kept
        self._most_kept_bytes = most_kept_bytes
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="grammar")
        self._kept: OrderedDict[Grammar, Compiled | str] = OrderedDict()
        self._lock = Lock()
        self._native_lock = Lock()
        self._native: Native | None = None

    def compile(self, grammar: Grammar, eos_tokens: tuple[int, ...], *, alone: bool = False) -> Future[Matcher]:
        """A new matcher at the beginning of an output; done at once when the grammar is kept.

        `alone`: it shares nothing with matchers of other calls, so that none of those can break it. The future's
        exception is GrammarError when the grammar cannot be used.
        """
        if alone:
            return self._pool.submit(self._compile_alone, grammar, eos_tokens)
        kept = self._find(grammar)
        if kept is None:
            return self._pool.submit(self._compile, grammar, eos_tokens)
        done: Future[Matcher] = Future()
        try:
            done.set_result(_start(kept, eos_tokens))
        except GrammarError as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Gives up what has not begun to be compiled."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _compile(self, grammar: Grammar, eos_tokens: tuple[int, ...]) -> Matcher:
        kept = self._find(grammar)  # it may have been compiled while this waited
        if kept is None:
            _check_size(grammar.source)
            try:
                kept = self._make_native().compile(_rule(grammar))
            except GrammarError as error:
                kept = str(error)
            self._keep(grammar, kept)
        return _start(kept, eos_tokens)

    def _compile_alone(self, grammar: Grammar, eos_tokens: tuple[int, ...]) -> Matcher:
        compiled = self._make_native().compile(_rule(grammar))
        compiled.alone = True
        return _start(compiled, eos_tokens)

    def _make_native(self) -> Native:
        with self._native_lock:
            if self._native is None:
                self._native = Native(self._vocabulary(), self._vocab_size, self._threads)
            return self._native

    def _find(self, grammar: Grammar) -> Compiled | str | None:
        with self._lock:
            kept = self._kept.get(grammar)
            if isinstance(kept, Compiled):
                kept.uses += 1
                if kept.broken or kept.uses > _MOST_USES:
                    del self._kept[grammar]
                    return None
            if kept is not None:
                self._kept.move_to_end(grammar)
            return kept

    def _keep(self, grammar: Grammar, kept: Compiled | str) -> None:
        with self._lock:
            self._kept[grammar] = kept
            self._kept.move_to_end(grammar)
            while len(self._kept) > self._most_kept or self._size() > self._most_kept_bytes:
                self._kept.popitem(last=False)

    def _size(self) -> int:
        return sum(len(grammar.source) for grammar in self._kept)


def _start(kept: Compiled | str, eos_tokens: tuple[int, ...]) -> Matcher:
    if isinstance(kept, str):
        raise GrammarError(kept)
    return Matcher(kept, kept.state.deep_copy(), eos_tokens)


def _rule(grammar: Grammar) -> str:
    """The right-hand side of the rule that an output as a whole has to match."""
    if grammar.kind == "regex":
        return f"/{whole(grammar.source)}/"
    return f"%json {to_schema(grammar.source)}"


def _check_size(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise GrammarError("the grammar has a lone surrogate, which is not Unicode") from error
    if size > MOST_BYTES:
        raise GrammarError(f"the grammar has {size} bytes, and at most {MOST_BYTES} can be used")
