"""Rotary positions: one angle per position and pair of channels, after whatever scaling a model was trained with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from friendli_endpoint.model.fields import Fields


@dataclass(frozen=True, slots=True)
class Rope:
    """`frequencies` [head size / 2] in radians per position; cosine and sine are multiplied by `magnitude`."""

    frequencies: NDArray[np.float32]
    magnitude: float = 1.0


def plain(base: float, head_size: int) -> Rope:
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    return Rope((1.0 / np.float32(base) ** exponents).astype(np.float32))


def scaled(kind: str, fields: Fields, base: float, head_size: int, context_length: int) -> Rope:
    """The rope of a scaling by its Hugging Face name and parameters; ModelError when the name is not known."""
    rope = plain(base, head_size)
    if kind == "default":
        return rope
    if (scaling := SCALINGS.get(kind)) is None:
        known = ", ".join(SCALINGS)
        raise ModelError(f"{fields.source}: rope scaling {kind!r} is not supported; supported are default, {known}")
    return scaling(rope, fields, base, context_length)


def _linear(rope: Rope, fields: Fields, _base: float, _context_length: int) -> Rope:
    return Rope(rope.frequencies / np.float32(fields.number("factor")))


def _llama3(rope: Rope, fields: Fields, _base: float, context_length: int) -> Rope:
    """Slow channels are stretched by the factor, fast ones kept, those between blended by their wavelength."""
    factor = fields.number("factor")
    low, high = fields.number("low_freq_factor"), fields.number("high_freq_factor")
    trained = fields.size("original_max_position_embeddings", context_length)
    if high <= low:
        raise ModelError(f"{fields.source}: high_freq_factor must be above low_freq_factor")
    turns = trained * rope.frequencies / (2 * math.pi)
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return Rope((rope.frequencies * (keep + (1 - keep) / factor)).astype(np.float32))


def _yarn(rope: Rope, fields: Fields, base: float, context_length: int) -> Rope:
    """As llama3, but blended linearly over the channel index; and attention is sharpened a little."""
    factor = fields.number("factor")
    trained = fields.size("original_max_position_embeddings", context_length)
    half = len(rope.frequencies)

    def channel(turns: float) -> float:
        return half * math.log(trained / (turns * 2 * math.pi)) / math.log(base)

    first, last = channel(fields.number("beta_fast", 32.0)), channel(fields.number("beta_slow", 1.0))
    if fields.flag("truncate", default=True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * half - 1)
    ramp = (np.arange(half) - first) / max(last - first, 0.001)
    keep = 1 - np.clip(ramp, 0, 1)
    frequencies = rope.frequencies * (keep + (1 - keep) / factor)
    return Rope(frequencies.astype(np.float32), _yarn_magnitude(fields, factor))


def _yarn_magnitude(fields: Fields, factor: float) -> float:
    if fields.has("attention_factor"):
        return fields.number("attention_factor")
    if fields.has("mscale") or fields.has("mscale_all_dim"):
        raise ModelError(f"{fields.source}: yarn rope scaling with mscale is not supported")
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0


SCALINGS: dict[str, Callable[[Rope, Fields, float, int], Rope]] = {
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
