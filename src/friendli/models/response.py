"""The reply to a completions request; both generations parse, fields we do not know are kept."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence


class Lenient(BaseModel):
    """Base of what a server says: later servers may say more."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class CompletionsLogprobs(Lenient):
    """Four parallel lists, one entry per returned token: natural logarithms, from the unmodified distribution.

    `text_offset` is where the token's text begins in the choice's text, in characters. `tokens` are texts; one that is
    no text by itself is written `bytes:\\xe2\\x80`, a special one by its name. `top_logprobs` maps such a text to its
    log probability: as many alternatives as asked for, and the chosen token always.
    """

    text_offset: list[int] | None = None
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class CompletionsLogits(Lenient):
    """The logits behind each token: `shape` is [tokens, vocabulary], `data` the base64 of little-endian float32."""

    shape: tuple[int, int]
    dtype: str = "float32"
    data: str = Field(repr=False)

    def rows(self) -> list[array[float]]:
        """One array of C floats per token; `list(row)` or `numpy.frombuffer(row, "f")` make something else of it."""
        rows = [array("f", row) for row in self.raw_rows()]
        if sys.byteorder == "big":
            for row in rows:
                row.byteswap()
        return rows

    def raw_rows(self) -> list[bytes]:
        """The rows as little-endian float32; raises `ValueError` if `data` has another size than `shape`."""
        count, width = self.shape
        raw = self.raw()
        if len(raw) != count * width * 4:
            raise ValueError("output_logits: the data has another size than the shape")
        return [raw[row * width * 4 : (row + 1) * width * 4] for row in range(count)]

    def raw(self) -> bytes:
        """All rows, one after the other, as little-endian float32."""
        return b64decode(self.data)

    @classmethod
    def of(cls, rows: Sequence[bytes]) -> CompletionsLogits:
        """From rows as little-endian float32; at least one."""
        return cls(shape=(len(rows), len(rows[0]) // 4), data=b64encode(b"".join(rows)).decode())


def is_absent(value: object) -> bool:
    """Whether a field goes unsaid that is there only for those who ask."""
    return value is None


class CompletionsChoice(Lenient):
    """One generated text. `finish_reason` is "stop" or "length", None where the server does not say.

    `logprobs` and `output_logits` are there if they were asked for.
    """

    index: int
    text: str
    seed: int | None = None
    finish_reason: str | None = None
    tokens: list[int] = []
    logprobs: CompletionsLogprobs | None = None
    output_logits: CompletionsLogits | None = Field(default=None, exclude_if=is_absent)


class PromptTokensDetails(Lenient):
    """`cached_tokens` of the prompt were served from the prefix cache."""

    cached_tokens: int | None = None


class CompletionsUsage(Lenient):
    """Token counts of one request, all choices together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None


class CompletionsResult(Lenient):
    """What `complete` returns. `id`, `object` and `model` are None from a server of the first generation.

    `created` is in Unix seconds, None from servers that do not say.
    """

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[CompletionsChoice]
    usage: CompletionsUsage
