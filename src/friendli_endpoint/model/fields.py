"""Typed reading of a model's own description, GGUF metadata or config.json."""

from __future__ import annotations

from dataclasses import dataclass
from sys import float_info
from typing import TYPE_CHECKING

from friendli_endpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Fields:
    """Named values of unknown types; a getter that cannot give its type raises ModelError naming `source` and the key.

    A value that is absent, or null, is the default; without a default that is an error.
    """

    source: str
    values: Mapping[str, object]

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def size(self, key: str, default: int | None = None, *, most: int = LARGEST) -> int:
        """A whole number from 1 to `most`."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self._wrong(key, f"a whole number from 1 to {most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= float_info.max:
            raise self._wrong(key, "a number above 0")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def _get(self, key: str, default: object) -> object:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            raise ModelError(f"{self.source} does not say {key}")
        return value

    def _wrong(self, key: str, wanted: str) -> ModelError:
        return ModelError(f"{self.source}: {key} must be {wanted}, not {str(self.values.get(key))[:60]!r}")
