"""One model's tokenizer: text to tokens, tokens to bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from friendli_endpoint.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import tokenizers

    from friendli_endpoint.text.spelling import Spelling


@dataclass(frozen=True, slots=True, repr=False)
class Tokenizer:
    """Safe to use from several threads at once.

    `prefix` and `suffix` are put around every text (BOS, EOS) unless `backend` does so itself. `eos_tokens` end a
    text. `added` tells of each added token whether it is special: special ones are no part of decoded text.
    """

    backend: tokenizers.Tokenizer
    spelling: Spelling
    eos_tokens: tuple[int, ...]
    added: Mapping[int, bool]
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    vocab_size: int = field(init=False)
    _bytes: dict[int, bytes] = field(init=False, default_factory=dict)
    _names: dict[int, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        size = max(self.backend.get_vocab_size(with_added_tokens=False), 1 + max(self.added, default=-1))
        object.__setattr__(self, "vocab_size", size)

    def encode(self, text: str) -> list[int]:
        """The model's tokens for `text`, with BOS when the model's own configuration adds it.

        Special tokens written in the text count as what they name, as in the reference tokenizers: a chat template is
        part of the prompt here. Raises RequestError when `text` is not Unicode (a lone surrogate).
        """
        return [*self.prefix, *self._ids(text, add_special_tokens=True), *self.suffix]

    def encode_part(self, text: str) -> list[int]:
        """The tokens for `text` alone, with nothing put around it; otherwise as `encode`."""
        return self._ids(text, add_special_tokens=False)

    def _ids(self, text: str, *, add_special_tokens: bool) -> list[int]:
        try:
            # The batch call gives up the interpreter's lock while it works; the plain one doesn't.
            (encoding,) = self.backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)
        except TypeError as error:  # what the library calls a string that has no UTF-8
            raise RequestError("the text has a lone surrogate, which is not Unicode; send it as UTF-8") from error
        return encoding.ids

    def decode(self, tokens: Iterable[int]) -> str:
        """The text that `tokens` add to what stands before them. Invalid UTF-8 becomes U+FFFD."""
        return b"".join(map(self.token_bytes, tokens)).decode("utf-8", self.spelling.on_invalid)

    def token_bytes(self, token: int) -> bytes:
        """What `token` adds to the text: maybe a part of a character. Empty for special tokens and unknown ids."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._spell(token)
        return known

    def display(self, token: int) -> str:
        """How a person reads `token`: its text, or its name if it is special.

        Bytes that are no text by themselves are written `bytes:\\xe2\\x80`, as OpenAI's completions do; an id that the
        vocabulary does not know `<id>`.
        """
        known = self._names.get(token)
        if known is None:
            known = self._names[token] = self._name(token)
        return known

    def _name(self, token: int) -> str:
        data = self.token_bytes(token)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
        return text or self._written(token) or f"<{token}>"

    def _written(self, token: int) -> str | None:
        """The vocabulary's own writing of `token`, None for an unknown id."""
        # The backend wants an unsigned 32-bit number.
        name: str | None = self.backend.id_to_token(token) if 0 <= token < self.vocab_size else None
        return name

    def _spell(self, token: int) -> bytes:
        text = self._written(token)
        return b"" if text is None or self.added.get(token, False) else self.spelling.spell(text)
