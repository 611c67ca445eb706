"""The OpenAPI document says what the server does."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from server_kit import Server, deployment_of, play, service_with, settings

from friendli.models import CompletionsBody
from friendli_endpoint.config import NAME_RULE, TokenHash, is_name
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import DOORS, create_app
from friendli_endpoint.server.openapi import describe
from friendli_endpoint.server.openapi.parts import NAME_PATTERN
from friendli_endpoint.server.routes import ConfiguredAdapter

PIRATE = {"adapters": [ConfiguredAdapter("pirate", "p", Path("p"))]}
DOCUMENT = describe()
OPERATIONS = {
    (path, method.upper()): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def _filled(path: str) -> str:
    return path.format(endpoint_id="demo", route="pirate")


def _check(schema: dict[str, object], value: object) -> None:
    jsonschema.validate(value, {**schema, "components": DOCUMENT["components"]})


def test_the_document_is_served() -> None:
    async def scenario(server: Server) -> None:
        assert (await server.client.get("/openapi.json")).json() == DOCUMENT

    play(scenario)


def test_the_body_is_the_model_that_validates() -> None:
    schema = DOCUMENT["components"]["schemas"]["CompletionsBody"]
    assert set(schema["properties"]) == set(CompletionsBody.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["model"]


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        node = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_route_is_described_with_the_methods_that_it_takes_and_nothing_more() -> None:
    routes = create_app(service_with(deployment_of(FakeEngine()), settings())).routes
    served = {(route.path, method) for route in routes for method in set(route.methods) - {"HEAD"}}
    assert set(OPERATIONS) == served
    assert len({operation["operationId"] for operation in OPERATIONS.values()}) == len(served)


def test_every_operation_asks_for_the_token_that_its_door_takes() -> None:
    doors = {(door.path, door.method): door.need for door in DOORS}
    for name, operation in OPERATIONS.items():
        need = doors.get(name, "admin")
        wanted = {"nothing": [], "token": [{"token": []}]}.get(need, [{"token": [need]}])
        assert operation["security"] == wanted, name


def test_every_operation_answers_with_a_status_a_type_and_headers_that_are_described() -> None:
    async def scenario(server: Server) -> None:
        for (path, method), operation in sorted(OPERATIONS.items(), key=lambda each: each[0][1], reverse=True):
            for headers in ({}, {"X-Friendli-Team": "a b"}):
                reply = await server.client.request(method, _filled(path), headers=headers)
                described = operation["responses"][str(reply.status_code)]
                assert reply.status_code not in (400, 405), (path, method)
                for name, header in described["headers"].items():
                    assert not header.get("required") or name in reply.headers, (path, method, name)
                if reply.status_code != 204:
                    kind = reply.headers["content-type"].partition(";")[0]
                    assert kind in described["content"], (path, method)
                    if kind == "application/json":
                        _check(described["content"][kind]["schema"], reply.json())

    play(scenario, served=PIRATE)


def test_no_token_is_answered_as_described() -> None:
    async def scenario(server: Server) -> None:
        for (path, method), operation in OPERATIONS.items():
            reply = await server.client.request(method, _filled(path))
            if operation["security"]:
                assert reply.status_code == 401, (path, method)
                assert "www-authenticate" in operation["responses"]["401"]["headers"]
            else:
                assert reply.status_code == 200, (path, method)
                assert "401" not in operation["responses"]

    play(scenario, tokens=(TokenHash.parse("flp_x"),))


def test_every_status_that_a_completion_can_have_is_described() -> None:
    responses = OPERATIONS["/dedicated/v1/completions", "POST"]["responses"]
    refusals = {"400", "401", "403", "404", "408", "413", "415", "422", "429", "431", "500", "503"}
    assert set(responses) == {"200", *refusals}


@pytest.mark.parametrize("name", ["a", "A-1._", "a" * 64, "", "-a", "a b", "a" * 65, "é", "a/b"])
def test_names_are_described_as_they_are_checked(name: str) -> None:
    validator = jsonschema.Draft202012Validator({"type": "string", "pattern": NAME_PATTERN})
    assert validator.is_valid(name) is is_name(name), NAME_RULE


def test_an_application_can_be_made_before_its_engine_has_started() -> None:
    class Untouchable(FakeEngine):
        @property
        def card(self):
            raise RuntimeError("not started")

    assert create_app(service_with(deployment_of(Untouchable()), settings()))
