"""One sequence's place in its grammar, and the ban of every token that would leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from friendli_endpoint.sampling.grammar.sentences import of_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llguidance import LLMatcher
    from numpy.typing import NDArray

    from friendli_endpoint.sampling.grammar.native import Compiled

_BANNED: Final = np.float32(-np.inf)

# For each byte of a mask, what its eight logits are at most.
_CEILINGS: Final = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") == 1, np.float32(np.inf), _BANNED
)


class Matcher:
    """The state of one sequence in its grammar; for one thread at a time.

    `eos_tokens` are allowed exactly where the grammar accepts the output so far, and nowhere as text.
    """

    def __init__(self, compiled: Compiled, state: LLMatcher, eos_tokens: tuple[int, ...]) -> None:
        self._compiled = compiled
        self.native = compiled.native
        self.state = state
        self._eos_tokens = eos_tokens
        inside = [token for token in eos_tokens if 0 <= token < compiled.native.vocab_size]
        self._ends: NDArray[np.int64] = np.array(inside, np.int64)

    def push(self, token: int) -> None:
        """The output goes on with `token`; one that the grammar does not allow leaves an `error`.

        An end-of-sequence token changes nothing.
        """
        if token not in self._eos_tokens and not self.state.consume_token(token):
            self._compiled.broken = True

    def copy(self) -> Matcher:
        """A second sequence that begins like this one."""
        return Matcher(self._compiled, self.state.deep_copy(), self._eos_tokens)

    @property
    def finished(self) -> bool:
        """The output matches and nothing can follow it, so it ends here even where no token says so."""
        return self.state.is_stopped() and not self.state.is_error()

    @property
    def alone(self) -> bool:
        """Nothing but copies of it could have broken it."""
        return self._compiled.alone

    @property
    def error(self) -> str | None:
        """A sentence once the output can't be continued: too complex, or no token of the model fits. It stays."""
        return of_output(self.state.get_error()) if self.state.is_error() else None

    def restrict(self, row: NDArray[np.float32], mask: NDArray[np.uint8]) -> None:
        """Sets to -inf what `mask`, just computed for this state, leaves out of a row of logits [vocab_size]."""
        if self.state.is_error():
            self._compiled.broken = True
            row.fill(_BANNED)
            return
        end = self.native.vocab_size
        ending = row[self._ends] if mask[end // 8] >> (end % 8) & 1 else _BANNED
        np.minimum(row, _CEILINGS.take(mask, axis=0).reshape(-1)[:end], out=row)
        row[self._ends] = ending


def masks_of(matchers: Sequence[Matcher]) -> NDArray[np.uint8]:
    """What each matcher allows next, for `ban`. Computed in parallel, and the interpreter's lock is free meanwhile.

    The matchers are distinct and of one vocabulary, and must not be pushed while this runs.
    """
    return matchers[0].native.masks([matcher.state for matcher in matchers])


def ban(
    logits: NDArray[np.float32], rows: Sequence[int], matchers: Sequence[Matcher], masks: NDArray[np.uint8]
) -> None:
    """Makes -inf, in place, every logit [S, vocab_size] of `rows[i]` that `matchers[i]`, by its mask, does not allow.

    A row in which nothing is left belongs to a matcher with an `error`, or to one that is finished and has no
    end-of-sequence token.
    """
    for row, matcher, mask in zip(rows, matchers, masks, strict=True):
        matcher.restrict(logits[row], mask)
