"""What a model's name can be, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from friendli_endpoint import hub
from friendli_endpoint.errors import HubError


def hf_folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names or ("config.json", "tokenizer.json", "model.safetensors"):
        (path / name).write_text("{}")
    return path


def gguf_file(path: Path) -> Path:
    path.write_bytes(b"GGUF and more")
    return path


# Paths


def test_a_gguf_file_is_its_own_answer(tmp_path: Path) -> None:
    path = gguf_file(tmp_path / "any name")
    assert hub.resolve(str(path)) == path


def test_a_relative_path_and_the_home_folder_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gguf_file(tmp_path / "model.gguf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.resolve("model.gguf") == hub.resolve("./model.gguf") == hub.resolve("~/model.gguf") == path


def test_a_model_folder_is_its_own_answer(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "model")
    assert hub.resolve(str(folder)) == folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./nothing.gguf", r"nothing\.gguf cannot be read \(No such file"),
        ("text.gguf", "does not begin with 'GGUF'"),
        ("empty.gguf", "does not begin with 'GGUF'"),
        ("good/model.safetensors", "one file of a model; name its folder: .*good"),
        ("ggufs", r"folder of GGUF files; name the file, such as .*ggufs/a\.gguf"),
        ("no_tokenizer", r"no_tokenizer has no tokenizer\.json; a model is"),
        ("bare", r"bare has no config\.json and no tokenizer\.json and no \*\.safetensors"),
    ],
)
def test_a_path_that_is_no_model_is_told_what_a_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "bare").mkdir()
    hf_folder(tmp_path / "good")
    hf_folder(tmp_path / "ggufs", "a.gguf")
    hf_folder(tmp_path / "no_tokenizer", "config.json", "model.safetensors")
    with pytest.raises(HubError, match=said):
        hub.resolve(name)


@pytest.mark.parametrize("name", ["~nobody-has-this-name/model", "./" + "x" * 5000])
def test_a_path_that_cannot_be_is_told_what_a_model_is(name: str) -> None:
    with pytest.raises(HubError, match="cannot be read"):
        hub.resolve(name)


# Names that mean nothing


@pytest.mark.parametrize("name", ["smollm-135m", "SmolLM2-135M", "smollm2_135m", "smollm"])
def test_a_typo_gets_a_suggestion(name: str) -> None:
    with pytest.raises(HubError, match=r"did you mean smollm2-135m\?"):
        hub.resolve(name)


@pytest.mark.parametrize(
    "name", ["", " ", "gpt-5", "a\0b", "x\ny", "a/b/c", "a/../../b.gguf", "x" * 5000, "-", "\ud800", "./\ud800"]
)
def test_a_name_that_means_nothing_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(HubError, match="known ones: smollm2-135m") as raised:
        hub.resolve(name)
    assert str(raised.value).isprintable()


# The Hugging Face hub


def test_a_hub_id_fetches_what_a_model_needs_and_no_more(hub_server: None, cache: Path) -> None:
    folder = hub.resolve("org/full")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert folder.is_relative_to(cache)


def test_a_hub_model_is_found_again_without_the_hub(hub_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub.resolve("org/full")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.resolve("org/full") == folder
    assert [entry.path for entry in hub.catalog() if entry.name == "org/full"] == [folder]


def test_one_gguf_file_of_a_repository_can_be_named(hub_server: None) -> None:
    path = hub.resolve("org/ggufs/q4/model.gguf")
    assert path.read_bytes() == b"GGUF"
    assert [entry.path for entry in hub.catalog() if entry.name == "org/ggufs/q4/model.gguf"] == [path]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/missing", r"no model org/missing; check the id \(a private one needs HF_TOKEN\)"),
        ("org/ggufs", r"no model\.safetensors.*org/ggufs/FILE\.gguf"),
        ("org/ggufs/other.gguf", r"org/ggufs has no file other\.gguf"),
        ("org/gated", "accept its terms at https://huggingface.co/org/gated and set HF_TOKEN"),
        ("org/a..b", "no model org/a..b"),
    ],
)
def test_what_the_hub_does_not_have_is_told(hub_server: None, name: str, said: str) -> None:
    with pytest.raises(HubError, match=said):
        hub.resolve(name)


def test_an_unreachable_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"not in the cache and the Hugging Face hub could not be reached"):
        hub.resolve("org/full")


# The cache


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hub.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("FRIENDLI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub.cache_dir() == tmp_path / "xdg" / "friendli"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert hub.cache_dir() == Path.home() / ".cache" / "friendli"
