"""From `friendli.toml` and command-line flags to one frozen value, checked before anything starts."""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from friendli_endpoint.config.names import DEFAULT_ENDPOINT, NAME_RULE, is_name
from friendli_endpoint.config.settings import EndpointSettings, ServerSettings, Settings, TeamSettings
from friendli_endpoint.config.token_hash import TokenHash
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

S = TypeVar("S", bound=Struct)

_WHOLE_TABLES = ("server", "teams", "endpoints")


def load_settings(
    path: Path | None = None,
    *,
    server: Mapping[str, object] | None = None,
    endpoint_id: str | None = None,
    endpoint: Mapping[str, object] | None = None,
    state: Path | None = None,
) -> Settings:
    """Settings from a file, if any, with flags laid over it: `server` and `endpoint` by key, None meaning "not given".

    Tables, such as `adapters`, are laid over by key in turn. `endpoint_id` names the endpoint that the flags are about
    (default: the only one). `state` is where state is kept when neither says. Raises `ConfigError`.
    """
    tables = _Tables(path)
    tables.lay_over(tables.table("server"), server or {}, "server.")
    if state is not None:
        tables.table("server").setdefault("state", str(state))
    endpoints = tables.table("endpoints")
    chosen = _chosen(tables.source, list(endpoints), endpoint_id, endpoint or {})
    if chosen is not None:
        tables.lay_over(tables.table(chosen, "endpoints."), endpoint or {}, f"endpoints.{chosen}.")
    settings = tables.settings()
    if settings.server.state is None:
        check_reach(settings.server, guarded=settings.server.guarded)
    return settings


def check_reach(server: ServerSettings, *, guarded: bool) -> None:
    """Raises `ConfigError` when others than this machine's users could come in without a token."""
    if not guarded and not is_loopback(server.host):
        raise ConfigError(
            f"Listening on {server.host} lets others in, so it needs a token: "
            "run friendli token create, set server.tokens (--token), or listen on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _chosen(source: str, endpoints: list[str], named: str | None, flags: Mapping[str, object]) -> str | None:
    """The endpoint that the flags are about; None when there are several and no flags."""
    if named is not None and endpoints and named not in endpoints:
        known = " and ".join(repr(name) for name in endpoints)
        raise ConfigError(f"{source} has the endpoint {known}, but --endpoint-id says {named!r}.")
    if named is None and len(endpoints) > 1:
        if any(value is not None for value in flags.values()):
            raise ConfigError(f"{source} has {len(endpoints)} endpoints; say with --endpoint-id which the flags mean.")
        return None
    return next(iter(endpoints), DEFAULT_ENDPOINT) if named is None else named


class _Tables:
    """The file's tables on their way to settings; what is wrong with them is told by key."""

    def __init__(self, path: Path | None) -> None:
        self.source = str(path) if path else "the flags"
        self._root = _read(path)
        for key in _WHOLE_TABLES:
            self.table(key)

    def table(self, key: str, prefix: str = "") -> dict[str, object]:
        """The table at `prefix` and `key`; it is there from now on."""
        return self._inner(self._root if not prefix else self.table(prefix.removesuffix(".")), key, prefix)

    def lay_over(self, table: dict[str, object], flags: Mapping[str, object], prefix: str) -> None:
        """Put those of `flags` that are given into `table`."""
        for key, value in flags.items():
            if isinstance(value, dict):
                self.lay_over(self._inner(table, key, prefix), value, f"{prefix}{key}.")
            elif value is not None:
                table[key] = value

    def settings(self) -> Settings:
        """All of it, checked."""
        self._refuse_unknown(self._root, Settings, "")
        return Settings(
            server=self._convert(self.table("server"), ServerSettings, "server."),
            teams={name: self._team(name) for name in self.table("teams")},
            endpoints={name: self._endpoint(name) for name in self.table("endpoints")},
        )

    def _team(self, name: str) -> TeamSettings:
        if not is_name(name):
            raise ConfigError(f"{self.source}: teams: {name!r} cannot be a team: use {NAME_RULE}.")
        return self._convert(self.table(name, "teams."), TeamSettings, f"teams.{name}.")

    def _endpoint(self, name: str) -> EndpointSettings:
        if not is_name(name):
            raise ConfigError(f"{name!r} cannot be an endpoint id: use {NAME_RULE}.")
        table, prefix = self.table(name, "endpoints."), f"endpoints.{name}."
        self._check_adapters(self._inner(table, "adapters", prefix), f"{prefix}adapters.")
        endpoint = self._convert(table, EndpointSettings, prefix)
        if len(endpoint.adapters) > endpoint.max_adapters:
            most = f"{len(endpoint.adapters)}, more than max_adapters, {endpoint.max_adapters}"
            raise ConfigError(f"{prefix}adapters are {most}.")
        return endpoint

    def _inner(self, table: dict[str, object], key: str, prefix: str) -> dict[str, object]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{self.source}: {prefix}{key} should be a table, [{prefix}{key}].")
        return inner

    def _check_adapters(self, adapters: Mapping[str, object], prefix: str) -> None:
        for route, adapter in adapters.items():
            if not is_name(route):
                raise ConfigError(f"{self.source}: {prefix}{route}: {route!r} cannot be a route: use {NAME_RULE}.")
            if not isinstance(adapter, str) or not adapter.strip():
                hint = "; a route with a dot is written in quotes" if isinstance(adapter, dict) else ""
                raise ConfigError(f"{self.source}: {prefix}{route} should be a path or a hub id, as text{hint}.")

    def _convert(self, table: dict[str, object], kind: type[S], prefix: str) -> S:
        self._refuse_unknown(table, kind, prefix)
        try:
            return msgspec.convert(table, kind, dec_hook=_decode)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).removesuffix("`").partition(" - at `$.")
            raise ConfigError(f"{self.source}: {prefix}{place}: {problem}.") from error

    def _refuse_unknown(self, table: dict[str, object], kind: type[Struct], prefix: str) -> None:
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in table.keys() - set(known):
            meant = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {prefix}{meant[0]}?" if meant else f"known keys: {', '.join(known)}."
            raise ConfigError(f"{self.source}: {prefix}{key} is not a setting; {hint}")


def _read(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _decode(kind: type, value: object) -> object:
    if kind is not TokenHash or not isinstance(value, str):
        raise ValueError("Expected `str`")
    return TokenHash.parse(value)
