"""Python environments of others, made on first use below `.reference/` from pinned files, such as those in `peers/`."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
HOME = ROOT / ".reference"


def peer_python(peer: str) -> Path:
    """The interpreter of the environment that `peers/<peer>.txt` describes.

    The one of `ours` is made anew also when the project's own dependencies may have changed.
    """
    also = (ROOT / "pyproject.toml").read_bytes() if peer == "ours" else b""
    return python_with(f"bench-{peer}", PEERS / f"{peer}.txt", also)


def python_with(name: str, requirements: Path, also: bytes = b"") -> Path:
    """The interpreter of an environment that has `requirements` alone; made on first use, anew when they change.

    So it is when `also` changes. Safe when several start at once.
    """
    key = hashlib.sha256(requirements.read_bytes() + also + sys.version.encode()).hexdigest()[:12]
    folder = HOME / f"{name}-{key}"
    with _locked(HOME / f"{name}-{key}.lock"):
        if not (folder / ".complete").exists():
            print(f"making the environment {folder.name}", file=sys.stderr)
            _create(folder, requirements)
    return folder / "bin" / "python"


def pinned_version(peer: str) -> str:
    """The version of the peer itself in its requirement file."""
    for line in (PEERS / f"{peer}.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if name == peer:
            return version
    raise LookupError(f"peers/{peer}.txt does not pin {peer}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(folder: Path, requirements: Path) -> None:
    # Created in place, because an environment can't be moved; the marker says that it is whole.
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--quiet"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True, cwd=ROOT)
    (folder / ".complete").touch()
