"""Streams that break: at offsets spread over the whole body, by a reset, a clean end, or silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.faults.answers import STREAM_CHUNKED, STREAM_TO_CLOSE, Streamed, chunk, first_shape, second_shape
from bench.faults.server import Asked, Close, Reset, Stall, Step, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.faults.plan import Ask, Extent

SHAPES = {"first": first_shape(), "second": second_shape()}
ENDS = ("reset", "clean close", "stall")


@dataclass(frozen=True)
class CutFigures:
    """Of `cuts` streams: how many raised an error, and how many gave exactly the text of the whole events before it.

    `own`: the error was one that the client documents; `carried`: it carried that very text, too.
    """

    shape: str
    end: str
    run_async: bool
    cuts: int
    reported: int
    own: int
    exact: int
    carried: int

    @property
    def kept(self) -> bool:
        return self.cuts == self.reported == self.own == self.exact == self.carried


def measure(ask: Ask, extent: Extent, shapes: tuple[str, ...] = tuple(SHAPES)) -> list[CutFigures]:
    with serving(script) as server:
        return [
            _measured(ask, server.url, extent, shape, end, run_async=run_async)
            for shape in shapes
            for run_async in (False, True)
            for end in ENDS
        ]


def _measured(ask: Ask, url: str, extent: Extent, shape: str, end: str, *, run_async: bool) -> CutFigures:
    offsets = SHAPES[shape].offsets(extent.offsets)
    prompts = [f"{shape} {offset} {end}" for offset in offsets]
    wait = extent.stall_s if end == "stall" else None
    done = ask("calls", url=url, prompts=prompts, stream=True, run_async=run_async, at_once=extent.at_once, wait=wait)
    pairs = [
        (outcome, SHAPES[shape].text_before(offset)) for outcome, offset in zip(done["outcomes"], offsets, strict=True)
    ]
    return CutFigures(
        shape,
        end,
        run_async,
        cuts=len(offsets),
        reported=sum(outcome["error"] is not None for outcome, _ in pairs),
        own=sum(outcome["error"] is not None and outcome["own"] for outcome, _ in pairs),
        exact=sum(outcome["text"] == text for outcome, text in pairs),
        carried=sum(outcome["carried"] == text for outcome, text in pairs),
    )


def script(asked: Asked) -> Iterator[Step]:
    """The stream that a prompt asks for: "first 123 clean close"; "first whole" is not cut.

    At an even offset the body is chunked. A clean close then ends the chunks properly, as a gateway does whose
    upstream died; everything else leaves a chunk unfinished. At an odd offset the body ends with the connection.
    """
    shape, offset, end = (*asked.prompt.split(maxsplit=2), "")[:3]
    streamed = SHAPES[shape]
    if offset == "whole":
        yield STREAM_CHUNKED + b"".join(map(chunk, streamed.events)) + chunk(b"")
    else:
        yield from _cut(streamed, int(offset), end)


def _cut(streamed: Streamed, offset: int, end: str) -> Iterator[Step]:
    payload = streamed.payload[:offset]
    if offset % 2:
        yield STREAM_TO_CLOSE + payload
        yield {"reset": Reset, "clean close": Close, "stall": Stall}[end]
    elif end == "clean close":
        yield STREAM_CHUNKED + (chunk(payload) if payload else b"") + chunk(b"")
    else:
        yield STREAM_CHUNKED + _begun_chunks(streamed, offset)
        yield Reset if end == "reset" else Stall


def _begun_chunks(streamed: Streamed, offset: int) -> bytes:
    """One chunk for each whole event before the offset, and the beginning of one more."""
    sent, at = b"", 0
    for event in streamed.events:
        if at + len(event) > offset:
            return sent + (b"%x\r\n" % len(event)) + event[: offset - at]
        sent, at = sent + chunk(event), at + len(event)
    return sent
