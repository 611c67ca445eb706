"""Where the state is when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from friendli_endpoint.config.state import default_state


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"FRIENDLI_STATE": "/a", "XDG_DATA_HOME": "/b"}, "/a"),
        ({"FRIENDLI_STATE": "~/mine"}, "/home/me/mine"),
        ({"XDG_DATA_HOME": "/b"}, "/b/friendli"),
        ({"FRIENDLI_STATE": "", "XDG_DATA_HOME": ""}, "/home/me/.local/share/friendli"),
    ],
)
def test_the_environment_names_the_state_folder(
    environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FRIENDLI_STATE", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | environment).items():
        monkeypatch.setenv(name, value)
    assert default_state() == Path(folder)
