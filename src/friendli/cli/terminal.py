"""What a terminal may be given."""

from __future__ import annotations

import sys


def shown(text: str) -> str:
    """`text`, on a terminal without control characters: what others wrote must not move its cursor or set its title."""
    if not sys.stdout.isatty():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
