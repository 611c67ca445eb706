"""What one request is charged with: entered in the ledger, its team's quota and its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from friendli_endpoint.server.chunks import TokenChunk, UsageChunk

if TYPE_CHECKING:
    from friendli_endpoint.server.admission import Place
    from friendli_endpoint.server.answer import Answer
    from friendli_endpoint.server.chunks import Chunk
    from friendli_endpoint.server.telemetry import RequestRecord
    from friendli_endpoint.usage import Entry, Outcome


class Bill:
    """The reader of an answer pays for the tokens that it is the first to get, and for a prompt that is read for it.

    So a generation that is read again, or gone on with, is charged once in all.
    """

    def __init__(self, answer: Answer, entry: Entry, place: Place, record: RequestRecord) -> None:
        self._answer = answer
        self._entry = entry
        self._place = place
        self._record = record
        self._position = 0  # tokens of the answer that this reader has got
        self.charged = UsageChunk(0, 0, 0)

    async def deliver(self, batch: list[Chunk]) -> None:
        """Charge for chunks that are about to be sent. Behind the last of them, the line of the ledger is committed."""
        tokens = sum(isinstance(chunk, TokenChunk) for chunk in batch)
        self._position += tokens
        self._place.begin()  # who reads what others have asked for has waited for nothing
        self._record.sampled(tokens)
        self._charge()
        if isinstance(batch[-1], UsageChunk):
            await self._entry.close("finished")

    def end(self, outcome: Outcome) -> None:
        """Charge for what was done for a request that ends so; after the last chunk this does nothing."""
        self._charge()
        self._entry.abandon(outcome)

    def _charge(self) -> None:
        new = self._answer.charge(self._position)
        self.charged += new
        if new.total_tokens:
            self._place.used(new.total_tokens)
        prompt, cached, completion = (
            self.charged.prompt_tokens,
            self.charged.cached_tokens,
            self.charged.completion_tokens,
        )
        self._entry.count(prompt=prompt, cached=cached, completion=completion)
        self._record.used(prompt, cached, completion)
