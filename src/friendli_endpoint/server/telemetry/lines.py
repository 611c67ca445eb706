"""From a log record to one line, as JSON or for people: ASCII without control characters, and not without end.

What others wrote can so neither begin a line of its own nor move a terminal's cursor.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from friendli_endpoint.server import audit
from friendli_endpoint.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LogKind: TypeAlias = Literal["text", "json"]

_LONGEST_VALUE: Final = 500
_LONGEST_TRACE: Final = 8_000
_MOST_FIELDS: Final = 40
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/{}()+@-]+")
_OWN: Final = frozenset({"time", "level", "logger", "message", "trace"})


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        message, fields = _told(record)
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message[:_LONGEST_VALUE],
            **{name: _cut(value) for name, value in fields.items() if name not in _OWN},
        }
        if trace := _trace(record):
            line["trace"] = trace
        return _ascii(json.dumps(line))


class TextLines(logging.Formatter):
    """Time, level, logger, sentence, then `name=value`; a trace follows in lines that begin with a bar."""

    def format(self, record: logging.LogRecord) -> str:
        message, fields = _told(record)
        told = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        first = f"{_time(record)} {record.levelname:<7} {record.name}: {_ascii(message[:_LONGEST_VALUE])}{told}"
        return "\n".join([first, *(f"  | {_ascii(line)}" for line in _trace(record).split("\n") if line)])


FORMATS: Final[dict[LogKind, type[logging.Formatter]]] = {"text": TextLines, "json": JsonLines}


def _told(record: logging.LogRecord) -> tuple[str, Mapping[str, object]]:
    """A record's sentence and its fields."""
    if record.name == audit.LOGGER:  # its lines are JSON by themselves
        facts: dict[str, object] = json.loads(record.getMessage())
        return next((name for name in ("refused", "change") if name in facts), ""), facts
    message = record.getMessage()
    if record.name == "asyncio":  # behind its first line it shows tasks, with the errors that they ended with
        message = message.partition("\n")[0]
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return message, dict(list(fields.items())[:_MOST_FIELDS])


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else trace_of(error)[-_LONGEST_TRACE:]


def _cut(value: object) -> object:
    return value if isinstance(value, bool | int | float) else str(value)[:_LONGEST_VALUE]


def _quoted(value: object) -> str:
    text = str(_cut(value))
    return text if _PLAIN.fullmatch(text) else _ascii(json.dumps(text))


def _ascii(text: str) -> str:
    """Printable ASCII; all else is written as an escape. Inside JSON that would be one already, but for DEL."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if " " <= char <= "~" else f"\\u{ord(char):04x}" for char in text)
