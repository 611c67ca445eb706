"""What a terminal may be given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


def shown(text: str) -> str:
    """`text`, on a terminal without control characters: what others wrote must not move its cursor or set its title."""
    if not sys.stdout.isatty():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()) -> None:
    """Print a line of titles and one for each row; those of `numbers` are to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, justify="right" if title in numbers else "left")
    for cells in rows:
        table.add_row(*(Text(shown(cell), overflow="fold") for cell in cells))
    # What is no terminal has no width: a script gets one line for each row.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
