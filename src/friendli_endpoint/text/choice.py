"""The text of one choice, as its tokens come: whole characters only, and nothing of a stop phrase."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from friendli_endpoint.text.phrases import automaton

if TYPE_CHECKING:
    from collections.abc import Sequence

    from friendli_endpoint.text.phrases import Match
    from friendli_endpoint.text.tokenizer import Tokenizer


class Piece(NamedTuple):
    """One token and the text that it added; empty when it only began a character, or is special."""

    token: int
    text: str


class ChoiceText:
    """Takes a choice's tokens in order and gives pieces back as soon as they are safe to send, in order.

    A token whose last character is incomplete waits for the rest of it, and so does text that may turn out to begin
    a stop phrase. The first phrase to complete ends the text: the token that straddles its beginning is given with the
    text before it, those wholly inside are dropped. All pieces together are exactly the text and tokens to return.
    Invalid UTF-8 becomes U+FFFD, just as in `Tokenizer.decode` of all tokens. Raises RequestError for phrases that are
    empty, or too long together.
    """

    __slots__ = ("_held", "_held_length", "_partial", "_phrases", "_state", "_tokenizer", "stopped")

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._phrases = automaton(tuple(stop))
        self._state = 0
        self._partial = b""  # the beginning of a character
        self._held: deque[Piece] = deque()
        self._held_length = 0  # characters; always at least as many as may begin a phrase

    def push(self, token: int) -> list[Piece]:
        """The next token; the pieces that it makes safe to send. Nothing more comes once `stopped`."""
        if self.stopped:
            return []
        text = self._decode(self._tokenizer.token_bytes(token), final=False)
        self._state, match = self._phrases.scan(self._state, text)
        piece = Piece(token, text)
        if not (self._held or self._partial or self._state):
            return [piece]
        return self._hold(piece, match)

    def finish(self) -> list[Piece]:
        """No more tokens come: everything held, an incomplete character as U+FFFD."""
        if self._partial:  # then the token that it belongs to is held
            last = self._held.pop()
            self._held_length -= len(last.text)
            tail = self._decode(b"", final=True)
            before = len(last.text)
            self._state, match = self._phrases.scan(self._state, tail)
            if match:
                match = match._replace(end=match.end + before)
            released = self._hold(Piece(last.token, last.text + tail), match)
            return released if self.stopped else released + self._clear()
        return self._clear()

    def _decode(self, data: bytes, *, final: bool) -> str:
        if self._partial:
            data = self._partial + data
        text, used = codecs.utf_8_decode(data, self._tokenizer.spelling.on_invalid, final)
        self._partial = data[used:]
        return text

    def _hold(self, piece: Piece, match: Match | None) -> list[Piece]:
        """Queue a piece whose text has been scanned; what can go now. `match` counts within its text."""
        before = self._held_length
        self._held.append(piece)
        self._held_length += len(piece.text)
        if match is None:
            return self._release()
        return self._stop(before + match.end - match.length)

    def _release(self) -> list[Piece]:
        """The pieces that lie before whatever may still become part of a phrase or of a character."""
        safe = self._held_length - self._phrases.depth(self._state)
        released: list[Piece] = []
        position = 0
        while len(self._held) > bool(self._partial):
            end = position + len(self._held[0].text)
            # A piece without text, right before a beginning, may belong to the character that begins there.
            if end > safe or (end == safe and not self._held[0].text and (self._partial or self._state)):
                break
            released.append(self._held.popleft())
            position = end
        self._held_length -= position
        return released

    def _stop(self, length: int) -> list[Piece]:
        """The pieces that begin within the first `length` characters held, cut there; the rest is dropped."""
        self.stopped = True
        released: list[Piece] = []
        for piece in self._clear():
            if length <= 0:
                break
            released.append(Piece(piece.token, piece.text[:length]))
            length -= len(piece.text)
        return released

    def _clear(self) -> list[Piece]:
        everything = list(self._held)
        self._held.clear()
        self._held_length = 0
        self._state = 0
        self._partial = b""
        return everything
