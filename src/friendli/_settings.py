"""What a client is told once and a call may override: from settings, options and a body to a `Call`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from friendli._answers import EVENT_STREAM, JSON
from friendli._call import Call, Limits
from friendli._checks import (
    address,
    bearer,
    environment,
    given,
    headers_of,
    hooks_of,
    log_hooks_of,
    params_of,
    path_of,
    retries_of,
    shown,
    team_of,
    timeout_of,
    token_of,
)
from friendli._forks import renew_after_fork
from friendli._retry import ConfiguredRetry, DefaultRetry, NoRetry, RetryBudget
from friendli._version import VERSION
from friendli.errors import InvalidRequestError
from friendli.utils import UNSET, Unset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from friendli._checks import Timeout, Token
    from friendli._log import Logger
    from friendli._retry import RetryPolicy
    from friendli.hooks import Hooks
    from friendli.models.request import CompletionsBody
    from friendli.utils import RetryConfig, TimeoutConfig

DEFAULT_SERVER = "https://api.friendli.ai"
COMPLETIONS_PATH = "/dedicated/v1/completions"

_USER_AGENT = f"friendli-python/{VERSION}"


class ClientOptions(TypedDict, total=False):
    """What a client is told once, beside its token and its HTTP client."""

    server_url: str | None
    """Where the endpoint is; may hold `{name}` parts. Left out: FRIENDLI_SERVER_URL, else the hosted service."""
    url_params: Mapping[str, str] | None
    """What the `{name}` parts of `server_url` stand for."""
    retry_config: RetryConfig | Unset | None
    """How to retry; None switches retries off. Left out, a call makes at most two retries, within a budget."""
    timeout_ms: Timeout | None
    """How long to wait: milliseconds, or a `utils.TimeoutConfig`."""
    x_friendli_team: str | None
    """The team to run as, in every call."""
    http_headers: Mapping[str, str] | None
    """Further headers of every call."""
    hooks: Hooks | Sequence[Hooks] | None
    """What to call as calls go on; see `friendli.hooks`."""
    debug_logger: Logger | None
    """Where to tell what calls do, without tokens and prompts. Left out: stderr if FRIENDLI_DEBUG is set."""
    completions_path: str | None
    """Where the operation is, below `server_url`, at servers that have it elsewhere: `/v1/completions`."""
    server_idx: int | None
    """The official client's number of a server; there is one, 0."""


class CallOptions(TypedDict, total=False):
    """What one call may say beside its body."""

    x_friendli_team: str | None
    """The team to run as; None leaves it to the client."""
    retries: RetryConfig | Unset | None
    """How to retry; None switches retries off. Left out, the client decides."""
    server_url: str | None
    """Another server for this call."""
    timeout_ms: Timeout | None
    """How long to wait: milliseconds, or a `utils.TimeoutConfig`."""
    http_headers: Mapping[str, str] | None
    """Further headers; they win over all others."""


@dataclass(frozen=True)
class Settings:
    """A client's settings, environment included; `token` and headers never show in a repr."""

    token: Token | None = field(repr=False)
    server_url: str
    url_params: Mapping[str, str]
    team: str | None
    headers: Mapping[str, str] = field(repr=False)
    retries: RetryConfig | Unset | None
    timeout: TimeoutConfig
    path: str
    hooks: tuple[Hooks, ...] = field(repr=False)
    budget: RetryBudget = field(repr=False, default_factory=RetryBudget)

    def __post_init__(self) -> None:
        renew_after_fork(self.budget)

    @classmethod
    def of(cls, token: Token | None, options: ClientOptions) -> Settings:
        """Settings from a constructor's arguments and the environment; raises `InvalidRequestError`."""
        if unknown := options.keys() - ClientOptions.__annotations__.keys():
            raise TypeError(f"unknown argument {min(unknown)!r}")
        if options.get("server_idx") not in (None, 0):
            raise InvalidRequestError(
                "server_idx should be 0: there is one server; give server_url", field="server_idx"
            )
        params = params_of(options.get("url_params"))
        server = given(options.get("server_url"), environment("FRIENDLI_SERVER_URL") or DEFAULT_SERVER)
        return cls(
            token=token_of(environment("FRIENDLI_TOKEN") if token is None else token),
            server_url=address(server, params),
            url_params=params,
            team=team_of(options.get("x_friendli_team")),
            headers=MappingProxyType(headers_of(options.get("http_headers"))),
            retries=retries_of(options.get("retry_config", UNSET), "retry_config"),
            timeout=timeout_of(options.get("timeout_ms")),
            path=path_of(given(options.get("completions_path"), COMPLETIONS_PATH)),
            hooks=(*hooks_of(options.get("hooks")), *log_hooks_of(options.get("debug_logger"))),
        )

    def completion(self, body: CompletionsBody, options: CallOptions, *, stream: bool) -> Call:
        """The call that generates text for `body`; raises `InvalidRequestError` for wrong options."""
        content = body.model_dump_json(exclude_none=True).encode()
        call = self.call(content, options, stream=stream, path=self.path)
        if not self.hooks:
            return call
        from friendli._hooked import HookedWatch
        from friendli.hooks import CallInfo

        key = call.headers["idempotency-key"]
        info = CallInfo("stream" if stream else "complete", shown(call.url), key, body)
        return replace(call, watched=partial(HookedWatch, info, self.hooks))

    def call(
        self, content: bytes, options: CallOptions, *, path: str, stream: bool = False, method: str = "POST"
    ) -> Call:
        """The call of one body, which retries may send again; raises `InvalidRequestError` for wrong options."""
        timeout = timeout_of(given(options.get("timeout_ms"), self.timeout))
        total = (timeout.stream_total_ms if stream else timeout.total_ms) / 1000
        patience = min(total, timeout.total_ms / 1000)
        return Call(
            url=self._address(given(options.get("server_url"), self.server_url)) + path,
            headers=self._headers(options, stream=stream),
            content=content,
            stream=stream,
            limits=Limits(timeout.connect_ms / 1000, timeout.between_bytes_ms / 1000, total),
            policy=self._policy(options, patience),
            patience=patience,
            authorization=self._authorization,
            method=method,
        )

    def _address(self, url: object) -> str:
        checked = address(url, self.url_params)
        if self.token and "@" in urlsplit(checked).netloc:
            message = "server_url names a user, who would take the token's place: give one of the two"
            raise InvalidRequestError(message, field="server_url")
        return checked

    def _headers(self, options: CallOptions, *, stream: bool) -> dict[str, str]:
        team = team_of(options.get("x_friendli_team")) or self.team
        said = {"x-friendli-team": team} if team else {}
        return {
            "accept": EVENT_STREAM if stream else JSON,
            "content-type": JSON,
            "user-agent": _USER_AGENT,
            # The same on every attempt, so that a server can tell a retry from a second request.
            "idempotency-key": os.urandom(16).hex(),
            **self.headers,
            **headers_of(said),
            **headers_of(options.get("http_headers")),
        }

    def _policy(self, options: CallOptions, total: float) -> RetryPolicy:
        config = retries_of(options.get("retries", UNSET), "retries")
        if isinstance(config, Unset):
            config = self.retries
        if isinstance(config, Unset):
            return DefaultRetry(self.budget, total)
        if config is None or config.strategy != "backoff":
            return NoRetry()
        return ConfiguredRetry(config, total)

    def _authorization(self) -> str | None:
        try:
            token = self.token() if callable(self.token) else self.token
        except StopIteration as error:  # would pass for the end of the call
            raise InvalidRequestError("the token's callable has no token any more", field="token") from error
        return bearer(token) if token else None
