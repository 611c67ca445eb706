"""llguidance, held in one place: a vocabulary for it, its limits, masks of many rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from llguidance import LLExecutor, LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.sentences import of_compilation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from friendli_endpoint.sampling.grammar.vocabulary import Vocabulary

# What bounds a hostile grammar: measured were at most a second to compile, 40 MiB, and 50 ms of a step.
_LIMITS: Final = LLParserLimits(
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=50_000,
    max_items_in_row=4_000,
    max_lexer_states=50_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)
_QUIET: Final = 0


class _Tokens:
    """What `TokenizerWrapper` asks of a tokenizer.

    Its one end-of-text token lies behind the model's vocabulary: its bit says that the output may end here, and which
    tokens end it is each request's own affair.
    """

    bos_token_id = None
    special_token_ids: Sequence[int] = ()

    def __init__(self, texts: list[bytes]) -> None:
        self.tokens = [*texts, b""]
        self.eos_token_id = len(texts)

    def __call__(self, text: bytes) -> list[int]:
        raise NotImplementedError("grammars force no text, so none is tokenized")


class Compiled:
    """A grammar's initial state, from which those of its sequences are copied.

    Copies share what the library finds out about the grammar, so masks get faster with use; and they share its end:
    once one of them was too complex, all are `broken`, and nothing new may be made of it.
    """

    def __init__(self, native: Native, state: LLMatcher) -> None:
        self.native = native
        self.state = state
        self.uses = 0
        self.broken = False
        self.alone = False


class Native:
    """One model's vocabulary, made ready for grammars: a tenth of a second for 50,000 tokens."""

    def __init__(self, vocabulary: Vocabulary, vocab_size: int, threads: int) -> None:
        self.vocab_size = vocab_size
        self._tokenizer = LLTokenizer(TokenizerWrapper(_Tokens(vocabulary.texts(vocab_size))), n_vocab=vocab_size + 1)
        self._executor = LLExecutor(threads)
        self._words = vocab_size // 32 + 1

    def compile(self, rule: str) -> Compiled:
        """A grammar, given as the right-hand side of a Lark rule; GrammarError where it cannot be used.

        Forcing is off, so that a mask has every token that keeps the output right and not only the spelling that a
        tokenizer would choose. The interpreter's lock is free while this runs.
        """
        grammar = f'%llguidance {{"no_forcing": true}}\nstart: {rule}'
        state = LLMatcher(self._tokenizer, grammar, log_level=_QUIET, limits=_LIMITS)
        if not state.is_error():  # a first mask finds what is too complex or cannot begin
            first = np.unpackbits(self.masks([state])[0], bitorder="little")[: self.vocab_size]
            if not state.is_error() and not first.any():
                raise GrammarError("the grammar matches nothing but the empty text")
        if state.is_error():
            raise GrammarError(of_compilation(state.get_error()))
        return Compiled(self, state)

    def masks(self, states: Sequence[LLMatcher]) -> NDArray[np.uint8]:
        """One bit per token and state, lowest first: uint8 [states, vocab_size // 8 + 1 or more].

        Bit `vocab_size`: the output may end here. Computed in parallel; the states must be distinct. A state that is
        in error afterwards has a row without meaning.
        """
        masks = np.zeros((len(states), self._words), np.uint32)
        pairs = [(state, row) for row, state in enumerate(states)]
        self._executor.unsafe_compute_mask_ptr(pairs, masks.ctypes.data, masks.strides[0], len(masks))
        return masks.view(np.uint8)
