"""Who may: every route, method and state of a credential, teams, and the tricks of targets and Hosts, as raw bytes."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.endurance.auth_cases import cases, misjudged
from bench.endurance.auth_credentials import SETTINGS, texts_of
from bench.endurance.fake_server import command
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from friendli_endpoint.access import TokenStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUICK_SHARE: Final = 53
"""One of so many cases; a prime, so that each credential and each trick is there."""


def measure(*, quick: bool) -> Iterator[Row]:
    """Its row."""
    with tempfile.TemporaryDirectory(prefix="friendli-doors-") as name:
        state = Path(name) / "state"
        with closing(TokenStore.open(state)) as store:
            asked = list(islice(cases(texts_of(store)), 0, None, _QUICK_SHARE if quick else 1))
        with serving(_toml(state), command(rows=64, step_seconds=0)) as served:
            wrong = asyncio.run(misjudged(served.url, asked))
    right = 100 * (1 - len(wrong) / len(asked))
    told = "".join(f"; {name}: {found} instead of {expected}" for name, expected, found in wrong[:5])
    yield Row("auth matrix", "100 % right", f"{right:.2f} % of {len(asked):,} cases{told}", not wrong)


def _toml(state: Path) -> str:
    tokens = "".join(f"{name} = {json.dumps([text])}\n" for name, text in SETTINGS.items())
    return f"[server]\nport = 0\nstate = {json.dumps(str(state))}\n{tokens}[endpoints.demo]\n"
