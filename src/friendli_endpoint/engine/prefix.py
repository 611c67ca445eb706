"""Keys of prompt blocks: equal keys mean equal tokens, everything before them included."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli_endpoint.engine.blocks import BlockKey, BlockPool
    from friendli_endpoint.engine.sequence import Sequence
    from friendli_endpoint.engine.vocabulary import Request


def prompt_keys(request: Request, block_size: int) -> list[BlockKey]:
    """One key per full block of the prompt, each chained to the one before.

    The chain starts from the request's scope and adapter: KV of another adapter is other KV, and what a team has sent
    must not be told by another team's timing. Digests are cryptographic, so nobody can forge a collision.
    """
    key = blake2b(repr((request.scope, request.adapter)).encode(), digest_size=16).digest()
    keys = []
    for end in range(block_size, len(request.prompt) + 1, block_size):
        tokens = array("q", request.prompt[end - block_size : end]).tobytes()
        key = blake2b(key + tokens, digest_size=16).digest()
        keys.append(key)
    return keys


def cached_blocks(sequence: Sequence, pool: BlockPool, block_size: int) -> list[int]:
    """The blocks of the longest prefix of the prompt that the pool still has.

    What is left to compute is at least two tokens, as for any chunk of a prompt (see `Sequence.chunk`).
    """
    blocks: list[int] = []
    for key in sequence.keys[: max(0, (sequence.prompt_length - 2) // block_size)]:
        block = pool.find(key)
        if block is None:
            break
        blocks.append(block)
    return blocks
