"""LoRA adapters: from their files to changes that run in the batch."""

from friendli_endpoint.model.adapters.adapter import Adapter, LowRank
from friendli_endpoint.model.adapters.reading import read_adapter

__all__ = ["Adapter", "LowRank", "read_adapter"]
