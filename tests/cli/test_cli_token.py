"""`friendli token`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cli_kit import run

from friendli.cli.expiry import expiry_of

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NOW = datetime(2030, 6, 15, 12, tzinfo=UTC)


def token(folder: Path, *args: str) -> Result:
    return run("token", *args, FRIENDLI_STATE=str(folder))


def listed(folder: Path) -> list[dict[str, object]]:
    return json.loads(token(folder, "list", "--json").stdout)


def test_create_prints_the_token_alone_and_explains_it_beside(tmp_path: Path) -> None:
    result = token(tmp_path / "state", "create", "--name", "ci", "--team", "acme", "--expires", "2099-12-31")
    text = result.stdout.strip()
    assert (result.exit_code, result.stdout) == (0, f"{text}\n")
    assert len(text) == 56
    assert f"{text[:12]}: complete; teams: acme; endpoints: all; until: 2099-12-31" in result.stderr
    assert str(tmp_path / "state") in result.stderr
    assert text not in result.stderr


def test_list_shows_what_was_created_and_no_secret(tmp_path: Path) -> None:
    options = ["--scope", "complete", "--scope", "metrics", "--team", "b", "--team", "a", "--endpoint", "demo"]
    text = token(tmp_path, "create", "--name", "ci", *options).stdout.strip()
    (one,) = listed(tmp_path)
    assert one["prefix"] == text[:12]
    assert (one["scopes"], one["teams"], one["endpoints"]) == (["complete", "metrics"], ["b", "a"], ["demo"])
    assert (one["name"], one["expires"], one["revoked"], one["last_used"]) == ("ci", None, None, None)
    table = token(tmp_path, "list")
    assert text[13:] not in table.output
    assert " ".join(table.stdout.splitlines()[1].split()) == f"{text[:12]} good complete metrics b a demo - - ci"


@pytest.mark.parametrize("whole", [False, True], ids=["by its prefix", "by the whole token"])
def test_revoke_makes_a_token_useless(tmp_path: Path, whole: bool) -> None:
    text = token(tmp_path, "create", "--name", "ci").stdout.strip()
    result = token(tmp_path, "revoke", text if whole else text[:12])
    assert (result.exit_code, result.stdout) == (0, f"Revoked {text[:12]} ci\n")
    assert "revoked" in token(tmp_path, "list").stdout
    assert listed(tmp_path)[0]["revoked"] is not None


def test_an_unknown_prefix_is_an_error(tmp_path: Path) -> None:
    result = token(tmp_path, "revoke", "flp_nothing0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "friendli: There is no token 'flp_nothing0'" in result.stderr


def test_no_tokens_are_told_beside_the_output(tmp_path: Path) -> None:
    assert token(tmp_path, "list").stdout == ""
    assert listed(tmp_path) == []


def test_state_wins_over_the_environment(tmp_path: Path) -> None:
    token(tmp_path / "other", "create", "--state", str(tmp_path / "mine"))
    assert len(listed(tmp_path / "mine")) == 1
    assert listed(tmp_path / "other") == []


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["--expires", "soon"], 2, "--expires: 'soon' is neither days, as in 30d, nor a date, as in 2031-12-31"),
        (["--expires", "2020-01-01"], 2, "--expires: 2020-01-01 is not in the future"),
        (["--scope", "everything"], 2, "complete"),
        (["--team", "a b"], 1, "'a b' cannot be a team"),
        (["--endpoint", "a/b"], 1, "'a/b' cannot be an endpoint"),
    ],
)
def test_what_cannot_be_a_token_is_told_so_and_leaves_none(
    tmp_path: Path, args: list[str], code: int, sentence: str
) -> None:
    result = token(tmp_path, "create", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("1d", datetime(2030, 6, 16, 12, tzinfo=UTC)),
        ("30d", datetime(2030, 7, 15, 12, tzinfo=UTC)),
        ("2030-06-15", datetime(2030, 6, 16, tzinfo=UTC)),
        ("2031-12-31", datetime(2032, 1, 1, tzinfo=UTC)),
    ],
)
def test_days_count_from_now_and_a_date_is_the_last_day(text: str, end: datetime) -> None:
    assert expiry_of(text, NOW) == end.timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "0d", "d", "-1d", "30", "1.5d", "30 d", "99999999d", "2030-06-14", "2030-13-01", "2030-02-30", "9999-12-31"],
)
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|future"):
        expiry_of(text, NOW)
