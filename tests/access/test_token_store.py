"""The tokens that were created: what is kept of them, and who is let in by them when."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from friendli_endpoint.access import TokenStore, prefix_of
from friendli_endpoint.access.table import TokenTable
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_800_014_400  # 2027-01-15, 12:00 UTC
MIDNIGHT = NOON - 12 * 3600


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[TokenStore]:
    with closing(TokenStore(TokenTable.open(folder), clock)) as store:
        yield store


@pytest.fixture
def command(folder: Path, clock: Clock) -> Iterator[TokenStore]:
    """The same tokens, as another process has them."""
    with closing(TokenStore(TokenTable.open(folder), clock)) as store:
        yield store


def good(store: TokenStore, text: str) -> bool:
    return store.identify(text.encode()) is not None


def test_a_token_looks_as_documented_and_no_two_are_alike(store: TokenStore) -> None:
    texts = {store.create(scopes=["complete"])[0] for _ in range(50)}
    assert len({text[:12] for text in texts}) == 50
    assert all(re.fullmatch(r"flp_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}", text) for text in texts)


def test_a_token_allows_what_it_was_created_for(store: TokenStore) -> None:
    text, token = store.create(
        name="ci", scopes=["metrics", "complete"], teams=["b", "a", "b"], endpoints=["demo"], expires=NOON + 1
    )
    identity = store.identify(text.encode())
    assert identity is not None
    assert identity.name == token.prefix == text[:12]
    assert (identity.scopes, identity.teams, identity.endpoints) == ({"complete", "metrics"}, ("b", "a"), {"demo"})


def test_without_a_team_an_admin_has_all_of_them_and_others_the_default_one(store: TokenStore) -> None:
    for scope, teams in (("complete", ("default",)), ("metrics", ("default",)), ("admin", None)):
        identity = store.identify(store.create(scopes=[scope])[0].encode())
        assert identity is not None
        assert (identity.teams, identity.endpoints) == (teams, None)


def test_only_a_hash_of_a_token_is_on_the_disk_and_only_this_user_reads_it(store: TokenStore, folder: Path) -> None:
    text, _ = store.create(scopes=["complete"])
    secret = text[13:].encode()
    files = list(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in files}["tokens.db"] == 0o600
    for file in files:
        assert file.stat().st_mode & 0o077 == 0
        assert secret not in file.read_bytes()


@pytest.mark.parametrize("change", ["other secret", "other prefix", "cut", "longer", "case", "empty", "quoted"])
def test_what_is_not_the_token_to_the_last_character_is_nobodys(store: TokenStore, change: str) -> None:
    text, _ = store.create(scopes=["complete"])
    other, _ = store.create(scopes=["complete"])
    wrong = {
        "other secret": text[:12] + other[12:],
        "other prefix": other[:12] + text[12:],
        "cut": text[:-1],
        "longer": text + "x",
        "case": text.swapcase(),
        "empty": "",
        "quoted": f'"{text}"',
    }[change]
    assert not good(store, wrong)
    assert good(store, text)


def test_a_token_ends_at_the_second_that_it_expires(store: TokenStore, clock: Clock) -> None:
    text, _ = store.create(scopes=["complete"], expires=NOON + 10)
    clock.now = NOON + 9.9
    assert good(store, text)
    clock.now = NOON + 10
    assert not good(store, text)


@pytest.mark.parametrize("whole", [False, True], ids=["by its prefix", "by the whole token"])
def test_a_revoked_token_is_refused_at_the_next_question(store: TokenStore, command: TokenStore, whole: bool) -> None:
    text, token = command.create(scopes=["complete"])
    kept, _ = command.create(scopes=["complete"])
    assert good(store, text)
    assert command.revoke(text if whole else token.prefix).revoked == NOON
    assert not good(store, text)
    assert not good(command, text)
    assert good(store, kept)


def test_a_running_server_takes_what_another_process_creates(store: TokenStore, command: TokenStore) -> None:
    assert not store.guarded
    text, _ = command.create(scopes=["complete"])
    assert store.guarded
    assert good(store, text)


def test_revoking_the_last_token_does_not_open_the_server(store: TokenStore, command: TokenStore) -> None:
    _, token = command.create(scopes=["complete"])
    command.revoke(token.prefix)
    assert store.guarded
    with closing(TokenStore.open(store.folder)) as later:
        assert later.guarded


def test_revoking_twice_keeps_the_first_time(store: TokenStore, clock: Clock) -> None:
    _, token = store.create(scopes=["complete"])
    store.revoke(token.prefix)
    clock.now += 100
    assert store.revoke(token.prefix).revoked == NOON


def test_a_token_that_is_unknown_cannot_be_revoked_and_is_not_told_whole(store: TokenStore) -> None:
    with pytest.raises(ConfigError, match="friendli token list"):
        store.revoke("flp_unknown1")
    unknown = "flp_unknown1_" + "s" * 43
    with pytest.raises(ConfigError) as raised:
        store.revoke(unknown)
    assert "sssss" not in str(raised.value)


def test_the_day_of_the_last_use_is_kept(store: TokenStore, command: TokenStore, clock: Clock) -> None:
    text, _ = store.create(scopes=["complete"])
    assert command.all()[0].last_used is None
    store.identify(text.encode())
    assert command.all()[0].last_used == MIDNIGHT
    clock.now += 24 * 3600
    store.identify(text.encode())
    assert command.all()[0].last_used == MIDNIGHT + 24 * 3600


def test_a_token_is_good_while_another_process_holds_the_file(store: TokenStore, folder: Path) -> None:
    text, _ = store.create(scopes=["complete"])
    with closing(sqlite3.connect(folder / "tokens.db", isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        assert good(store, text)
        busy.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"scopes": []}, "complete, admin and metrics"),
        ({"scopes": ["everything"]}, "complete, admin and metrics"),
        ({"scopes": ["complete"], "teams": ["a b"]}, "'a b' cannot be a team"),
        ({"scopes": ["complete"], "teams": [""]}, "'' cannot be a team"),
        ({"scopes": ["complete"], "endpoints": ["../x"]}, "cannot be an endpoint"),
        ({"scopes": ["complete"], "name": "a\x1b[2J"}, "printable"),
        ({"scopes": ["complete"], "name": "x" * 101}, "at most 100"),
    ],
)
def test_what_cannot_be_a_token_is_told_so(store: TokenStore, wanted: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        store.create(**wanted)
    assert not store.guarded


def test_a_folder_that_others_may_write_in_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(ConfigError, match="chmod go-w"):
        TokenStore.open(folder)


def test_a_file_that_is_no_store_is_named(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "tokens.db").write_bytes(b"what is this" * 1000)
    with pytest.raises(ConfigError, match=r"tokens\.db cannot be used"):
        TokenStore.open(folder)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        TokenStore.open(tmp_path / "file" / "state")


def test_a_file_of_a_later_version_is_left_alone(folder: Path) -> None:
    TokenStore.open(folder).close()
    with closing(sqlite3.connect(folder / "tokens.db")) as later:
        later.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer friendli"):
        TokenStore.open(folder)


def test_a_file_that_breaks_later_lets_nobody_in(store: TokenStore) -> None:
    text, _ = store.create(scopes=["complete"])
    store.close()
    with pytest.raises(ConfigError, match="cannot be used"):
        store.identify(text.encode())


def test_a_prefix_is_shown_of_our_tokens_alone() -> None:
    assert prefix_of(b"flp_Ab3dE6gH_" + b"s" * 43) == "flp_Ab3dE6gH"
    for other in (b"", b"flp_secret", b"flp_Ab3dE6gH_short", b"sk-1234", b"flp_Ab3dE6gH_" + b"s" * 44, b"\xff" * 56):
        assert prefix_of(other) is None
