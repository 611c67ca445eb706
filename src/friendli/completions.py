"""`dedicated.completions`: one request body in, a result or a stream of events out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from friendli._methods import AsyncMethods, AwaitedMethods, SyncMethods
from friendli.raw import RawResponse
from friendli.streams import AsyncCompletionStream, CompletionStream

if TYPE_CHECKING:
    from friendli._call import Reply
    from friendli._settings import Settings
    from friendli._transport import AsyncTransport, SyncTransport
    from friendli._watch import Watch
    from friendli.models.response import CompletionsResult

T = TypeVar("T")


class SyncCompletions(SyncMethods["CompletionsResult", CompletionStream]):
    """Text from a prompt, blocking: `complete` and `stream`."""

    def __init__(self, settings: Settings, transport: SyncTransport) -> None:
        super().__init__(settings, transport, _plain, _plain)

    @property
    def with_raw_response(self) -> SyncMethods[RawResponse[CompletionsResult], RawResponse[CompletionStream]]:
        """The same methods; what they return is a `RawResponse` around the result."""
        return SyncMethods(self._settings, self._transport, RawResponse, RawResponse)


class AsyncCompletions(AwaitedMethods["CompletionsResult", AsyncCompletionStream]):
    """Text from a prompt, to await: `complete` and `stream`."""

    def __init__(self, settings: Settings, transport: AsyncTransport) -> None:
        super().__init__(settings, transport, _plain, _plain)

    @property
    def with_raw_response(self) -> AwaitedMethods[RawResponse[CompletionsResult], RawResponse[AsyncCompletionStream]]:
        """The same methods; what they return is a `RawResponse` around the result."""
        return AwaitedMethods(self._settings, self._async_transport, RawResponse, RawResponse)


class FriendliCompletions(
    SyncMethods["CompletionsResult", CompletionStream], AsyncMethods["CompletionsResult", AsyncCompletionStream]
):
    """Text from a prompt: `complete` and `stream`, or `complete_async` and `stream_async` to await."""

    def __init__(self, settings: Settings, transport: SyncTransport, async_transport: AsyncTransport) -> None:
        SyncMethods.__init__(self, settings, transport, _plain, _plain)
        AsyncMethods.__init__(self, settings, async_transport, _plain, _plain)

    @property
    def with_raw_response(self) -> RawCompletions:
        """The same methods; what they return is a `RawResponse` around the result."""
        return RawCompletions(self._settings, self._transport, self._async_transport)


class RawCompletions(
    SyncMethods[RawResponse["CompletionsResult"], RawResponse[CompletionStream]],
    AsyncMethods[RawResponse["CompletionsResult"], RawResponse[AsyncCompletionStream]],
):
    """`FriendliCompletions.with_raw_response`."""

    def __init__(self, settings: Settings, transport: SyncTransport, async_transport: AsyncTransport) -> None:
        SyncMethods.__init__(self, settings, transport, RawResponse, RawResponse)
        AsyncMethods.__init__(self, settings, async_transport, RawResponse, RawResponse)


def _plain(reply: Reply, watch: Watch, answer: T) -> T:
    return answer
