"""The OpenAPI document says what the server does."""

from __future__ import annotations

from pathlib import Path

from server_kit import Server, deployment_of, play

from friendli.models import CompletionsBody
from friendli_endpoint.config import ServerSettings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import OPENAPI_PATH, create_app
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.routes import ConfiguredAdapter


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def test_the_body_is_the_model_that_validates() -> None:
    async def scenario(server: Server) -> None:
        document = (await server.client.get("/openapi.json")).json()
        schema = document["components"]["schemas"]["CompletionsBody"]
        assert set(schema["properties"]) == set(CompletionsBody.model_fields)
        assert schema["additionalProperties"] is False
        assert schema["required"] == ["model"]

    play(scenario)


def test_every_reference_leads_somewhere() -> None:
    async def scenario(server: Server) -> None:
        document = (await server.client.get("/openapi.json")).json()
        for reference in _references(document):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]

    play(scenario)


def test_every_path_is_described_with_the_methods_that_it_takes() -> None:
    async def scenario(server: Server) -> None:
        paths = (await server.client.get("/openapi.json")).json()["paths"]
        served = create_app(deployment_of(FakeEngine()), ServerSettings()).routes
        assert paths.keys() == {route.path for route in served} - {OPENAPI_PATH}
        assert {path: set(operations) - {"parameters"} for path, operations in paths.items()} == {
            "/dedicated/v1/completions": {"post"},
            "/dedicated/v1/endpoints/{endpoint_id}/adapters": {"get"},
            "/dedicated/v1/endpoints/{endpoint_id}/adapters/{route}": {"get", "put", "delete"},
            "/health": {"get"},
            "/ready": {"get"},
        }
        for path, operations in paths.items():
            for method in sorted(set(operations) - {"parameters"}, reverse=True):  # DELETE last
                assert (await server.client.request(method, _filled(path))).status_code not in (404, 405)

    play(scenario, served={"adapters": [ConfiguredAdapter("pirate", "p", Path("p"))]})


def _filled(path: str) -> str:
    return path.format(endpoint_id="demo", route="pirate")


def test_an_adapter_is_described_as_it_is_shown() -> None:
    async def scenario(server: Server) -> None:
        schemas = (await server.client.get("/openapi.json")).json()["components"]["schemas"]
        shown = (await server.put("pirate", "p")).json()
        assert list(shown) == list(schemas["Adapter"]["properties"])
        assert schemas["AdapterSource"]["required"] == ["source"]

    play(scenario)


def test_every_status_that_a_completion_can_have_is_described() -> None:
    from friendli_endpoint.server.openapi import describe

    responses = describe()["paths"]["/dedicated/v1/completions"]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "404", "408", "413", "415", "422", "429", "431", "500", "503"}


def test_an_application_can_be_made_before_its_engine_has_started() -> None:
    class Untouchable(FakeEngine):
        @property
        def card(self):
            raise RuntimeError("not started")

    assert create_app(Deployment("demo", Untouchable(), None), ServerSettings())
