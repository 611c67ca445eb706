"""Keys of prompt blocks: equal keys mean equal KV, everything before them included."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli_endpoint.engine.blocks import BlockKey
    from friendli_endpoint.engine.vocabulary import Request


def prompt_keys(request: Request, block_size: int) -> list[BlockKey]:
    """One key per full block of the prompt, each chained to the one before.

    The chain starts from everything beside the tokens that decides the KV: the adapter, replaced embeddings, and the
    scope, because what a team has sent must not be told by another team's timing. Digests are cryptographic, so nobody
    can forge a collision.
    """
    replaced = request.embeddings and (request.embeddings.positions, request.embeddings.values)
    key = blake2b(repr((request.scope, request.adapter, replaced)).encode(), digest_size=16).digest()
    keys = []
    for end in range(block_size, len(request.prompt) + 1, block_size):
        tokens = array("q", request.prompt[end - block_size : end]).tobytes()
        key = blake2b(key + tokens, digest_size=16).digest()
        keys.append(key)
    return keys
