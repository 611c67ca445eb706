"""The two operations, blocking and to await, whatever their answers are wrapped in.

`Whole` is what `complete` returns, `Events` what `stream` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, Unpack, overload

from friendli._answers import EVENT_STREAM, expect_content, result_of
from friendli._arguments import complete_call, stream_call
from friendli.streams import AsyncCompletionStream, CompletionStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from friendli._call import Reply
    from friendli._settings import CallOptions, Settings
    from friendli._transport import AsyncTransport, SyncTransport
    from friendli._watch import Watch
    from friendli.models.fields import CompletionsFields
    from friendli.models.request import DedicatedCompletionsCompleteBody, DedicatedCompletionsStreamBody
    from friendli.models.response import CompletionsResult

    class Keywords(CompletionsFields, CallOptions):
        """A request's fields and a call's options, as keywords."""


Whole = TypeVar("Whole")
Events = TypeVar("Events")


class SyncMethods(Generic[Whole, Events]):
    """Text from a prompt, blocking."""

    def __init__(
        self,
        settings: Settings,
        transport: SyncTransport,
        whole: Callable[[Reply, Watch, CompletionsResult], Whole],
        events: Callable[[Reply, Watch, CompletionStream], Events],
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._whole = whole
        self._events = events

    @overload
    def complete(
        self,
        *,
        dedicated_completions_complete_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Whole: ...
    @overload
    def complete(
        self,
        *,
        dedicated_completions_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Whole: ...
    @overload
    def complete(self, **fields: Unpack[Keywords]) -> Whole: ...
    def complete(self, *, dedicated_completions_complete_body: object = None, **given: object) -> Whole:
        """Generate text and return it whole.

        The request is `dedicated_completions_complete_body`, a dict or a model, or its fields as keywords; later
        releases of the official SDK name the body `dedicated_completions_body`, which is taken, too. Options of the
        call are `x_friendli_team`, `retries`, `server_url`, `timeout_ms` and `http_headers`.
        Raises `SDKError`: `InvalidRequestError` before anything is sent, `APIError` for what the endpoint refuses.
        """
        call = complete_call(self._settings, dedicated_completions_complete_body, given)
        return self._transport.run(call, lambda reply, watch: self._whole(reply, watch, _result(reply, watch)))

    @overload
    def stream(
        self,
        *,
        dedicated_completions_stream_body: DedicatedCompletionsStreamBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Events: ...
    @overload
    def stream(self, **fields: Unpack[Keywords]) -> Events: ...
    def stream(self, *, dedicated_completions_stream_body: object = None, **given: object) -> Events:
        """Generate text and return its events as they come; arguments and errors are those of `complete`."""
        call = stream_call(self._settings, dedicated_completions_stream_body, given)

        def opened(reply: Reply, watch: Watch) -> Events:
            expect_content(reply, EVENT_STREAM)
            body = self._transport.body(reply, watch.now, watch.begun + call.limits.total)
            return self._events(reply, watch, CompletionStream(reply, body, watch))

        return self._transport.run(call, opened)


class AsyncMethods(Generic[Whole, Events]):
    """Text from a prompt, to await."""

    def __init__(
        self,
        settings: Settings,
        transport: AsyncTransport,
        whole: Callable[[Reply, Watch, CompletionsResult], Whole],
        events: Callable[[Reply, Watch, AsyncCompletionStream], Events],
    ) -> None:
        self._settings = settings
        self._async_transport = transport
        self._async_whole = whole
        self._async_events = events

    @overload
    async def complete_async(
        self,
        *,
        dedicated_completions_complete_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Whole: ...
    @overload
    async def complete_async(
        self,
        *,
        dedicated_completions_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Whole: ...
    @overload
    async def complete_async(self, **fields: Unpack[Keywords]) -> Whole: ...
    async def complete_async(self, *, dedicated_completions_complete_body: object = None, **given: object) -> Whole:
        """The async twin of `complete`: generate text and return it whole."""
        call = complete_call(self._settings, dedicated_completions_complete_body, given)
        return await self._async_transport.run(
            call, lambda reply, watch: self._async_whole(reply, watch, _result(reply, watch))
        )

    @overload
    async def stream_async(
        self,
        *,
        dedicated_completions_stream_body: DedicatedCompletionsStreamBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> Events: ...
    @overload
    async def stream_async(self, **fields: Unpack[Keywords]) -> Events: ...
    async def stream_async(self, *, dedicated_completions_stream_body: object = None, **given: object) -> Events:
        """The async twin of `stream`: generate text and return its events as they come."""
        call = stream_call(self._settings, dedicated_completions_stream_body, given)

        def opened(reply: Reply, watch: Watch) -> Events:
            expect_content(reply, EVENT_STREAM)
            body = self._async_transport.body(reply, watch.now, watch.begun + call.limits.total)
            return self._async_events(reply, watch, AsyncCompletionStream(reply, body, watch))

        return await self._async_transport.run(call, opened)


class AwaitedMethods(AsyncMethods[Whole, Events]):
    """The same under the names `complete` and `stream`."""

    complete = AsyncMethods[Whole, Events].complete_async
    stream = AsyncMethods[Whole, Events].stream_async


def _result(reply: Reply, watch: Watch) -> CompletionsResult:
    result = result_of(reply)
    watch.ended(result, finished=True)
    return result
