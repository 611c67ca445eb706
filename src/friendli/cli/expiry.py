"""`--expires`: when a token stops being good."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DAYS = re.compile(r"([0-9]{1,5})d")


def expiry_of(text: str, now: datetime) -> int:
    """Unix seconds, from so many days (`30d`) or a date, whose day (UTC) is the last one. Raises `ValueError`."""
    days = _DAYS.fullmatch(text)
    end = now + timedelta(days=int(days[1])) if days else _end_of(text)
    if end <= now:
        raise ValueError(f"{text} is not in the future")
    return int(end.timestamp())


def _end_of(date: str) -> datetime:
    try:
        return datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{date!r} is neither days, as in 30d, nor a date, as in 2031-12-31") from None
