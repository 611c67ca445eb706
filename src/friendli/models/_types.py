"""The scalar types of the wire: strict, because `"200"` for a number is a mistake worth hearing about."""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

_LARGEST_INT = 2**31 - 1
_LARGEST_SEED = 2**64 - 1


def _encodable(text: str) -> str:
    """JSON is UTF-8, which has no lone surrogates; finding one here beats failing while sending."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogates", "must be valid Unicode: it holds a lone surrogate") from None
    return text


Flag: TypeAlias = Annotated[bool, Strict()]
Text: TypeAlias = Annotated[str, Strict(), AfterValidator(_encodable)]
Phrase: TypeAlias = Annotated[str, Strict(), Field(min_length=1), AfterValidator(_encodable)]


def _ordered(value: object) -> object:
    """A set would lose the order and what is there twice."""
    if isinstance(value, Set | memoryview):
        raise PydanticCustomError("list_type", "should be a list")
    return value


# Only the first wrong item is told; listing a million of them would take seconds.
_T = TypeVar("_T")
ListOf: TypeAlias = Annotated[list[_T], Field(fail_fast=True), BeforeValidator(_ordered)]

Count: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=_LARGEST_INT)]
PositiveCount: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=_LARGEST_INT)]
TokenId: TypeAlias = Count
Seed: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=_LARGEST_SEED)]

Number: TypeAlias = Annotated[float, Strict(), Field(allow_inf_nan=False)]
NonNegative: TypeAlias = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Positive: TypeAlias = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Strict(), Field(ge=0, le=1)]
PositiveShare: TypeAlias = Annotated[float, Strict(), Field(gt=0, le=1)]
Penalty: TypeAlias = Annotated[float, Strict(), Field(ge=-2, le=2)]
