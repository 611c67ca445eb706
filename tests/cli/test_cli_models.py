"""`friendli models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli_kit import run

if TYPE_CHECKING:
    from pathlib import Path


def test_the_list_has_the_known_models_and_their_places(tmp_path: Path) -> None:
    result = run("models", "list", FRIENDLI_CACHE=str(tmp_path))
    assert result.exit_code == 0
    name, size, place, about = result.stdout.splitlines()[0].split("\t")
    assert (name, size, place) == ("smollm2-135m", "98 MB", "not fetched yet")
    assert "default" in about


def test_pull_prints_the_path(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    result = run("models", "pull", str(model))
    assert (result.exit_code, result.stdout) == (0, f"{model}\n")
