"""Settings: `friendli.toml` and command-line flags become one frozen value, checked before anything starts.

    [server]
    host = "127.0.0.1"
    port = 8080
    tokens = ["sha256:<hex>", "flp_..."]    # as hashes, or in clear

    [endpoints.demo]                         # `model` of a request is "demo"
    model = "smollm2-135m"

    [endpoints.demo.adapters]                # "demo:pirate" is the model with this adapter
    pirate = "./adapters/pirate"

The classes below are the reference: their fields are the keys, their defaults the only defaults.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import ipaddress
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]

NAME_RULE = "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
"""What an endpoint id and an adapter's route look like."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[!-~]+")
_TOKEN_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class TokenHash:
    """A bearer token of which only the SHA-256 is kept, so that neither memory dumps nor `repr` give it away."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    @classmethod
    def parse(cls, text: str) -> TokenHash:
        """From `sha256:<64 hex digits>` or a token in clear; `ValueError` when it could not be sent in a header."""
        if hashed := _TOKEN_HASH.fullmatch(text):
            return cls(bytes.fromhex(hashed[1]))
        if text.startswith("sha256:"):
            raise ValueError("sha256: is followed by 64 hexadecimal digits")
        if not _TOKEN.fullmatch(text):
            raise ValueError("a token is one or more visible ASCII characters, without spaces")
        return cls(hashlib.sha256(text.encode()).digest())

    def matches(self, digest: bytes) -> bool:
        """Whether `digest` is this token's SHA-256, in time that does not depend on where they differ."""
        return hmac.compare_digest(self._digest, digest)

    def __repr__(self) -> str:
        return "TokenHash(...)"


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP side. `max_requests` counts those that wait and run; the next one is answered 429.

    A token in `admin_tokens` is good for everything, one in `tokens` for what does not change the server.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    tokens: tuple[TokenHash, ...] = ()
    admin_tokens: tuple[TokenHash, ...] = ()
    max_requests: Count = 256
    max_choices: Count = 64
    max_body_bytes: Count = 4 * 2**20
    max_json_depth: Count = 32
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 30.0
    stall_seconds: Seconds = 30.0
    heartbeat_seconds: Seconds = 3.0
    drain_seconds: Annotated[float, Meta(ge=0)] = 30.0

    @property
    def guarded(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self.tokens or self.admin_tokens)


class EndpointSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model behind one endpoint id, and its adapters: source by route. None leaves the choice to the engine.

    `resident_adapters` are in memory at once, and so the most that one batch mixes; there may be `max_adapters`.
    """

    model: Annotated[str, Meta(min_length=1)] = "smollm2-135m"
    weights: Literal["auto", "i8", "f16"] = "auto"
    kv: Literal["auto", "f16", "f32"] = "auto"
    threads: Count | None = None
    kv_tokens: Count | None = None
    max_rows: Count | None = None
    adapters: dict[str, str] = {}
    resident_adapters: Count = 16
    max_adapters: Count = 1024


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that `friendli serve` can be told."""

    server: ServerSettings = ServerSettings()
    endpoints: dict[str, EndpointSettings] = msgspec.field(
        default_factory=lambda: {DEFAULT_ENDPOINT: EndpointSettings()}
    )

    @property
    def endpoint(self) -> tuple[str, EndpointSettings]:
        """The one endpoint that there is, with its id."""
        ((endpoint_id, endpoint),) = self.endpoints.items()
        return endpoint_id, endpoint


DEFAULT_ENDPOINT = "demo"


def load_settings(
    path: Path | None = None,
    *,
    server: Mapping[str, object] | None = None,
    endpoint_id: str | None = None,
    endpoint: Mapping[str, object] | None = None,
) -> Settings:
    """Settings from a file, if any, with flags laid over it: `server` and `endpoint` by key, None meaning "not given".

    Tables, such as `adapters`, are laid over by key in turn. `endpoint_id` names the endpoint that the flags are about
    (default: the file's). Raises `ConfigError`.
    """
    tables = _read(path)
    source = str(path) if path else "the flags"
    _lay_over(_table(tables, "server", source), server or {}, source, "server.")
    endpoints = _table(tables, "endpoints", source)
    if len(endpoints) > 1:
        raise ConfigError(
            f"{source}: endpoints: {', '.join(endpoints)} are {len(endpoints)} endpoints; one server serves one."
        )
    chosen = next(iter(endpoints), DEFAULT_ENDPOINT) if endpoint_id is None else endpoint_id
    if endpoints and chosen not in endpoints:
        raise ConfigError(f"{source} has the endpoint {next(iter(endpoints))!r}, but --endpoint-id says {chosen!r}.")
    place, table = f"endpoints.{chosen}.", _table(endpoints, chosen, source, "endpoints.")
    _lay_over(table, endpoint or {}, source, place)
    _check_adapters(_table(table, "adapters", source, place), source, f"{place}adapters.")
    settings = _convert(tables, chosen, source)
    _check(settings)
    return settings


def _read(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _table(tables: dict[str, object], key: str, source: str, prefix: str = "") -> dict[str, object]:
    table = tables.setdefault(key, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: {prefix}{key} should be a table, [{prefix}{key}].")
    return table


def _lay_over(table: dict[str, object], flags: Mapping[str, object], source: str, prefix: str) -> None:
    for key, value in flags.items():
        if isinstance(value, dict):
            _lay_over(_table(table, key, source, prefix), value, source, f"{prefix}{key}.")
        elif value is not None:
            table[key] = value


def _check_adapters(adapters: Mapping[str, object], source: str, prefix: str) -> None:
    for route, adapter in adapters.items():
        if not is_name(route):
            raise ConfigError(f"{source}: {prefix}{route}: {route!r} cannot be a route: use {NAME_RULE}.")
        if not isinstance(adapter, str) or not adapter.strip():
            hint = "; a route with a dot is written in quotes" if isinstance(adapter, dict) else ""
            raise ConfigError(f"{source}: {prefix}{route} should be a path or a hub id, as text{hint}.")


def _convert(tables: dict[str, object], endpoint_id: str, source: str) -> Settings:
    endpoints = _table(tables, "endpoints", source)
    _refuse_unknown(tables, Settings, source, "")
    _refuse_unknown(_table(tables, "server", source), ServerSettings, source, "server.")
    _refuse_unknown(_table(endpoints, endpoint_id, source), EndpointSettings, source, f"endpoints.{endpoint_id}.")
    try:
        return msgspec.convert(tables, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).removesuffix("`").partition(" - at `$.")
        key = place.replace("endpoints[...]", f"endpoints.{endpoint_id}")
        raise ConfigError(f"{source}: {key}: {problem}.") from error


def _decode(kind: type, value: object) -> object:
    if kind is not TokenHash or not isinstance(value, str):
        raise ValueError("Expected `str`")
    return TokenHash.parse(value)


def _refuse_unknown(table: dict[str, object], kind: type[Struct], source: str, prefix: str) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in table.keys() - set(known):
        meant = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {prefix}{meant[0]}?" if meant else f"known keys: {', '.join(known)}."
        raise ConfigError(f"{source}: {prefix}{key} is not a setting; {hint}")


def is_name(text: str) -> bool:
    """Whether an endpoint or a route can be called so."""
    return bool(_NAME.fullmatch(text))


def _check(settings: Settings) -> None:
    endpoint_id, endpoint = settings.endpoint
    if not is_name(endpoint_id):
        raise ConfigError(f"{endpoint_id!r} cannot be an endpoint id: use {NAME_RULE}.")
    if len(endpoint.adapters) > endpoint.max_adapters:
        most = f"{len(endpoint.adapters)}, more than max_adapters, {endpoint.max_adapters}"
        raise ConfigError(f"endpoints.{endpoint_id}.adapters are {most}.")
    server = settings.server
    if not server.guarded and not _is_loopback(server.host):
        raise ConfigError(
            f"Listening on {server.host} lets others in, so it needs a token: "
            "set server.tokens (--token), or listen on 127.0.0.1."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
