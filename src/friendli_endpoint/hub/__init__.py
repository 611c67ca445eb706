"""A model's or an adapter's name -> its files on disk, fetched once into the user's cache."""

from friendli_endpoint.hub.cache import cache_dir
from friendli_endpoint.hub.names import CatalogEntry, catalog, resolve, resolve_adapter
from friendli_endpoint.hub.progress import Progress, Silent, terminal_progress

__all__ = [
    "CatalogEntry",
    "Progress",
    "Silent",
    "cache_dir",
    "catalog",
    "resolve",
    "resolve_adapter",
    "terminal_progress",
]
