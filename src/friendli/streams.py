"""What `stream` returns: the events of a completion as they come."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from friendli._closing import AsyncClosing, Closing
from friendli._transport import BodyBrokenError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from friendli._call import Reply
    from friendli._reader import StreamReader
    from friendli._transport import AsyncBody, SyncBody
    from friendli._watch import Watch
    from friendli.models.response import CompletionsResult
    from friendli.models.stream import StreamedCompletionsResult


class _Answered:
    """What is known of a stream without reading on."""

    def __init__(self, reply: Reply, watch: Watch) -> None:
        from friendli._reader import StreamReader

        self._reply = reply
        self._reader = StreamReader(reply, watch)

    @property
    def request_id(self) -> str | None:
        """The endpoint's name for this request."""
        return self._reply.request_id

    @property
    def response(self) -> object:
        """The HTTP library's response."""
        return self._reply.raw()

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the call's begin, retries included, to the first token; None before it."""
        return self._reader.time_to_first_token


class CompletionStream(_Answered, Closing):
    """Iterate it for events: one per token, then one `complete` event. Also a context manager that closes it.

    Raises `StreamTruncatedError` if the stream breaks off, `APIStreamError` if the endpoint reports a failure in it.
    Dropping it half read closes the connection; reading it to the end gives the connection back for the next call.
    """

    def __init__(self, reply: Reply, body: SyncBody, watch: Watch) -> None:
        super().__init__(reply, watch)
        self._body = body
        self._events = _events(body, self._reader)

    def __iter__(self) -> Iterator[StreamedCompletionsResult]:
        return self._events

    def __next__(self) -> StreamedCompletionsResult:
        return next(self._events)

    def final(self) -> CompletionsResult:
        """Read what is left, and give the whole as `complete` would have; the same again if called again.

        Raises what reading raises; `StreamTruncatedError` if the stream was closed before its end;
        `InvalidResponseError` if it carried no usage, without which there is no result.
        """
        for _ in self._events:
            pass
        return self._reader.result()

    def text(self) -> str:
        """Read what is left, and give the whole text of the first choice; raises as `final` does."""
        for _ in self._events:
            pass
        return self._reader.text()

    def close(self) -> None:
        """Stop here; iterating further ends at once. Closing again does nothing."""
        if not self._body.is_ours:  # forked: what the parent's thread does with it goes on there
            return
        with suppress(ValueError):  # another thread waits in it, and is woken by the end of the connection
            self._events.close()
        self._body.close()
        self._reader.closed()


class AsyncCompletionStream(_Answered, AsyncClosing):
    """The async twin of `CompletionStream`."""

    def __init__(self, reply: Reply, body: AsyncBody, watch: Watch) -> None:
        super().__init__(reply, watch)
        self._body = body
        self._events = _events_async(body, self._reader)

    def __aiter__(self) -> AsyncIterator[StreamedCompletionsResult]:
        return self._events

    async def __anext__(self) -> StreamedCompletionsResult:
        return await anext(self._events)

    async def final(self) -> CompletionsResult:
        """The async twin of `CompletionStream.final`."""
        async for _ in self._events:
            pass
        return self._reader.result()

    async def text(self) -> str:
        """The async twin of `CompletionStream.text`."""
        async for _ in self._events:
            pass
        return self._reader.text()

    async def aclose(self) -> None:
        """Stop here; iterating further ends at once. Closing again does nothing."""
        if not self._body.is_ours:  # forked: what the parent's loop does with it goes on there
            return
        with suppress(RuntimeError):  # another task waits in it, and is woken by the end of the connection
            await self._events.aclose()
        await self._body.aclose()
        self._reader.closed()


# Neither generator may refer to its stream: the cycle would keep an abandoned connection open until a collection.


def _events(body: SyncBody, reader: StreamReader) -> Generator[StreamedCompletionsResult]:
    try:
        while (chunk := body.receive()) is not None:
            yield from reader.feed(chunk)
            if reader.done:
                return
        raise reader.broken()
    except BodyBrokenError as error:
        raise reader.broken(error.failure) from error.failure.cause
    finally:
        if reader.done:  # whoever stops at the last event has read to the end, too
            body.drain()
        body.close()
        reader.closed()


async def _events_async(body: AsyncBody, reader: StreamReader) -> AsyncGenerator[StreamedCompletionsResult]:
    try:
        while (chunk := await body.receive()) is not None:
            for event in reader.feed(chunk):
                yield event
            if reader.done:
                return
        raise reader.broken()
    except BodyBrokenError as error:
        raise reader.broken(error.failure) from error.failure.cause
    finally:
        if reader.done:  # whoever stops at the last event has read to the end, too
            await body.drain()
        await body.aclose()
        reader.closed()
