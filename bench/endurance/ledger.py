"""The server is killed again and again under requests of many teams; its ledger must equal what was delivered."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.endurance.fake_server import command
from bench.endurance.ledger_kit import ENDPOINTS, ROUTES, TEAMS, Lives, Sent, Wish, ask
from bench.endurance.rows import Row
from friendli_endpoint.access import TokenStore
from friendli_endpoint.usage import Ledger, Query, stored_totals

if TYPE_CHECKING:
    from collections.abc import Iterator

_USERS = 24
_TOML = """
[server]
port = 0
state = "{state}"

""" + "\n".join(
    f'[endpoints.{endpoint}]\n[endpoints.{endpoint}.adapters]\n{ROUTES[1]} = "nowhere"\n' for endpoint in ENDPOINTS
)


class _Line:
    """A line of the ledger."""

    def __init__(self, row: tuple[str, str, str, str, str, int, int]) -> None:
        self.id, self.team, self.endpoint, self.adapter, self.outcome, self.prompt, self.completion = row

    @property
    def group(self) -> tuple[str, str, str]:
        return self.team, self.endpoint, self.adapter


def measure(*, quick: bool) -> Iterator[Row]:
    """Requests and kills on the fake engine."""
    requests, kills = (300, 4) if quick else (10_000, 100)
    with TemporaryDirectory(prefix="friendli-endurance-") as name:
        folder = Path(name)
        (folder / "friendli.toml").write_text(_TOML.format(state=folder / "state"))
        began = time.perf_counter()
        sent = asyncio.run(_run(folder, requests, kills))
        what = f"ledger after {requests} requests and {kills} kills, {time.perf_counter() - began:.0f} s"
        Ledger.open(folder / "state").close()  # takes in what the last server left
        yield from _rows(what, sent, folder / "state")


async def _run(folder: Path, requests: int, kills: int) -> list[Sent]:
    tokens = _tokens(folder / "state")
    rng = random.Random(6)  # noqa: S311 - the same every time
    wishes = iter([wish for number in range(requests) for wish in Wish.some(number, rng)][:requests])
    sent: list[Sent] = []
    program = (*command(rows=64, step_seconds=0.004, wait=True), "--config", str(folder / "friendli.toml"))
    lives = Lives(program, folder / "log")
    await lives.begin()

    async def make(wish: Wish) -> None:
        sent.append(await ask(lives, wish, tokens[wish.team]))

    async def user() -> None:
        for wish in wishes:
            await make(wish)

    killing = asyncio.create_task(_kill(lives, kills, sent, requests, rng))
    try:
        await asyncio.gather(*(user() for _ in range(_USERS)))
        await killing
    finally:
        killing.cancel()
        lives.end()
    return sent


async def _kill(lives: Lives, kills: int, sent: list[Sent], requests: int, rng: random.Random) -> None:
    """At random moments, which are spread over all requests."""
    for kill in range(kills):
        due = (kill + rng.random()) * requests / (kills + 1)
        while len(sent) < due:  # noqa: ASYNC110 - it is a matter of moments
            await asyncio.sleep(rng.uniform(0.001, 0.01))
        await lives.kill()


def _tokens(state: Path) -> dict[str, str]:
    with closing(TokenStore.open(state)) as store:
        return {team: store.create(name=team, scopes=["complete"], teams=[team])[0] for team in TEAMS}


def _rows(what: str, sent: list[Sent], state: Path) -> Iterator[Row]:
    with closing(sqlite3.connect(state / "usage.db")) as database:
        names = "request_id, team, endpoint, adapter, outcome, prompt, completion"
        lines = [_Line(row) for row in database.execute(f"SELECT {names} FROM requests")]  # noqa: S608 - our own names
    by_id = {line.id: line for line in lines}
    yield _whole(what, sent, by_id)
    yield _repeated(what, sent, by_id)
    yield _cut(what, sent, by_id)
    yield _unknown(what, sent, lines)
    yield _sums(what, lines, state)


def _whole(what: str, sent: list[Sent], by_id: dict[str, _Line]) -> Row:
    """Those without a key: what was delivered whole is there with exactly its counts."""
    whole = [each for each in sent if each.whole and each.wish.key is None]
    right = sum(_is_exact(each, by_id.get(each.id)) for each in whole)
    tokens = sum(each.tokens for each in whole)
    got = f"{right} of {len(whole)}, {tokens} tokens; load average {os.getloadavg()[0]:.1f}"
    return Row(f"{what}: whole deliveries", "each once, exact", got, 0 < right == len(whole))


def _is_exact(sent: Sent, line: _Line | None) -> bool:
    if line is None or line.group != sent.wish.group or line.outcome != "finished":
        return False
    return (line.prompt, line.completion) == (sent.prompt, sent.tokens)


def _repeated(what: str, sent: list[Sent], by_id: dict[str, _Line]) -> Row:
    """Those with one key, in one life of the server: a generation that was delivered is charged once in all."""
    keyed: dict[tuple[str | None, int], list[Sent]] = {}
    for each in sent:
        if each.wish.key is not None:
            keyed.setdefault((each.wish.key, each.life), []).append(each)
    delivered = [group for group in keyed.values() if any(each.whole for each in group) and all(e.id for e in group)]
    right = sum(
        sum(by_id[each.id].completion for each in group if each.id in by_id)
        == next(each.tokens for each in group if each.whole)
        for group in delivered
    )
    there = all(each.id in by_id for group in delivered for each in group if each.whole)
    got = f"{right} of {len(delivered)}"
    return Row(f"{what}: repeats of one key", "charged once in all", got, 0 < right == len(delivered) and there)


def _cut(what: str, sent: list[Sent], by_id: dict[str, _Line]) -> Row:
    """Streams without a key that were cut by the client or by a kill; all that had been sent was received."""
    cut = [each for each in sent if not each.whole and each.id and each.wish.stream and each.wish.key is None]
    more = [by_id[each.id].completion - each.tokens if each.id in by_id else -1 for each in cut]
    got = f"{len(cut)}; in the ledger beyond what was read: {dict(sorted(Counter(more).items()))}"
    held = bool(cut) and min(more) >= 0 and max(more) <= _BATCH
    return Row(f"{what}: cut streams", f"each once, read <= ledger <= read + a batch (<= {_BATCH})", got, held)


_BATCH = 8
"""Tokens that are handed on at once, when the server's processor is busy with others."""


def _unknown(what: str, sent: list[Sent], lines: list[_Line]) -> Row:
    """Of those whose head had not come, the ids are not known: there are no more such lines than such requests."""
    known = {each.id for each in sent}
    unknown = Counter(line.group for line in lines if line.id not in known)
    asked = Counter(each.wish.group for each in sent if not each.id)
    got = f"{unknown.total()} lines of {asked.total()} requests that were not answered"
    return Row(f"{what}: the rest", "no line without a request, none twice", got, unknown <= asked)


def _sums(what: str, lines: list[_Line], state: Path) -> Row:
    """Of team, endpoint and adapter, as `friendli usage` tells them, and line by line."""
    totals = stored_totals(state, Query(by=("team", "endpoint", "adapter")))
    told = {
        (str(total.team), str(total.endpoint), str(total.adapter or "")): (
            total.requests,
            total.prompt_tokens,
            total.completion_tokens,
        )
        for total in totals
    }
    added: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for line in lines:
        requests, prompt, completion = added.get(line.group, (0, 0, 0))
        added[line.group] = requests + 1, prompt + line.prompt, completion + line.completion
    got = f"{sum(told[group] == added[group] for group in added)} of {len(added)} equal, {len(lines)} lines"
    return Row(f"{what}: sums of team, endpoint and adapter", "equal the lines", got, told == added)
