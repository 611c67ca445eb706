"""From settings to what is served: the model's files, its tokenizer, an engine that has not started yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from friendli_endpoint import hub
from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.text import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.config import EndpointSettings, Settings


def load(settings: Settings, progress: hub.Progress | None = None) -> Deployment:
    """Fetch the model if need be and prepare the deployment. Raises `HubError` or `ModelError`."""
    endpoint_id, endpoint = settings.endpoint
    path = hub.resolve(endpoint.model, progress=progress)
    return Deployment(endpoint_id, EngineProcess(_options(path, endpoint)), load_tokenizer(path))


def _options(path: Path, endpoint: EndpointSettings) -> EngineOptions:
    options = EngineOptions(
        model=str(path),
        weights=endpoint.weights,
        kv=endpoint.kv,
        threads=endpoint.threads,
        kv_tokens=endpoint.kv_tokens,
    )
    return options if endpoint.max_rows is None else msgspec.structs.replace(options, max_rows=endpoint.max_rows)
