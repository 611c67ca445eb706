"""Python environments of the peers, made on first use below `.reference/` from the pinned files in `peers/`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
HOME = ROOT / ".reference"


def peer_python(peer: str) -> Path:
    """The interpreter of the environment that `peers/<peer>.txt` describes; made anew when that file changes.

    The one of `ours` also when the project's own dependencies may have changed.
    """
    requirements = PEERS / f"{peer}.txt"
    project = (ROOT / "pyproject.toml").read_bytes() if peer == "ours" else b""
    key = hashlib.sha256(requirements.read_bytes() + project + sys.version.encode()).hexdigest()[:12]
    folder = HOME / f"bench-{peer}-{key}"
    if not (folder / ".complete").exists():
        print(f"making the environment of {peer} in {folder}", file=sys.stderr)
        _create(folder, requirements)
    return folder / "bin" / "python"


def pinned_version(peer: str) -> str:
    """The version of the peer itself in its requirement file."""
    for line in (PEERS / f"{peer}.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if name == peer:
            return version
    raise LookupError(f"peers/{peer}.txt does not pin {peer}")


def _create(folder: Path, requirements: Path) -> None:
    # Created in place, because an environment can't be moved; the marker says that it is whole.
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--quiet"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True, cwd=ROOT)
    (folder / ".complete").touch()
