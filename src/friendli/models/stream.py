"""What iterating over a stream yields, whichever shape is on the wire.

Events come by the thousand, so they are plain dataclasses with the models' few methods; what is in them is checked
where they are made. Fields that are not known yet are kept, as attributes and in `model_dump`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli.models.response import CompletionsChoice, CompletionsLogits, CompletionsLogprobs, CompletionsUsage

_ONLY_IF_ASKED_FOR = "output_logits"


class _Event:
    """The models' way to plain data."""

    def model_dump(
        self, *, mode: Literal["json", "python"] = "python", exclude_none: bool = False
    ) -> dict[str, object]:
        """As a dict, unknown fields included; `mode` "json" leaves nothing in it that JSON does not know."""
        given = {
            name: _dumped(value, exclude_none=exclude_none)
            for name, value in self._given()
            if value is not None or not (exclude_none or name == _ONLY_IF_ASKED_FOR)
        }
        plain: dict[str, object] = to_jsonable_python(given) if mode == "json" else given
        return plain

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """As JSON."""
        return to_json(self.model_dump(exclude_none=exclude_none), indent=indent).decode()

    def _given(self) -> list[tuple[str, object]]:
        return list(vars(self).items())


class _Data(_Event):
    event: ClassVar[str]

    def _given(self) -> list[tuple[str, object]]:
        return [("event", self.event), *vars(self).items()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._given())})"


@dataclass(repr=False)
class StreamedCompletionsTokenSampled(_Data):
    """One piece of the choice `index`: usually one token; `token` is None where the server does not say.

    `logprobs` and `output_logits` are of this piece alone, and there if they were asked for.
    """

    event: ClassVar[Literal["token_sampled"]] = "token_sampled"
    index: int
    text: str
    token: int | None = None
    logprobs: CompletionsLogprobs | None = None
    output_logits: CompletionsLogits | None = None


@dataclass(repr=False)
class StreamedCompletionsTokenComplete(_Data):
    """The end, once and last: the full choices; `usage` is None only if the caller or the server left it out."""

    event: ClassVar[Literal["complete"]] = "complete"
    choices: list[CompletionsChoice]
    usage: CompletionsUsage | None = None


StreamedData: TypeAlias = StreamedCompletionsTokenSampled | StreamedCompletionsTokenComplete


@dataclass
class StreamedCompletionsResult(_Event):
    """One event of a stream; `data.event` tells which."""

    data: StreamedData

    def __str__(self) -> str:
        return f"data={self.data!r}"


def keep(data: StreamedData, more: Mapping[str, object]) -> None:
    """Add fields that are not known yet; one that has the name of something known has no place."""
    vars(data).update((name, value) for name, value in more.items() if not hasattr(data, name))


def _dumped(value: object, *, exclude_none: bool) -> object:
    if isinstance(value, BaseModel | _Event):
        return value.model_dump(exclude_none=exclude_none)
    if isinstance(value, list):
        return [_dumped(item, exclude_none=exclude_none) for item in value]
    return value


SAMPLED_FIELDS = frozenset({"event", *(known.name for known in fields(StreamedCompletionsTokenSampled))})
