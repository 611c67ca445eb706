"""The engine: requests in tokens, scheduled over paged KV, one forward a step, in a process of its own."""

from friendli_endpoint.engine.options import EngineOptions
from friendli_endpoint.engine.process import EngineProcess

__all__ = ["EngineOptions", "EngineProcess"]
