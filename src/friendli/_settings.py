"""What a client is told once and a call may override: from settings, options and a body to a `Call`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypedDict
from urllib.parse import urlsplit

from friendli._answers import EVENT_STREAM, JSON
from friendli._call import Call, Limits
from friendli._retry import ConfiguredRetry, DefaultRetry, NoRetry, RetryBudget
from friendli._version import VERSION
from friendli._watch import Listener
from friendli.errors import InvalidRequestError
from friendli.hooks import CallInfo, Hooks
from friendli.utils import UNSET, RetryConfig, TimeoutConfig, Unset

if TYPE_CHECKING:
    from friendli._log import Logger
    from friendli._retry import RetryPolicy
    from friendli.models.request import CompletionsBody

Token: TypeAlias = str | Callable[[], str]
Timeout: TypeAlias = int | TimeoutConfig

DEFAULT_SERVER = "https://api.friendli.ai"
COMPLETIONS_PATH = "/dedicated/v1/completions"

_USER_AGENT = f"friendli-python/{VERSION}"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


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

    @classmethod
    def of(cls, token: Token | None, options: ClientOptions) -> Settings:
        """Settings from a constructor's arguments and the environment; raises `InvalidRequestError`."""
        if unknown := options.keys() - ClientOptions.__annotations__.keys():
            raise TypeError(f"unknown argument {min(unknown)!r}")
        if options.get("server_idx") not in (None, 0):
            raise InvalidRequestError(
                "server_idx should be 0: there is one server; give server_url", field="server_idx"
            )
        params = dict(options.get("url_params") or {})
        server = options.get("server_url") or _environment("FRIENDLI_SERVER_URL") or DEFAULT_SERVER
        return cls(
            token=_environment("FRIENDLI_TOKEN") if token is None else token,
            server_url=_server(server, params),
            url_params=MappingProxyType(params),
            team=options.get("x_friendli_team"),
            headers=MappingProxyType(_checked_headers(options.get("http_headers") or {})),
            retries=options.get("retry_config", UNSET),
            timeout=_timeout(options.get("timeout_ms")),
            path=_path(options.get("completions_path") or COMPLETIONS_PATH),
            hooks=(*_hooks(options.get("hooks")), *_log_hooks(options.get("debug_logger"))),
        )

    def completion(self, body: CompletionsBody, options: CallOptions, *, stream: bool) -> Call:
        """The call that generates text for `body`; raises `InvalidRequestError` for wrong options."""
        content = body.model_dump_json(exclude_none=True).encode()
        call = self.call(content, options, stream=stream, path=self.path)
        if not self.hooks:
            return call
        key = call.headers["idempotency-key"]
        info = CallInfo("stream" if stream else "complete", _shown(call.url), key, body)
        return replace(call, listeners=[Listener(hooks, info) for hooks in self.hooks])

    def call(
        self, content: bytes, options: CallOptions, *, path: str, stream: bool = False, method: str = "POST"
    ) -> Call:
        """The call of one body, which retries may send again; raises `InvalidRequestError` for wrong options."""
        given = options.get("timeout_ms")
        timeout = self.timeout if given is None else _timeout(given)
        total = (timeout.stream_total_ms if stream else timeout.total_ms) / 1000
        patience = min(total, timeout.total_ms / 1000)
        return Call(
            url=_server(options.get("server_url") or self.server_url, self.url_params) + path,
            headers=self._headers(options, stream=stream),
            content=content,
            stream=stream,
            limits=Limits(timeout.connect_ms / 1000, timeout.between_bytes_ms / 1000, total),
            policy=self._policy(options, patience),
            patience=patience,
            authorization=self._authorization,
            method=method,
        )

    def _headers(self, options: CallOptions, *, stream: bool) -> dict[str, str]:
        team = options.get("x_friendli_team") or self.team
        given = {**self.headers, **({"x-friendli-team": team} if team else {}), **(options.get("http_headers") or {})}
        return {
            "accept": EVENT_STREAM if stream else JSON,
            "content-type": JSON,
            "user-agent": _USER_AGENT,
            # The same on every attempt, so that a server can tell a retry from a second request.
            "idempotency-key": os.urandom(16).hex(),
            **_checked_headers(given),
        }

    def _policy(self, options: CallOptions, total: float) -> RetryPolicy:
        config = options.get("retries", UNSET)
        if isinstance(config, Unset):
            config = self.retries
        if isinstance(config, Unset):
            return DefaultRetry(self.budget, total)
        if config is None or config.strategy != "backoff":
            return NoRetry()
        return ConfiguredRetry(config, total)

    def _authorization(self) -> str | None:
        token = self.token() if callable(self.token) else self.token
        if not token:
            return None
        if not _HEADER_VALUE.fullmatch(token):
            raise InvalidRequestError("the token holds characters that no header can carry", field="token")
        return token if token.lower().startswith("bearer ") else f"Bearer {token}"


def _server(url: str, params: Mapping[str, str]) -> str:
    """`url` with its `{name}` parts replaced and without a trailing slash; raises `InvalidRequestError`."""
    try:
        url = re.sub(r"\{(\w+)\}", lambda part: params[part[1]], url)
    except KeyError as name:
        raise InvalidRequestError(f"server_url needs a value for {name} in url_params", field="url_params") from None
    if not _is_address(url):
        raise InvalidRequestError(
            "server_url should begin with http:// or https:// and name a host", field="server_url"
        )
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    if _UNPRINTABLE.search(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _path(path: str) -> str:
    if not path.startswith("/") or _UNPRINTABLE.search(path):
        raise InvalidRequestError(
            "completions_path should begin with /, as in /v1/completions", field="completions_path"
        )
    return path


def _shown(url: str) -> str:
    """`url` without what may be secret in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _hooks(given: Hooks | Sequence[Hooks] | None) -> tuple[Hooks, ...]:
    """Hooks as the caller gave them, in a row; raises `InvalidRequestError`."""
    hooks = () if given is None else (given,) if isinstance(given, Hooks) else tuple(given)
    if not all(isinstance(one, Hooks) for one in hooks):
        raise InvalidRequestError("hooks should be a friendli.hooks.Hooks, or several in a list", field="hooks")
    return hooks


def _log_hooks(logger: Logger | None) -> tuple[Hooks, ...]:
    if logger is None and not _environment("FRIENDLI_DEBUG"):
        return ()
    from friendli._log import log_hooks, stderr_logger

    return (log_hooks(stderr_logger() if logger is None else logger),)


def _timeout(given: Timeout | None) -> TimeoutConfig:
    """A timeout as the caller gave it, in full; raises `InvalidRequestError`."""
    if given is None:
        return TimeoutConfig()
    try:
        return given if isinstance(given, TimeoutConfig) else TimeoutConfig.of(given)
    except ValueError as error:
        raise InvalidRequestError(str(error), field="timeout_ms") from None


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` with lower-case names; raises `InvalidRequestError` for what HTTP cannot carry, without quoting it."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidRequestError("a header's name holds characters that it cannot hold", field="http_headers")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequestError(f"{name} holds characters that no header can carry", field=name)
    return {name.lower(): value for name, value in headers.items()}


def _environment(name: str) -> str | None:
    """The variable's value; an empty one counts as not set."""
    return os.environ.get(name) or None
