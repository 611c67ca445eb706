"""What a caller gave for one option, checked: each raises `InvalidRequestError` that names the option."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import SplitResult, urlsplit

from friendli.errors import InvalidRequestError
from friendli.utils import RetryConfig, TimeoutConfig, Unset

if TYPE_CHECKING:
    from friendli._log import Logger
    from friendli.hooks import Hooks

Token: TypeAlias = str | Callable[[], str]
Timeout: TypeAlias = int | TimeoutConfig

_NEVER_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f{}\ud800-\udfff]")
_URL_PARAM = re.compile(r"[\w.:~-]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_FRAMING = frozenset({"content-length", "transfer-encoding"})  # the HTTP library's own
_LONGEST_LABEL = 63  # of a host's name


def environment(name: str) -> str | None:
    """The variable's value; an empty one counts as not set."""
    return os.environ.get(name) or None


def given(value: object, default: object) -> object:
    """`value`, or `default` if it is None or the empty string of an unset variable."""
    return default if value is None or value == "" else value


def token_of(token: object) -> Token | None:
    """A token, or what gives one."""
    if token is None or isinstance(token, str) or callable(token):
        return token
    raise _refusal("token", "a string, or a callable that returns one")


def bearer(token: object) -> str:
    """The header's value for a token, which is never shown."""
    if not isinstance(token, str):
        raise _refusal("token", "a string, or a callable that returns one and is not awaited")
    if not _HEADER_VALUE.fullmatch(token):
        raise InvalidRequestError(
            "the token has a blank at an end, or characters that no header can carry", field="token"
        )
    return token if token.lower().startswith("bearer ") else f"Bearer {token}"


def team_of(team: object) -> str | None:
    """The team to run as; an empty one is none."""
    if team is None or isinstance(team, Unset):
        return None
    if isinstance(team, str) and _HEADER_VALUE.fullmatch(team):
        return team or None
    raise _refusal("x_friendli_team", "a string that a header can carry")


def params_of(params: object) -> Mapping[str, str]:
    """What the parts of an address stand for; none may change what its other parts mean."""
    if params is None:
        return MappingProxyType({})
    if not isinstance(params, Mapping):
        raise _refusal("url_params", "a mapping of names to values")
    for name, value in params.items():
        if not isinstance(value, str) or not _URL_PARAM.fullmatch(value):
            raise InvalidRequestError(
                f"url_params: {name!r} should be of letters, digits, and . : ~ _ -", field="url_params"
            )
    return MappingProxyType(dict(params))


def address(url: object, params: Mapping[str, str]) -> str:
    """`url` with its `{name}` parts replaced and without a trailing slash."""
    if not isinstance(url, str):
        raise _refusal("server_url", "a string")
    try:
        url = re.sub(r"\{(\w+)\}", lambda part: params[part[1]], url)
    except KeyError as name:
        raise InvalidRequestError(f"server_url needs a value for {name} in url_params", field="url_params") from None
    if not _is_base(url):
        raise InvalidRequestError(
            "server_url should begin with http:// or https://, name a host, and have no query", field="server_url"
        )
    return url.rstrip("/")


def shown(url: str) -> str:
    """`url` without what may be secret in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def path_of(path: object) -> str:
    """Where an operation is below the server's address."""
    if not isinstance(path, str) or not path.startswith("/") or _NEVER_IN_URLS.search(path):
        raise _refusal("completions_path", "a path that begins with /, as in /v1/completions")
    return path


def headers_of(headers: object) -> dict[str, str]:
    """Headers with lower-case names; what they hold is never shown."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise _refusal("http_headers", "a mapping of names to values")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidRequestError("a header's name holds characters that it cannot hold", field="http_headers")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequestError(f"{name} should be a string that a header can carry", field=name)
        if name.lower() in _FRAMING:
            raise InvalidRequestError(f"{name} is set by the HTTP library", field=name)
    return {name.lower(): value for name, value in headers.items()}


def retries_of(retries: object, name: str) -> RetryConfig | Unset | None:
    """How to retry; `name` is the option's."""
    if retries is None or isinstance(retries, RetryConfig | Unset):
        return retries
    raise _refusal(name, "a utils.RetryConfig, or None for no retries")


def timeout_of(timeout: object) -> TimeoutConfig:
    """A timeout in full."""
    if timeout is None:
        return TimeoutConfig()
    if isinstance(timeout, TimeoutConfig):
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise _refusal("timeout_ms", "milliseconds, or a utils.TimeoutConfig")
    try:
        return TimeoutConfig.of(timeout)
    except ValueError as error:
        raise InvalidRequestError(str(error), field="timeout_ms") from None


def hooks_of(given: object) -> tuple[Hooks, ...]:
    """Hooks in a row."""
    if given is None:
        return ()
    from friendli.hooks import Hooks

    hooks = (given,) if isinstance(given, Hooks) else given
    if not isinstance(hooks, list | tuple):
        raise _refusal("hooks", "a friendli.hooks.Hooks, or several in a list")
    if not all(isinstance(one, Hooks) for one in hooks):
        raise _refusal("hooks", "a friendli.hooks.Hooks, or several in a list")
    return tuple(hooks)


def log_hooks_of(logger: Logger | None) -> tuple[Hooks, ...]:
    """The hooks that tell `logger`, or stderr if FRIENDLI_DEBUG is set."""
    if logger is None and not environment("FRIENDLI_DEBUG"):
        return ()
    if logger is not None and not callable(getattr(logger, "debug", None)):
        raise _refusal("debug_logger", "an object with the method debug(message, *arguments)")
    from friendli._log import log_hooks, stderr_logger

    return (log_hooks(stderr_logger() if logger is None else logger),)


def is_address(parts: SplitResult) -> bool:
    """Whether it can be called; raises `ValueError` for a port that is no number."""
    return parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return not (parts.query or parts.fragment or _NEVER_IN_URLS.search(url)) and is_address(parts)
    except ValueError:
        return False


def _is_host(name: str) -> bool:
    return all(0 < len(label) <= _LONGEST_LABEL for label in name.removesuffix(".").split("."))


def _refusal(name: str, right: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name} should be {right}", field=name)
