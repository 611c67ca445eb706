"""From settings to what is served: the model's files, its tokenizer, an engine that has not started yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from friendli_endpoint import hub
from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.errors import AdapterError, HubError
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.routes import ConfiguredAdapter
from friendli_endpoint.text import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from friendli_endpoint.config import EndpointSettings, Settings


def load(settings: Settings, progress: hub.Progress | None = None) -> tuple[Deployment, ...]:
    """Fetch adapters and models if need be and prepare the deployments.

    Raises `HubError`, `ModelError`, or `AdapterError`; what is about an adapter names its route.
    """
    return tuple(_load(endpoint_id, endpoint, progress) for endpoint_id, endpoint in settings.endpoints.items())


def _load(endpoint_id: str, endpoint: EndpointSettings, progress: hub.Progress | None) -> Deployment:
    adapters = tuple(_configured(*adapter, progress) for adapter in endpoint.adapters.items())
    path = hub.resolve(endpoint.model, progress=progress)
    engine = EngineProcess(_options(path, endpoint), hang_seconds=endpoint.hang_seconds)
    return Deployment(endpoint_id, engine, load_tokenizer(path), adapters, endpoint.max_adapters)


def _configured(route: str, source: str, progress: hub.Progress | None) -> ConfiguredAdapter:
    try:
        return ConfiguredAdapter(route, source, hub.resolve_adapter(source, progress=progress))
    except (AdapterError, HubError) as error:
        raise type(error)(f"adapter {route!r}: {error}") from error


def _options(path: Path, endpoint: EndpointSettings) -> EngineOptions:
    options = EngineOptions(
        model=str(path),
        weights=endpoint.weights,
        kv=endpoint.kv,
        threads=endpoint.threads,
        kv_tokens=endpoint.kv_tokens,
        adapters=endpoint.resident_adapters,
    )
    return options if endpoint.max_rows is None else msgspec.structs.replace(options, max_rows=endpoint.max_rows)
