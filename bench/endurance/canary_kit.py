"""Finds secrets where none may be: a canary is a text that is put in, and then looked for in everything that comes out.

Pure; a canary is found as it is, in pieces, in any case, and in the encodings that logs and dumps use.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE = 16


@dataclass(frozen=True)
class Canaries:
    """One text for each thing that must not be seen, unlike any other text; letters and digits, so that no escape
    hides it."""

    token: str = "flp_Canary01_" + "Zq7xTokenCanaryWv3kPm9RtYb5NcHd8LsFgJ2aEuQo"
    """Its first 12 characters may be shown."""
    bad_token: str = "WrongTokenCanaryXk4Vp8Lm2Qs6"  # noqa: S105
    prompt: str = "PromptCanaryHj5Dw9Ty3Bn7Zr1Ku8"
    output: str = "OutputCanaryMc6Fg2Xe8Pv4Sl9Wa3"
    stop: str = "StopCanaryQb7Nd1Rh5Jt9Ox3Gy6Ui"
    key: str = "KeyCanaryLz8Ev4Cm6Tk2Yp9Fs5Wh1"
    extra: str = "ExtraCanaryAj3Hn7Vq5Bd9Ul1Xo4Gc"
    """The value of whatever else a request may carry."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for field in fields(self):
            yield field.name, getattr(self, field.name)


def leaks(text: str, canaries: Iterable[tuple[str, str]] | None = None) -> list[str]:
    """What of the canaries is in `text`: their names, and in which form."""
    lowered = text.lower()
    return [
        f"{name} as {form}"
        for name, canary in canaries or Canaries()
        for form, pieces in _forms(_secret(name, canary))
        if any(piece.lower() in lowered for piece in pieces)
    ]


def _secret(name: str, canary: str) -> str:
    return canary[len("flp_Canary01_") :] if name == "token" else canary


def _forms(canary: str) -> Iterator[tuple[str, list[str]]]:
    raw = canary.encode()
    yield "text", _pieces(canary)
    yield "reversed text", _pieces(canary[::-1])
    yield "hex", _pieces(raw.hex())
    yield "base64", [piece for shift in range(3) for piece in _pieces(_base64(raw, shift))]
    yield "numbers", [", ".join(map(str, raw[start : start + 6])) for start in range(len(raw) - 5)]
    yield "characters", [", ".join(map(repr, canary[start : start + 6])) for start in range(len(raw) - 5)]


def _pieces(text: str) -> list[str]:
    return [text[start : start + _PIECE] for start in range(len(text) - _PIECE + 1)]


def _base64(raw: bytes, shift: int) -> str:
    """What is of `raw` alone, wherever it stands in what is encoded."""
    return base64.b64encode(b"\0" * shift + raw).decode()[4:-4]
