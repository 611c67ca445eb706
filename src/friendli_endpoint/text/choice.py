"""The text of one choice, as its tokens come: whole characters only, and nothing of what stops it."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from friendli_endpoint.text.phrases import phrases_of, sequences_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.text.phrases import Match
    from friendli_endpoint.text.tokenizer import Tokenizer

_REPLACEMENT = "\ufffd"


class Piece(NamedTuple):
    """One token and the text that it added; empty when it only began a character, or is special.

    The first `lead` characters of it stand for what tokens before it had begun and this one did not go on with.
    """

    token: int
    text: str
    lead: int = 0


class _Border(NamedTuple):
    """Where the text stands between two tokens."""

    partial: bytes = b""  # the beginning of a character
    shielded: int = 0  # bytes of it that belong to tokens before which nothing stops
    phrase: int = 0  # the state of the automaton of phrases


class _Held(NamedTuple):
    piece: Piece
    after: _Border


class ChoiceText:
    """Takes a choice's tokens in order and gives pieces back as soon as they are safe to send, in order.

    A token whose last character is incomplete waits for the rest of it, and so does text that may turn out to begin
    a stop phrase, and a token that may begin a sequence of `stop_tokens`. The first of them to complete ends the text.
    At a phrase, the token that straddles its beginning is given with the text before it, those wholly inside are
    dropped; at a sequence, its tokens are dropped. Where one token completes both, what begins first decides.
    The first `min_tokens` tokens are read as if there were no stops, and no later stop reaches into them.

    All pieces together are exactly the text and tokens to return. Invalid UTF-8 becomes U+FFFD, just as in
    `Tokenizer.decode` of all tokens. Raises RequestError for phrases or sequences that are empty, or too long together.
    """

    __slots__ = (
        "_border",
        "_held",
        "_held_length",
        "_phrases",
        "_sequence",
        "_sequences",
        "_shield",
        "_tokenizer",
        "stopped",
    )

    def __init__(
        self,
        tokenizer: Tokenizer,
        stop: Sequence[str] = (),
        stop_tokens: Sequence[tuple[int, ...]] = (),
        min_tokens: int = 0,
    ) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._phrases = phrases_of(tuple(stop))
        self._sequences = sequences_of(tuple(stop_tokens))
        self._shield = min_tokens  # tokens still to come before which nothing stops
        self._border = _Border()
        self._sequence = 0
        self._held: deque[_Held] = deque()  # at least what may begin a phrase, a sequence, or belong to a character
        self._held_length = 0  # characters

    def push(self, token: int) -> list[Piece]:
        """The next token; the pieces that it makes safe to send. Nothing more comes once `stopped`."""
        if self.stopped:
            return []
        begun = self._border.partial
        text, match = self._read(self._tokenizer.token_bytes(token), final=False)
        dropped = self._follow(token)
        piece = Piece(token, text, self._lead(begun, token, text) if begun and text else 0)
        if not (self._held or self._sequence or self._border.partial or self._border.phrase):
            return [piece]
        return self._hold(piece, match, dropped)

    def finish(self) -> list[Piece]:
        """No more tokens come: everything held, an incomplete character as U+FFFD."""
        if self._border.partial:  # then the token that it belongs to is held
            last = self._held.pop().piece
            before = len(last.text)
            self._held_length -= before
            tail, match = self._read(b"", final=True)
            if match:
                match = match._replace(end=match.end + before)
            released = self._hold(last._replace(text=last.text + tail), match)
            return released if self.stopped else released + self._clear()
        return self._clear()

    def _read(self, data: bytes, *, final: bool) -> tuple[str, Match | None]:
        """The text that `data` completes, and the phrase that ends in it."""
        partial, shielded, state = self._border
        if partial:
            data = partial + data
        text, used = codecs.utf_8_decode(data, self._tokenizer.spelling.on_invalid, final)
        rest = data[used:]
        if self._shield:
            self._border = _Border(rest, len(rest))
            return text, None
        hidden = self._hidden(data, text) if shielded and text else 0
        state, match = self._phrases.scan(state, text[hidden:] if hidden else text)
        if rest or partial or state != self._border.phrase:
            self._border = _Border(rest, 0 if text else shielded, state)
        return text, match._replace(end=match.end + hidden) if match and hidden else match

    def _hidden(self, data: bytes, text: str) -> int:
        """How many characters at the beginning of `text`, made from `data`, begin in shielded bytes."""
        if text[0] != _REPLACEMENT or data.startswith(_REPLACEMENT.encode()):
            return 1  # one character, completed
        shielded = data[: self._border.shielded]
        return len(codecs.utf_8_decode(shielded, self._tokenizer.spelling.on_invalid, True)[0])

    def _lead(self, begun: bytes, token: int, text: str) -> int:
        """How many characters of `text` are all that became of bytes before the token's own."""
        data = begun + self._tokenizer.token_bytes(token)
        if text[0] != _REPLACEMENT or data.startswith(_REPLACEMENT.encode()):
            return 0  # the token completed the character
        return len(codecs.utf_8_decode(begun, self._tokenizer.spelling.on_invalid, True)[0])

    def _follow(self, token: int) -> int:
        """The length of the sequence that `token` completes, 0 for none."""
        if self._shield:
            self._shield -= 1
            return 0
        self._sequence, match = self._sequences.scan(self._sequence, (token,))
        return match.length if match else 0

    def _hold(self, piece: Piece, match: Match | None, dropped: int = 0) -> list[Piece]:
        """Queue a piece that has been read; what can go now. `match` counts within its text."""
        begin = None if match is None else self._held_length + match.end - match.length
        self._held.append(_Held(piece, self._border))
        self._held_length += len(piece.text)
        if dropped:
            return self._stop_before(dropped, begin)
        return self._release() if begin is None else self._stop_at(begin)

    def _release(self) -> list[Piece]:
        """The pieces that lie before whatever may still become part of a phrase, a sequence or a character."""
        state = self._border.phrase
        safe = self._held_length - self._phrases.depth(state)
        free = len(self._held) - self._sequences.depth(self._sequence)
        while free and self._held[free - 1].after.partial:
            free -= 1
        released: list[Piece] = []
        position = 0
        while len(released) < free:
            text = self._held[0].piece.text
            end = position + len(text)
            # A piece without text, right before a beginning, may belong to the character that begins there.
            if end > safe or (end == safe and not text and state):
                break
            released.append(self._held.popleft().piece)
            position = end
        self._held_length -= position
        return released

    def _stop_before(self, dropped: int, begin: int | None) -> list[Piece]:
        """Stop at a sequence, the last `dropped` pieces; unless a phrase at `begin` comes before it."""
        for _ in range(dropped):
            self._held_length -= len(self._held.pop().piece.text)
        if begin is not None and begin < self._held_length:
            return self._stop_at(begin)
        self._border = self._held[-1].after if self._held else _Border()
        self._sequence = 0
        released = self.finish()
        self.stopped = True
        return released

    def _stop_at(self, length: int) -> list[Piece]:
        """The pieces that begin within the first `length` characters held, cut there; the rest is dropped."""
        self.stopped = True
        released: list[Piece] = []
        for piece in self._clear():
            if length <= 0:
                break
            released.append(piece._replace(text=piece.text[:length]))
            length -= len(piece.text)
        return released

    def _clear(self) -> list[Piece]:
        everything = [held.piece for held in self._held]
        self._held.clear()
        self._held_length = 0
        self._border = _Border()
        self._sequence = 0
        return everything
