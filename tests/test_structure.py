"""The house's arrows: which room may import which (docs/structure.md draws them)."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"

# A room may import itself and these; other packages are told apart below.
ROOMS = {
    "friendli": set(),
    "friendli.cli": {
        "friendli",
        "friendli_endpoint",
        "friendli_endpoint.access",
        "friendli_endpoint.hub",
        "friendli_endpoint.text",
        "friendli_endpoint.server",
        "friendli_endpoint.usage",
    },
    "friendli_endpoint": set(),
    "friendli_endpoint.access": {"friendli_endpoint"},
    "friendli_endpoint.hub": {"friendli_endpoint"},
    "friendli_endpoint.files": {"friendli_endpoint"},
    "friendli_endpoint.text": {"friendli_endpoint", "friendli_endpoint.files"},
    "friendli_endpoint.engine": {
        "friendli_endpoint",
        "friendli_endpoint.sampling",
        "friendli_endpoint.model",
        "friendli_endpoint.text",  # in loading.py alone, see below
    },
    "friendli_endpoint.sampling": {"friendli_endpoint.engine"},  # the vocabulary alone, see below
    "friendli_endpoint.model": {"friendli_endpoint", "friendli_endpoint.files", "friendli_endpoint.engine"},
    "friendli_endpoint.usage": {"friendli_endpoint"},
    "friendli_endpoint.server": {
        "friendli",
        "friendli_endpoint",
        "friendli_endpoint.access",
        "friendli_endpoint.usage",
        "friendli_endpoint.engine",
        "friendli_endpoint.text",
        "friendli_endpoint.hub",
        "friendli_endpoint.model",
    },
}

# Libraries that only these rooms may import.
HOMES = {
    "openvino": {"friendli_endpoint.model", "friendli_endpoint.sampling"},
    "llguidance": {"friendli_endpoint.sampling"},
    "tokenizers": {"friendli_endpoint.text"},
    "fastapi": {"friendli_endpoint.server"},
    "starlette": {"friendli_endpoint.server"},
    "uvicorn": {"friendli_endpoint.server"},
    "sqlite3": {"friendli_endpoint.usage", "friendli_endpoint.access"},
    "typer": {"friendli.cli"},
    "prometheus_client": {"friendli.cli", "friendli_endpoint.server"},
    "opentelemetry": {"friendli"},
}


def modules():
    paths = sorted(SOURCE.rglob("*.py"))
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def room_of(module):
    return max((room for room in ROOMS if module == room or module.startswith(f"{room}.")), key=len)


def imports_of(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_room_imports_only_the_rooms_that_its_arrows_reach(module):
    room = room_of(module)
    for name in imports_of(modules()[module]):
        if name.split(".")[0] in ("friendli", "friendli_endpoint"):
            assert room_of(name) in {room, *ROOMS[room]}, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_library_is_imported_only_where_it_is_at_home(module):
    for name in imports_of(modules()[module]):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or room_of(module) in homes, f"{module} imports {name}"


def test_the_command_line_imports_the_endpoint_only_inside_the_command_that_needs_it():
    for module, path in modules().items():
        if room_of(module) == "friendli.cli":
            assert not [name for name in imports_of(path, top_level_only=True) if name.startswith("friendli_endpoint")]


def test_the_scheduler_knows_no_tensors_and_the_sampling_only_the_engines_vocabulary():
    for name in (
        "blocks",
        "booking",
        "job",
        "plan",
        "prefix",
        "roster",
        "scheduler",
        "sequence",
        "tables",
        "vocabulary",
    ):
        assert "numpy" not in set(imports_of(SOURCE / f"friendli_endpoint/engine/{name}.py"))
    for module, path in modules().items():
        if room_of(module) == "friendli_endpoint.sampling":
            used = {name for name in imports_of(path) if name.startswith("friendli_endpoint.engine")}
            assert used <= {"friendli_endpoint.engine.vocabulary", "friendli_endpoint.engine.step_model"}


def test_of_the_engine_only_its_loading_knows_models_and_text():
    for module, path in modules().items():
        if room_of(module) == "friendli_endpoint.engine" and module != "friendli_endpoint.engine.loading":
            assert {room_of(name) for name in imports_of(path) if name.startswith("friendli_endpoint")}.isdisjoint(
                {"friendli_endpoint.model", "friendli_endpoint.text"}
            ), module


def test_only_the_transport_of_the_sdk_imports_the_http_library():
    users = {module for module, path in modules().items() if any(n.split(".")[0] == "httpx2" for n in imports_of(path))}
    assert {user for user in users if not user.startswith("friendli._transport")} == set()
