"""friendli.toml and flags become settings, or one sentence that names the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from friendli_endpoint.config import EndpointSettings, ServerSettings, Settings, TeamSettings, load_settings
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FULL = """
[server]
host = "0.0.0.0"
port = 9000
tokens = ["flp_a", "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"]
max_requests = 7
drain_seconds = 2
admin_tokens = ["flp_admin"]

[endpoints.mine]
model = "org/name"
weights = "f16"
threads = 3
kv_tokens = 4096
max_rows = 8
resident_adapters = 4
max_adapters = 9

[endpoints.mine.adapters]
pirate = "./adapters/pirate"
"v1.2" = "org/name"
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "friendli.toml"
    path.write_text(text)
    return path


def test_nothing_said_means_the_defaults() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert settings.endpoint == ("demo", EndpointSettings())
    assert settings.server == ServerSettings()


def test_a_file_says_everything(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, FULL))
    assert settings.endpoint == (
        "mine",
        EndpointSettings(
            model="org/name",
            weights="f16",
            threads=3,
            kv_tokens=4096,
            max_rows=8,
            adapters={"pirate": "./adapters/pirate", "v1.2": "org/name"},
            resident_adapters=4,
            max_adapters=9,
        ),
    )
    assert (settings.server.host, settings.server.port, settings.server.max_requests) == ("0.0.0.0", 9000, 7)  # noqa: S104
    assert len(settings.server.tokens) == 2
    assert len(settings.server.admin_tokens) == 1


def test_flags_lie_over_the_file_and_none_is_no_flag(tmp_path: Path) -> None:
    settings = load_settings(
        _file(tmp_path, FULL), server={"port": 0, "host": None}, endpoint={"model": "other", "threads": None}
    )
    assert (settings.server.port, settings.server.host) == (0, "0.0.0.0")  # noqa: S104
    assert (settings.endpoint[1].model, settings.endpoint[1].threads) == ("other", 3)


def test_adapters_of_flags_are_laid_over_those_of_the_file_by_route(tmp_path: Path) -> None:
    flags = {"adapters": {"pirate": "/other", "legal": "x=y"}, "resident_adapters": None}
    endpoint = load_settings(_file(tmp_path, FULL), endpoint=flags).endpoint[1]
    assert endpoint.adapters == {"pirate": "/other", "v1.2": "org/name", "legal": "x=y"}
    assert endpoint.resident_adapters == 4
    assert load_settings(endpoint={"adapters": {"pirate": "/p"}}).endpoint[1].adapters == {"pirate": "/p"}
    assert load_settings(endpoint={"adapters": None}).endpoint[1].adapters == {}


@pytest.mark.parametrize("route", ["", "a:b", "a/b", "-a", "a b", "x" * 65, "é"])
def test_a_route_that_no_path_can_name_is_told_by_flag_as_well(route: str) -> None:
    with pytest.raises(ConfigError, match=r"^the flags: endpoints\.demo\.adapters\..* cannot be a route: use 1 to 64"):
        load_settings(endpoint={"adapters": {route: "/p"}})


TWO = """
[teams.default]
max_requests = 4

[teams.acme]
requests_per_minute = 60

[endpoints.a]
sleep_after_seconds = 300

[endpoints.b]
threads = 1
"""


def test_a_file_has_several_endpoints_and_flags_must_say_which_they_mean(tmp_path: Path) -> None:
    path = _file(tmp_path, TWO)
    assert set(load_settings(path, endpoint={"threads": None}).endpoints) == {"a", "b"}
    assert load_settings(path, endpoint_id="a", endpoint={"threads": 3}).endpoints["a"].threads == 3
    with pytest.raises(ConfigError, match="has 2 endpoints; say with --endpoint-id which the flags mean"):
        load_settings(path, endpoint={"threads": 3})


def test_a_team_without_a_table_has_the_limits_of_the_default_team(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, TWO))
    assert settings.team("acme") == TeamSettings(requests_per_minute=60)
    assert settings.team("other") == TeamSettings(max_requests=4)
    assert Settings().team("other") == TeamSettings()


def test_flags_alone_make_an_endpoint() -> None:
    settings = load_settings(endpoint_id="mine", endpoint={"model": "/some/file.gguf"}, server={"port": 0})
    assert settings.endpoint == ("mine", EndpointSettings(model="/some/file.gguf"))


WRONG = {
    "unknown table": ("[sever]\n", "sever is not a setting; did you mean server?"),
    "unknown server key": ("[server]\nprot = 1\n", "server.prot is not a setting; did you mean server.port?"),
    "unknown endpoint key": (
        "[endpoints.a]\nfrobnicate = 1\n",
        "endpoints.a.frobnicate is not a setting; known keys: model,",
    ),
    "text for a number": ('[server]\nport = "80"\n', "server.port: Expected `int`"),
    "port too large": ("[server]\nport = 65536\n", "server.port: Expected `int` <= 65535"),
    "flag for a number": ("[server]\nmax_requests = true\n", "server.max_requests: Expected `int`"),
    "zero": ("[endpoints.a]\nthreads = 0\n", "endpoints.a.threads: Expected `int` >= 1"),
    "no such weights": ('[endpoints.a]\nweights = "i4"\n', "endpoints.a.weights: Invalid enum value 'i4'"),
    "empty model": ('[endpoints.a]\nmodel = ""\n', "endpoints.a.model: Expected `str` of length >= 1"),
    "token with a space": ('[server]\ntokens = ["a b"]\n', "server.tokens[0]: a token is one or more visible"),
    "token that is no text": ("[server]\ntokens = [1]\n", "server.tokens[0]: Expected `str`"),
    "server is no table": ("server = 1\n", "server should be a table, [server]"),
    "endpoint is no table": ("[endpoints]\na = 1\n", "endpoints.a should be a table, [endpoints.a]"),
    "admin token that is no text": ("[server]\nadmin_tokens = [1]\n", "server.admin_tokens[0]: Expected `str`"),
    "no adapters in memory": (
        "[endpoints.a]\nresident_adapters = 0\n",
        "endpoints.a.resident_adapters: Expected `int`",
    ),
    "adapters are no table": ("[endpoints.a]\nadapters = 1\n", "endpoints.a.adapters should be a table"),
    "bad route": (
        '[endpoints.a.adapters]\n"a:b" = "x"\n',
        "endpoints.a.adapters.a:b: 'a:b' cannot be a route: use 1 to",
    ),
    "source that is no text": (
        "[endpoints.a.adapters]\nb = 1\n",
        "endpoints.a.adapters.b should be a path or a hub id",
    ),
    "empty source": ('[endpoints.a.adapters]\nb = " "\n', "endpoints.a.adapters.b should be a path or a hub id"),
    "route with a dot": (
        '[endpoints.a.adapters]\nv1.2 = "x"\n',
        "adapters.v1 should be a path or a hub id, as text; a",
    ),
    "too many adapters": (
        '[endpoints.a]\nmax_adapters = 1\n[endpoints.a.adapters]\nb = "x"\nc = "x"\n',
        "endpoints.a.adapters are 2, more than max_adapters, 1",
    ),
    "second endpoint": ("[endpoints.a]\n[endpoints.b]\nthreads = 0\n", "endpoints.b.threads: Expected `int` >= 1"),
    "unknown team key": ("[teams.a]\nmax_request = 1\n", "did you mean teams.a.max_requests?"),
    "bad team": ('[teams."a b"]\n', "'a b' cannot be a team"),
    "team limit": ("[teams.a]\ntokens_per_minute = 0\n", "teams.a.tokens_per_minute: Expected `int` >= 1"),
    "bad id": ('[endpoints."a:b"]\n', "'a:b' cannot be an endpoint id"),
    "not loopback": ('[server]\nhost = "0.0.0.0"\n', "so it needs a token"),
    "not TOML": ("[server\n", "is not valid TOML"),
    "not UTF-8": ("\udcff", "is not valid TOML"),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_told_by_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "friendli.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert sentence in str(caught.value)


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.toml")


def test_a_file_and_a_flag_that_name_different_endpoints_disagree(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has the endpoint 'mine', but --endpoint-id says 'other'"):
        load_settings(_file(tmp_path, FULL), endpoint_id="other")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert load_settings(server={"host": host}).server.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org"])  # noqa: S104
def test_any_other_address_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="needs a token"):
        load_settings(server={"host": host})
    assert load_settings(server={"host": host, "tokens": ["flp_x"]}).server.host == host
    assert load_settings(server={"host": host, "admin_tokens": ["flp_x"]}).server.host == host


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().server.port = 1  # type: ignore[misc]


def test_tokens_in_clear_are_not_kept() -> None:
    settings = load_settings(server={"tokens": ["flp_secret"], "admin_tokens": ["flp_secret_too"]})
    assert "flp_secret" not in repr(settings)
    assert not any("flp_secret" in str(value) for value in msgspec.structs.asdict(settings.server).values())
