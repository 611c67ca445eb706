"""What endpoints, routes and teams can be called."""

from __future__ import annotations

import re

NAME_RULE = "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
"""What an endpoint id, an adapter's route and a team look like."""

DEFAULT_ENDPOINT = "demo"
DEFAULT_TEAM = "default"
"""Whose a request is that names no team, and whose limits hold for every team without a table of its own."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_name(text: str) -> bool:
    """Whether an endpoint, a route or a team can be called so."""
    return bool(_NAME.fullmatch(text))
