"""What is asked of a client, and whether its answer holds what a plain reply does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients_kit import Caller, Client, Place

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
PIECES = ("index", "text", "tokens")


def body_for(client: Client, **fields: object) -> dict[str, object]:
    """A good body but for `fields`, with the seed as the client takes it."""
    body = {"model": "demo", "prompt": "Tell me", "max_tokens": 80} | fields
    return body | {"seed": [7, 8][: int(fields.get("n", 1))] if client.first else 7}


def check(caller: Caller, way: str, place: Place, body: dict[str, object]) -> None:
    """The client gives of a call what a plain request gives."""
    client, plain = caller.client, place.plain(body)
    answer = caller.call(way, place, body)
    if way.startswith("complete"):
        result = result_of(answer)
        assert shown(result["choices"], client.fields) == shown(plain["choices"], client.fields)
        assert counts(result["usage"]) == counts(plain["usage"])
    elif client.first:
        *pieces, end = events_of(answer)
        assert [piece["event"] for piece in pieces] == ["token_sampled"] * len(pieces)
        assert end["event"] == "complete"
        assert shown(folded(pieces), PIECES) == shown(plain["choices"], PIECES)
        assert shown(end["choices"], client.fields) == shown(plain["choices"], client.fields)
        assert counts(end["usage"]) == counts(plain["usage"])
    else:
        fields = (*PIECES, "finish_reason", "logprobs")
        assert shown(folded(events_of(answer)), fields) == shown(plain["choices"], fields)


def result_of(answer: dict) -> dict:
    """The result of a call, which must have given one."""
    assert list(answer) == ["result"], answer
    return answer["result"]


def events_of(answer: dict) -> list[dict]:
    """The events of a call, which must have given them."""
    assert list(answer) == ["events"], answer
    return answer["events"]


def folded(events: list[dict]) -> list[dict]:
    """The choices that pieces of a stream add up to, by index; both shapes, the first one's last event apart."""
    choices: dict[int, dict] = {}
    for event in events:
        for piece in event.get("choices", [event]):
            choice = choices.setdefault(piece["index"], {"index": piece["index"], "text": "", "tokens": []})
            _add(choice, piece)
    return [choices[index] for index in sorted(choices)]


def _add(choice: dict, piece: dict) -> None:
    choice["text"] += piece["text"]
    if (token := piece.get("token")) is not None:
        choice["tokens"].append(token)
    choice["finish_reason"] = piece.get("finish_reason")
    choice.setdefault("logprobs", None)
    if (told := piece.get("logprobs")) is not None:
        so_far = choice["logprobs"] or {name: [] for name in told}
        choice["logprobs"] = {name: so_far[name] + told[name] for name in told}


def shown(choices: list[dict], fields: tuple[str, ...]) -> list[dict]:
    """`fields` of the choices, all of which must be there."""
    return [{name: choice[name] for name in fields} for choice in choices]


def counts(usage: dict) -> dict[str, int]:
    """The counts that every generation knows."""
    return {name: usage[name] for name in COUNTS}
