"""Who may: the tokens that were created, and what each of them allows."""

from friendli_endpoint.access.identity import Identity, Scope
from friendli_endpoint.access.token import Token, prefix_of
from friendli_endpoint.access.tokens import TokenStore

__all__ = ["Identity", "Scope", "Token", "TokenStore", "prefix_of"]
