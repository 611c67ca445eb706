"""A model's name -> its files on disk, fetched once into the user's cache."""

from friendli_endpoint.hub.cache import cache_dir
from friendli_endpoint.hub.names import CatalogEntry, catalog, resolve
from friendli_endpoint.hub.progress import Progress, Silent, terminal_progress

__all__ = ["CatalogEntry", "Progress", "Silent", "cache_dir", "catalog", "resolve", "terminal_progress"]
