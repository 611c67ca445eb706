"""Known models come through pip, checked, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_wheel import CONTENT

from friendli_endpoint import hub
from friendli_endpoint.errors import HubError
from friendli_endpoint.hub import cache as cache_module
from friendli_endpoint.hub import known, wheel
from friendli_endpoint.hub.progress import Lines, Silent

if TYPE_CHECKING:
    from friendli_endpoint.hub.known import KnownModel


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


ONLY_THE_MODEL = ["models/small/.lock", "models/small/Small.gguf"]
NOTHING_BUT_THE_LOCK = ["models/small/.lock"]


def test_a_known_name_is_fetched_and_then_found(
    small: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hub.resolve("small")
    assert path.read_bytes() == CONTENT
    assert files(cache) == ONLY_THE_MODEL
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert hub.resolve("small") == path


def test_the_catalog_says_what_has_been_fetched(small: KnownModel) -> None:
    assert [entry.path for entry in hub.catalog() if entry.name == "small"] == [None]
    path = hub.resolve("small")
    assert [entry.path for entry in hub.catalog() if entry.name == "small"] == [path]


def test_a_file_of_the_wrong_size_is_fetched_again(small: KnownModel) -> None:
    path = hub.resolve("small")
    path.write_bytes(CONTENT[:100])
    assert hub.resolve("small").read_bytes() == CONTENT


def test_what_a_killed_fetch_left_is_removed(small: KnownModel, cache: Path) -> None:
    left = cache / "models" / "small" / ".fetching-dead" / "tmp"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    hub.resolve("small")
    assert files(cache) == ONLY_THE_MODEL


@pytest.mark.parametrize("field", ["wheel_sha256", "file_sha256"])
def test_a_wrong_hash_is_refused_and_leaves_nothing(
    small: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setitem(known.KNOWN, "small", replace(small, **{field: "0" * 64}))
    with pytest.raises(HubError, match=r"SHA-256 differs.*thrown away.*try again"):
        hub.resolve("small")
    assert files(cache) == NOTHING_BUT_THE_LOCK


def test_a_package_that_the_index_does_not_have_is_named(small: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.KNOWN, "small", replace(small, requirement="small-model==2.0"))
    with pytest.raises(HubError, match=r"small-model==2\.0.*index that has it.*path of a GGUF file"):
        hub.resolve("small")


def test_without_a_network_the_error_says_so(small: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(HubError, match=r"could not reach its package index.*PIP_INDEX_URL"):
        hub.resolve("small")
    assert files(cache) == NOTHING_BUT_THE_LOCK


def test_an_interpreter_without_pip_says_how_to_get_it(small: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HubError, match="-m ensurepip"):
        hub.resolve("small")


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    small: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(HubError, match=r"needs 1 MB of room.*FRIENDLI_CACHE"):
        hub.resolve("small")
    assert files(cache) == NOTHING_BUT_THE_LOCK


def test_a_disk_that_fills_up_meanwhile_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(HubError, match=r"disk of .* is full; free some room"),
        cache_module.writing(tmp_path, 0, Silent()),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(b"x" * 100_000)
    assert files(tmp_path) == [".lock"]


def test_a_disk_that_pip_fills_up_is_told(small: KnownModel) -> None:
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert "disk became full" in wheel._explain(small, said)


@pytest.mark.parametrize("place", ["/dev/null/cache", "/proc/cache", "/sys/cache"])
def test_a_cache_that_cannot_be_written_to_is_told(
    small: KnownModel, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("FRIENDLI_CACHE", place)
    with pytest.raises(HubError, match=r"cache folder .*FRIENDLI_CACHE to a folder that"):
        hub.resolve("small")


def test_a_model_in_a_cache_that_cannot_be_written_to_is_found(
    small: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hub.resolve("small")
    monkeypatch.setattr(Path, "mkdir", None)
    assert hub.resolve("small") == path


def test_two_starts_at_once_both_get_the_model(small: KnownModel, cache: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from friendli_endpoint import hub; from friendli_endpoint.hub import known; import small_wheel\n"
        "known.KNOWN['small'] = small_wheel.build(Path(sys.argv[2]))\n"
        "print(hub.resolve('small', progress=hub.terminal_progress()))\n"
    )
    indexes = [cache.parent / f"index{number}" for number in range(2)]
    for index in indexes:
        index.mkdir()
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(Path(__file__).parent), str(index)],
            env={**os.environ, "PIP_FIND_LINKS": str(index)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in indexes
    ]
    outputs = [start.communicate(timeout=60)[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert outputs == [f"{cache}/models/small/Small.gguf\n"] * 2
    assert files(cache) == ONLY_THE_MODEL


def test_a_second_start_waits_for_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys\n"
            "file = open(sys.argv[1], 'wb'); fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True); sys.stdin.read()",
            str(tmp_path / ".lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"

    class LetGo(Silent):
        def note(self, sentence: str) -> None:
            self.said = sentence
            holder.communicate()

    progress = LetGo()
    with cache_module.writing(tmp_path, 0, progress):
        assert "waiting" in progress.said


def test_ctrl_c_during_the_download_ends_pip_and_leaves_nothing(
    small: KnownModel, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "pip"
    slow.mkdir()
    # In pip's place: says that it is there, then waits.
    (slow / "__init__.py").touch()
    (slow / "__main__.py").write_text(
        f"import os, signal\nwith open({str(tmp_path / 'pid')!r}, 'w') as file:\n    file.write(str(os.getpid()))\n"
        "signal.pause()"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def interrupt(folder: Path) -> int:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(wheel, "_bytes_below", interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub.resolve("small")
    assert files(cache) == NOTHING_BUT_THE_LOCK
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_killed_start_leaves_the_next_one_free(small: KnownModel, cache: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom friendli_endpoint.hub.cache import writing\n"
        "from friendli_endpoint.hub.progress import Silent\n"
        "with writing(Path(sys.argv[1]), 0, Silent()) as work:\n"
        "    (work / 'half').write_bytes(b'x'); print('there', flush=True); sys.stdin.read()\n"
    )
    folder = cache / "models" / "small"
    start = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert start.stdout is not None
    assert start.stdout.readline() == b"there\n"
    start.send_signal(signal.SIGKILL)
    start.communicate()
    assert len(files(cache)) == 2
    hub.resolve("small")
    assert files(cache) == ONLY_THE_MODEL


def test_a_log_gets_two_lines(small: KnownModel, capsys: pytest.CaptureFixture[str]) -> None:
    hub.resolve("small", progress=hub.terminal_progress())
    assert capsys.readouterr().err.splitlines() == ["fetching small (0.3 MB) ...", "fetching small: done"]


def test_progress_reports_the_bytes_that_pip_has_written(small: KnownModel) -> None:
    reports: list[int] = []

    class Reporting(Lines):
        def transfer(self, title: str, total: int):
            from contextlib import nullcontext

            return nullcontext(reports.append)

    hub.resolve("small", progress=Reporting(sys.stderr))
    assert reports[-1] == small.wheel_size
    assert reports == sorted(reports)


@pytest.mark.real
def test_the_default_model_is_the_file_that_it_should_be(default_model: Path) -> None:
    assert wheel._sha256(default_model) == known.KNOWN["smollm2-135m"].file_sha256
