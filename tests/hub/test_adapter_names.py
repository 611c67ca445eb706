"""What an adapter's source can be, and what a wrong one is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from friendli_endpoint import hub
from friendli_endpoint.errors import HubError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_path_is_its_own_answer_whatever_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pirate").mkdir()
    (tmp_path / "pirate.gguf").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("pirate", "pirate.gguf"):
        for source in (name, f"./{name}", f"~/{name}", str(tmp_path / name)):
            assert hub.resolve_adapter(source) == tmp_path / name


def test_a_path_goes_before_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "adapter").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub.resolve_adapter("org/adapter") == tmp_path / "org" / "adapter"


@pytest.mark.parametrize(
    "source", ["./nothing", "/nothing.gguf", "~/nothing", "~nobody-has-this-name/a", "./" + "x" * 5000]
)
def test_a_path_where_nothing_is_is_told_what_an_adapter_is(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        HubError, match=r"cannot be read .*adapter_config\.json and adapter_model\.safetensors, or a GGUF"
    ):
        hub.resolve_adapter(source)


def test_a_path_that_is_no_text_is_refused_wherever_the_bytes_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    (folder / "pirate").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for source in (str(folder), "pirate", "./pirate"):
        for resolve in (hub.resolve, hub.resolve_adapter):
            with pytest.raises(HubError, match=r"udcff.* is not UTF-8") as raised:
                resolve(source)
            assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "source", ["", " ", "pirate", "pirate.gguf", "smollm2-135m", "a\0b", "x\ny", "a/b/c", "\ud800", "./\ud800"]
)
def test_a_source_that_means_nothing_is_told_what_would(source: str) -> None:
    with pytest.raises(HubError, match=r"there is no adapter .*path .* or a hub id \(org/name\)") as raised:
        hub.resolve_adapter(source)
    assert str(raised.value).isprintable()


def test_a_hub_id_fetches_what_an_adapter_needs_and_no_more(hub_server: None, cache: Path) -> None:
    folder = hub.resolve_adapter("org/adapter")
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert folder.is_relative_to(cache)


def test_an_adapter_of_the_hub_is_found_again_without_the_hub_and_is_no_model(
    hub_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub.resolve_adapter("org/adapter")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.resolve_adapter("org/adapter") == folder
    assert "org/adapter" not in [entry.name for entry in hub.catalog()]


def test_one_gguf_file_of_a_repository_can_be_an_adapter(hub_server: None) -> None:
    assert hub.resolve_adapter("org/ggufs/q4/model.gguf").read_bytes() == b"GGUF"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("org/missing", r"the Hugging Face hub has no adapter org/missing; check the id .*, or the path"),
        ("org/pickle", r"org/pickle has no adapter_model\.safetensors on the hub"),
        ("org/full", r"org/full has no adapter_model\.safetensors on the hub"),
        ("org/ggufs/other.gguf", r"org/ggufs has no file other\.gguf"),
        ("org/gated", "accept its terms"),
    ],
)
def test_an_adapter_that_the_hub_does_not_have_is_told(hub_server: None, source: str, said: str) -> None:
    with pytest.raises(HubError, match=said):
        hub.resolve_adapter(source)


def test_a_model_of_the_same_repository_is_not_taken_for_the_adapter(hub_server: None) -> None:
    hub.resolve("org/full")
    with pytest.raises(HubError, match=r"org/full has no adapter_model\.safetensors"):
        hub.resolve_adapter("org/full")


def test_an_unreachable_hub_is_told_for_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"could not be reached; connect, or name one on disk"):
        hub.resolve_adapter("org/adapter")
