"""The GGUF container: metadata and tensor places, read from a memory map without touching the weights.

Strings of arrays (a tokenizer's vocabulary) are only walked over, and made when asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.stored import Kind, StoredTensor, mapped, stored_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
MOST_DIMENSIONS = 4
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32


class Strings(Sequence[str]):
    """An array of strings that stays in the file until it is read."""

    def __init__(self, view: memoryview, offsets: Sequence[int]) -> None:
        self._view, self._offsets = view, offsets

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._string(offset) for offset in self._offsets[index]]
        return self._string(self._offsets[index])

    def __iter__(self) -> Iterator[str]:
        return map(self._string, self._offsets)

    def _string(self, offset: int) -> str:
        (length,) = struct.unpack_from("<Q", self._view, offset)
        return str(self._view[offset + 8 : offset + 8 + length], "utf-8", "replace")


Place: TypeAlias = tuple[str, Kind, tuple[int, ...], int]  # name, type, shape, offset behind the header
Value: TypeAlias = "str | int | float | bool | Strings | NDArray[np.generic]"


@dataclass(frozen=True, slots=True)
class GGUFFile:
    metadata: dict[str, Value]
    tensors: dict[str, StoredTensor]


def read_file(path: Path) -> GGUFFile:
    """Metadata and tensors of a GGUF file; ModelError when it is none, is broken, or has been cut short."""
    view = mapped(path)
    try:
        return _Cursor(view).file()
    except (struct.error, IndexError, OverflowError) as error:
        raise ModelError(f"{path.name} is cut short: its header ends in the middle; fetch it again") from error
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error


class _Cursor:
    """A place in the file that moves on with every read.

    Reading beyond the end raises struct.error, IndexError or OverflowError.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def file(self) -> GGUFFile:
        if self._view[:4] != MAGIC:
            raise ModelError("this is not a GGUF file")
        self._at = 4
        if (version := self._number("I")) not in VERSIONS:
            raise ModelError(f"GGUF version {version} is not supported; supported are {VERSIONS}")
        tensor_count, value_count = self._number("Q"), self._number("Q")
        metadata: dict[str, Value] = {}
        for _ in range(value_count):
            name = self._string()
            metadata[name] = self._value(self._number("I"))
        places = [self._place() for _ in range(tensor_count)]
        return GGUFFile(metadata, self._tensors(places, metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)))

    def _tensors(self, places: list[Place], alignment: Value) -> dict[str, StoredTensor]:
        if not isinstance(alignment, int) or alignment < 1:
            raise ModelError(f"{ALIGNMENT} must be a whole number of at least 1")
        start = -(-self._at // alignment) * alignment
        tensors: dict[str, StoredTensor] = {}
        for name, kind, shape, offset in places:
            if name in tensors:
                raise ModelError(f"tensor {name} is there twice")
            begin = start + offset
            end = begin + stored_bytes(name, kind, shape)
            if end > len(self._view):
                raise ModelError(f"tensor {name} is cut short: the file ends before it; fetch it again")
            tensors[name] = StoredTensor(name, kind, shape, np.frombuffer(self._view[begin:end], np.uint8))
        return tensors

    def _place(self) -> Place:
        name = self._string()
        if not 1 <= (dimensions := self._number("I")) <= MOST_DIMENSIONS:
            raise ModelError(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(self._number("Q") for _ in range(dimensions))[::-1]
        code, offset = self._number("I"), self._number("Q")
        try:
            return name, Kind(code), shape, offset
        except ValueError:
            raise ModelError(f"tensor {name} has an unknown weight type, number {code}") from None

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._scalar(kind)
        element, count = self._number("I"), self._number("Q")
        return self._strings(count) if element == STRING else self._numbers(element, count)

    def _scalar(self, kind: int) -> int | float | bool:
        size = struct.calcsize(_letter(kind))
        self._at += size
        value: int | float | bool = struct.unpack_from("<" + _letter(kind), self._view, self._at - size)[0]
        return value

    def _numbers(self, element: int, count: int) -> NDArray[np.generic]:
        dtype = np.dtype("<" + _letter(element))
        begin = self._at
        self._skip(count * dtype.itemsize)
        return np.frombuffer(self._view[begin : self._at], dtype)

    def _strings(self, count: int) -> Strings:
        offsets: list[int] = []
        unpack, view, at = struct.Struct("<Q").unpack_from, self._view, self._at
        for _ in range(count):
            offsets.append(at)
            at += 8 + unpack(view, at)[0]
        self._skip(at - self._at)
        return Strings(view, offsets)

    def _string(self) -> str:
        begin = self._at + 8
        self._skip(8 + struct.unpack_from("<Q", self._view, self._at)[0])
        return str(self._view[begin : self._at], "utf-8", "replace")

    def _number(self, letter: str) -> int:
        size = struct.calcsize("<" + letter)
        self._at += size
        value: int = struct.unpack_from("<" + letter, self._view, self._at - size)[0]
        return value

    def _skip(self, size: int) -> None:
        if self._at + size > len(self._view):
            raise IndexError
        self._at += size


def _letter(kind: int) -> str:
    if kind not in SCALARS:
        raise ModelError(f"its metadata has a value of unknown type {kind}")
    return SCALARS[kind]
