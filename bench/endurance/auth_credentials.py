"""Every state that a credential can be in, and every way to name a team."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.endurance.auth_model import CLOSED, Credential, Grant, Team

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli_endpoint.access import TokenStore

SETTINGS = {"tokens": "flp_user", "admin_tokens": "flp_admin"}


@dataclass(frozen=True)
class Wanted:
    """A token to be created; one that is not `good` is revoked, or has expired."""

    grant: Grant
    good: bool = True
    expires: int | None = None
    revoked: bool = False


COMPLETE = Grant(frozenset({"complete"}))
ADMIN = Grant(frozenset({"admin"}), teams=None)
WANTED = {
    "complete": Wanted(COMPLETE),
    "metrics": Wanted(Grant(frozenset({"metrics"}))),
    "admin": Wanted(ADMIN),
    "complete, metrics": Wanted(Grant(frozenset({"complete", "metrics"}))),
    "of two teams": Wanted(replace(COMPLETE, teams=("a", "b"))),
    "admin of a team": Wanted(replace(ADMIN, teams=("a",))),
    "for this endpoint": Wanted(replace(COMPLETE, endpoint="demo")),
    "for another endpoint": Wanted(replace(COMPLETE, endpoint="other")),
    "admin of another endpoint": Wanted(replace(ADMIN, endpoint="other")),
    "expires later": Wanted(COMPLETE, expires=4_000_000_000),
    "expired": Wanted(ADMIN, good=False, expires=1_000_000_000),
    "revoked": Wanted(ADMIN, good=False, revoked=True),
}


def texts_of(store: TokenStore) -> dict[str, str]:
    """The tokens of `WANTED`, created in `store`."""
    texts = {}
    for name, wanted in WANTED.items():
        grant = wanted.grant
        texts[name], token = store.create(
            scopes=grant.scopes,
            teams=grant.teams or (),
            endpoints=(grant.endpoint,) if grant.endpoint else (),
            expires=wanted.expires,
        )
        if wanted.revoked:
            store.revoke(token.prefix)
    return texts


def bearer(text: str) -> bytes:
    return b"Authorization: Bearer " + text.encode("latin-1")


def credentials(texts: Mapping[str, str]) -> list[Credential]:
    """Every state that a credential can be in; `texts` are those of `WANTED`."""
    user, admin = SETTINGS["tokens"], SETTINGS["admin_tokens"]
    known = [
        Credential("user of the settings", (bearer(user),), COMPLETE),
        Credential("admin of the settings", (bearer(admin),), ADMIN),
        *(Credential(name, (bearer(texts[name]),), it.grant if it.good else None) for name, it in WANTED.items()),
    ]
    good = texts["admin"]
    odd = [
        Credential("lower case", (b"authorization: bearer " + good.encode(),), ADMIN),
        Credential("more spaces", (b"AUTHORIZATION:   BEARER   " + good.encode() + b"  ",), ADMIN),
        Credential("none"),
        Credential("empty", (b"Authorization:",)),
        Credential("scheme alone", (b"Authorization: Bearer",)),
        Credential("scheme and spaces", (b"Authorization: Bearer   ",)),
        Credential("token alone", (b"Authorization: " + good.encode(),)),
        Credential("other scheme", (b"Authorization: Basic " + good.encode(),)),
        Credential("no space", (b"Authorization: Bearer" + good.encode(),)),
        Credential("prefix", (bearer(good[:12]),)),
        Credential("other secret", (bearer(good[:13] + "x" * 43),)),
        Credential("cut", (bearer(good[:-1]),)),
        Credential("longer", (bearer(good + "A"),)),
        Credential("swapped case", (bearer(good.swapcase()),)),
        Credential("hash of the settings", (bearer("sha256:" + "0" * 64),)),
        Credential("quotes", (bearer(f'"{good}"'),)),
        Credential("apostrophes", (bearer(f"'{good}'"),)),
        Credential("SQL", (bearer("flp_' OR 1=1 --"),)),
        Credential("two tokens", (bearer(f"{good} {good}"),)),
        Credential("a list", (bearer(f"{good}, Bearer {good}"),)),
        Credential("twice", (bearer(good), bearer(good))),
        Credential("bad, then good", (bearer("x"), bearer(good))),
        Credential("tab", (bearer(f"{good[:20]}\t{good[20:]}"),)),
        Credential("not ASCII", (bearer(good[:-1] + "\xe9"),)),
        Credential("UTF-8", (b"Authorization: Bearer " + "flp_größe".encode(),)),
        Credential("NUL", (bearer(f"{good}\0"),), status=400),
        Credential("escape", (bearer(f"\x1b[31m{good}"),), status=400),
        Credential("folded", (b"Authorization: Bearer\r\n " + good.encode(),), status=400),
        Credential("CR", (bearer(f"x\r{good}"),), status=400),
        Credential("LF", (bearer(f"x\nAuthorization: Bearer {good}"),), status=400),
        Credential("space before the colon", (b"Authorization : Bearer " + good.encode(),), status=400),
        Credential("in the proxy's header", (b"Proxy-Authorization: Bearer " + good.encode(),)),
        Credential("in a cookie", (b"Cookie: Authorization=Bearer " + good.encode(),)),
        Credential("in another header", (b"X-Api-Key: " + good.encode(),)),
        Credential("10 kB", (bearer("x" * 10_000),)),
        Credential("20 kB", (bearer("x" * 20_000),), status=431),
        Credential("1 MB", (bearer("x" * 1_000_000),), status=CLOSED),
    ]
    return known + odd


TEAMS = (
    Team("default", (b"X-Friendli-Team: default",), "default"),
    Team("a", (b"x-friendli-team: a",), "a"),
    Team("b", (b"X-FRIENDLI-TEAM: b",), "b"),
    Team("other", (b"X-Friendli-Team: other",), "other"),
    Team("empty", (b"X-Friendli-Team:",), status=422),
    Team("no name", (b"X-Friendli-Team: a b",), status=422),
    Team("not ASCII", (b"X-Friendli-Team: \xe9",), status=422),
    Team("a path", (b"X-Friendli-Team: ../a",), status=422),
    Team("too long", (b"X-Friendli-Team: " + b"a" * 65,), status=422),
    Team("twice", (b"X-Friendli-Team: a", b"X-Friendli-Team: a"), status=422),
)
"""Ways to name a team; naming none is left to the other cases."""
