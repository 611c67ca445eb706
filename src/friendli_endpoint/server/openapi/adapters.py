"""How adapters are described."""

from __future__ import annotations

from typing import Final

from friendli_endpoint.server.openapi.parts import Part, answer, in_path, json_of, operation

_PATH: Final = "/dedicated/v1/endpoints/{endpoint_id}/adapters"
_ID: Final = in_path("endpoint_id")
_REFUSALS: Final = ("404", "503")


def adapter_paths() -> Part:
    """The paths of adapters."""
    listed = {"200": answer("The adapters, by route.", json_of("AdapterList"))}
    return {
        _PATH: {"get": operation("listAdapters", "List the adapters.", "admin", listed, *_REFUSALS, parameters=(_ID,))},
        f"{_PATH}/{{route}}": {"get": _get(), "put": _put(), "delete": _delete()},
    }


def _get() -> Part:
    return _of_route("getAdapter", "Show an adapter.", {"200": answer("The adapter.", json_of("Adapter"))})


def _put() -> Part:
    put = {
        "200": answer("The route's adapter is replaced.", json_of("Adapter")),
        "201": answer("The route is new.", json_of("Adapter")),
    }
    summary = "Give a route an adapter; requests that run keep the one that they have."
    return _of_route("putAdapter", summary, put, "409", "429", body="AdapterSource")


def _delete() -> Part:
    gone = {"204": answer("The route is gone, and no request uses its adapters any more.")}
    return _of_route("deleteAdapter", "Take a route away, once its requests have ended.", gone, "429")


def _of_route(name: str, summary: str, answers: Part, *refusals: str, body: str | None = None) -> Part:
    parameters = (_ID, in_path("route"))
    return operation(name, summary, "admin", answers, *_REFUSALS, *refusals, parameters=parameters, body=body)
