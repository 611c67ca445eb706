"""`dedicated.completions`: one request body in, a result or a stream of events out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack, cast, overload

from friendli._answers import EVENT_STREAM, expect_content, result_of
from friendli._settings import CallOptions
from friendli.errors import InvalidRequestError
from friendli.streams import AsyncCompletionStream, CompletionStream

if TYPE_CHECKING:
    from friendli._call import Call
    from friendli._settings import Settings
    from friendli._transport import AsyncTransport, SyncTransport
    from friendli.models.fields import CompletionsFields
    from friendli.models.request import (
        CompletionsBody,
        DedicatedCompletionsCompleteBody,
        DedicatedCompletionsStreamBody,
    )
    from friendli.models.response import CompletionsResult

    Body = TypeVar("Body", bound=CompletionsBody)

    class Keywords(CompletionsFields, CallOptions):
        """A request's fields and a call's options, as keywords."""


class SyncCompletions:
    """Text from a prompt, blocking."""

    def __init__(self, settings: Settings, transport: SyncTransport) -> None:
        self._settings = settings
        self._transport = transport

    @overload
    def complete(
        self,
        *,
        dedicated_completions_complete_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> CompletionsResult: ...
    @overload
    def complete(self, **fields: Unpack[Keywords]) -> CompletionsResult: ...
    def complete(self, *, dedicated_completions_complete_body: object = None, **given: object) -> CompletionsResult:
        """Generate text and return it whole.

        The request is `dedicated_completions_complete_body`, a dict or a model, or its fields as keywords. Options of
        the call are `x_friendli_team`, `retries`, `server_url`, `timeout_ms` and `http_headers`.
        Raises `SDKError`: `InvalidRequestError` before anything is sent, `APIError` for what the endpoint refuses.
        """
        call = _complete_call(self._settings, dedicated_completions_complete_body, given)
        return result_of(self._transport.run(call))

    @overload
    def stream(
        self,
        *,
        dedicated_completions_stream_body: DedicatedCompletionsStreamBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> CompletionStream: ...
    @overload
    def stream(self, **fields: Unpack[Keywords]) -> CompletionStream: ...
    def stream(self, *, dedicated_completions_stream_body: object = None, **given: object) -> CompletionStream:
        """Generate text and return its events as they come; arguments and errors are those of `complete`."""
        call = _stream_call(self._settings, dedicated_completions_stream_body, given)
        reply = self._transport.run(call)
        expect_content(reply, EVENT_STREAM)
        return CompletionStream(reply, self._transport.body(reply, call))


class _AsyncMethods:
    """Text from a prompt, to await."""

    def __init__(self, settings: Settings, transport: AsyncTransport) -> None:
        self._settings = settings
        self._async_transport = transport

    @overload
    async def complete_async(
        self,
        *,
        dedicated_completions_complete_body: DedicatedCompletionsCompleteBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> CompletionsResult: ...
    @overload
    async def complete_async(self, **fields: Unpack[Keywords]) -> CompletionsResult: ...
    async def complete_async(
        self, *, dedicated_completions_complete_body: object = None, **given: object
    ) -> CompletionsResult:
        """The async twin of `complete`: generate text and return it whole."""
        call = _complete_call(self._settings, dedicated_completions_complete_body, given)
        return result_of(await self._async_transport.run(call))

    @overload
    async def stream_async(
        self,
        *,
        dedicated_completions_stream_body: DedicatedCompletionsStreamBody | CompletionsFields,
        **options: Unpack[CallOptions],
    ) -> AsyncCompletionStream: ...
    @overload
    async def stream_async(self, **fields: Unpack[Keywords]) -> AsyncCompletionStream: ...
    async def stream_async(
        self, *, dedicated_completions_stream_body: object = None, **given: object
    ) -> AsyncCompletionStream:
        """The async twin of `stream`: generate text and return its events as they come."""
        call = _stream_call(self._settings, dedicated_completions_stream_body, given)
        reply = await self._async_transport.run(call)
        expect_content(reply, EVENT_STREAM)
        return AsyncCompletionStream(reply, self._async_transport.body(reply, call))


class AsyncCompletions(_AsyncMethods):
    """Text from a prompt, to await: `complete` and `stream`."""

    complete = _AsyncMethods.complete_async
    stream = _AsyncMethods.stream_async


class FriendliCompletions(SyncCompletions, _AsyncMethods):
    """Text from a prompt: `complete` and `stream`, or `complete_async` and `stream_async` to await."""

    def __init__(self, settings: Settings, transport: SyncTransport, async_transport: AsyncTransport) -> None:
        SyncCompletions.__init__(self, settings, transport)
        _AsyncMethods.__init__(self, settings, async_transport)


def _complete_call(settings: Settings, body: object, given: dict[str, object]) -> Call:
    from friendli.models.request import DedicatedCompletionsCompleteBody

    options, fields = _parted(given)
    checked = _checked(DedicatedCompletionsCompleteBody, body, fields)
    return settings.call(_content(checked), options, stream=False)


def _stream_call(settings: Settings, body: object, given: dict[str, object]) -> Call:
    from friendli.models.request import DedicatedCompletionsStreamBody, StreamOptions

    options, fields = _parted(given)
    checked = _checked(DedicatedCompletionsStreamBody, body, fields)
    if checked.stream_options is None:
        # The closing event promises the usage, which the endpoint sends only when asked.
        checked = checked.model_copy(update={"stream_options": StreamOptions(include_usage=True)})
    return settings.call(_content(checked), options, stream=True)


def _parted(given: dict[str, object]) -> tuple[CallOptions, dict[str, object]]:
    options = {name: value for name, value in given.items() if name in CallOptions.__annotations__}
    fields = {name: value for name, value in given.items() if name not in options}
    return cast("CallOptions", options), fields


def _checked(kind: type[Body], body: object, fields: dict[str, object]) -> Body:
    """The body as a model of `kind`; raises `InvalidRequestError`."""
    from pydantic import BaseModel, ValidationError

    from friendli.models.problems import first_problem

    if body is not None and fields:
        raise InvalidRequestError(f"give the body or its fields as keywords, not both: {', '.join(sorted(fields))}")
    if isinstance(body, kind):
        return body
    raw = body.model_dump(exclude_none=True) if isinstance(body, BaseModel) else fields if body is None else body
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problem = first_problem(error)
        raise InvalidRequestError(problem.message, field=problem.field) from None


def _content(body: CompletionsBody) -> bytes:
    return body.model_dump_json(exclude_none=True).encode()
