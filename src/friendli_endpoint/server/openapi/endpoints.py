"""How the endpoints and their life are described."""

from __future__ import annotations

from typing import Final

from friendli_endpoint.server.openapi.parts import Part, answer, in_path, json_of, operation

_PATH: Final = "/dedicated/v1/endpoints"
_ID: Final = in_path("endpoint_id")


def endpoint_paths() -> Part:
    """The paths of endpoints."""
    listed = answer("The endpoints that the token may know of, by id.", json_of("EndpointList"))
    found = answer("The endpoint.", json_of("Endpoint"))
    show = operation("getEndpoint", "Show an endpoint.", "token", {"200": found}, "404", parameters=(_ID,))
    return {
        _PATH: {"get": operation("listEndpoints", "List the endpoints.", "token", {"200": listed})},
        f"{_PATH}/{{endpoint_id}}": {"get": show},
        f"{_PATH}/{{endpoint_id}}/sleep": _change("sleepEndpoint", "Give an idle endpoint's memory back.", "409"),
        f"{_PATH}/{{endpoint_id}}/wake": _change("wakeEndpoint", "Have a sleeping endpoint work."),
        f"{_PATH}/{{endpoint_id}}/restart": _change("restartEndpoint", "Start an endpoint again that failed.", "409"),
    }


def _change(name: str, summary: str, *refusals: str) -> Part:
    done = {"200": answer("It is done.", json_of("Endpoint"))}
    return {"put": operation(name, summary, "admin", done, "404", "429", "503", *refusals, parameters=(_ID,))}
