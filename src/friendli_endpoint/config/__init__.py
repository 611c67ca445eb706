"""Settings: `friendli.toml` and command-line flags become one frozen value, checked before anything starts."""

from friendli_endpoint.config.names import DEFAULT_ENDPOINT, DEFAULT_TEAM, NAME_RULE, is_name
from friendli_endpoint.config.reading import check_reach, is_loopback, load_settings
from friendli_endpoint.config.settings import EndpointSettings, ServerSettings, Settings, TeamSettings
from friendli_endpoint.config.state import default_state
from friendli_endpoint.config.token_hash import TokenHash

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_TEAM",
    "NAME_RULE",
    "EndpointSettings",
    "ServerSettings",
    "Settings",
    "TeamSettings",
    "TokenHash",
    "check_reach",
    "default_state",
    "is_loopback",
    "is_name",
    "load_settings",
]
