"""What can be set. The classes are the reference: their fields are the keys, their defaults the only defaults.

[server]
host = "127.0.0.1"
port = 8080
tokens = ["sha256:<hex>", "flp_..."]    # as hashes, or in clear

[teams.acme]
max_requests = 32

[endpoints.demo]                         # `model` of a request is "demo"
model = "smollm2-135m"

[endpoints.demo.adapters]                # "demo:pirate" is the model with this adapter
pirate = "./adapters/pirate"
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from friendli_endpoint.config.names import DEFAULT_ENDPOINT, DEFAULT_TEAM
from friendli_endpoint.config.token_hash import TokenHash  # noqa: TC001 - read at run time

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP side. `max_requests` counts those that wait and run; the next one is answered 429.

    A token in `admin_tokens` is good for everything, one in `tokens` for what does not change the server. `state` is a
    folder for what outlives the server: tokens that were created, what was used; None keeps nothing. A request waits
    at most `queue_seconds` for its turn. `certificate` and `certificate_key` are PEM files. An answer with an
    Idempotency-Key is kept for `idempotency_seconds`, all of them together in at most `idempotency_bytes`. Lines of the
    ledger are merged into days after `usage_days`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    certificate: str | None = None
    certificate_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    tokens: tuple[TokenHash, ...] = ()
    admin_tokens: tuple[TokenHash, ...] = ()
    state: str | None = None
    log: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning"] = "info"
    max_requests: Count = 256
    max_choices: Count = 64
    max_body_bytes: Count = 4 * 2**20
    max_json_depth: Count = 32
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 30.0
    stall_seconds: Seconds = 30.0
    heartbeat_seconds: Seconds = 3.0
    queue_seconds: Seconds = 300.0
    drain_seconds: Annotated[float, Meta(ge=0)] = 30.0
    idempotency_seconds: Seconds = 600.0
    idempotency_bytes: Count = 64 * 2**20
    usage_days: Count = 400

    @property
    def guarded(self) -> bool:
        """Whether a token is set here; others may have been created."""
        return bool(self.tokens or self.admin_tokens)


class TeamSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one team may use; None is no limit of its own. Those of the team "default" hold for teams without a table.

    `max_requests` wait and run at once. `tokens_per_minute` counts prompts and outputs.
    """

    max_requests: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None


class EndpointSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model behind one endpoint id, and its adapters: source by route. None leaves the choice to the engine.

    `resident_adapters` are in memory at once, and so the most that one batch mixes; there may be `max_adapters`. The
    endpoint gives its memory back after `sleep_after_seconds` without a request, None: never. An engine that makes no
    progress for `hang_seconds` is restarted.
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
    sleep_after_seconds: Seconds | None = None
    hang_seconds: Seconds = 120.0


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that `friendli serve` can be told."""

    server: ServerSettings = ServerSettings()
    teams: dict[str, TeamSettings] = {}
    endpoints: dict[str, EndpointSettings] = msgspec.field(
        default_factory=lambda: {DEFAULT_ENDPOINT: EndpointSettings()}
    )

    def team(self, name: str) -> TeamSettings:
        """The limits of a team."""
        return self.teams.get(name) or self.teams.get(DEFAULT_TEAM) or TeamSettings()

    @property
    def endpoint(self) -> tuple[str, EndpointSettings]:
        """The endpoint of a server that has one, with its id."""
        ((endpoint_id, endpoint),) = self.endpoints.items()
        return endpoint_id, endpoint
