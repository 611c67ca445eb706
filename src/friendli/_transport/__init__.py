"""The two drivers of a call's life, one blocking, one async. Only this package imports the HTTP library."""

from friendli._transport.bodies import AsyncBody, BodyBrokenError, SyncBody
from friendli._transport.drivers import AsyncClient, AsyncTransport, SyncClient, SyncTransport

__all__ = [
    "AsyncBody",
    "AsyncClient",
    "AsyncTransport",
    "BodyBrokenError",
    "SyncBody",
    "SyncClient",
    "SyncTransport",
]
