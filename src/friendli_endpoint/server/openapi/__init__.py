"""GET /openapi.json: the interface, made from the models that validate and answer."""

from friendli_endpoint.server.openapi.document import OpenApi, describe

__all__ = ["OpenApi", "describe"]
