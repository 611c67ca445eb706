"""A model on disk, as every reader gives it and the graph is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli_endpoint.files.stored import StoredTensor
    from friendli_endpoint.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Facts, and tensors under the names of `names.py`, whatever the format."""

    config: ModelConfig
    tensors: Mapping[str, StoredTensor]
