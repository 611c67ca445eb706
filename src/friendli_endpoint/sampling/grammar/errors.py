"""What is wrong with a grammar."""

from __future__ import annotations


class GrammarError(Exception):
    """A grammar cannot be used; `str(error)` is one sentence for who wrote it."""
