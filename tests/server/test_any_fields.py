"""Whatever fields come together: a reply, or a sentence about a field; never a failure of ours."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from server_kit import body, in_process
from test_fields import NEUTRAL, RIGHT, WRONG

from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.app import COMPLETIONS_PATH

VALUES: dict[str, list[object]] = {
    "stop": [["a"], ["€", "\ufffd"]],
    "stop_tokens": [[{"tokens": [1]}], [{"tokens": [0xE2]}, {"tokens": [97, 98]}]],
    "stream": [True],
    "stream_options": [{"include_usage": True}],
    "timeout_microseconds": [2**31 - 1],
    "prompt": [["a", "bb"], None],
}
for table in (RIGHT, WRONG):
    for field, rows in table.items():
        VALUES.setdefault(field, []).extend(row[0] for row in rows if len(str(row[0])) < 1000)
for field, values in NEUTRAL.items():
    VALUES.setdefault(field, []).extend(values)

FIELDS = st.lists(st.sampled_from(sorted(VALUES)), max_size=7, unique=True)
BODIES = FIELDS.flatmap(
    lambda fields: st.fixed_dictionaries({field: st.sampled_from(VALUES[field]) for field in fields})
)


@settings(max_examples=20, deadline=None)
@given(bodies=st.lists(BODIES, min_size=20, max_size=20))
def test_any_fields_together_are_answered_or_refused_by_name(bodies: list[dict[str, object]]) -> None:
    asyncio.run(_ask(bodies))


async def _ask(bodies: list[dict[str, object]]) -> None:
    async with in_process(FakeEngine()) as server:
        for fields in bodies:
            reply = await server.client.post(COMPLETIONS_PATH, json=body(**fields))
            if reply.status_code == 422:
                field = reply.json()["error"]["field"].partition(".")[0]
                assert field in reply.json()["error"]["message"]
                continue
            assert reply.status_code == 200, (fields, reply.text)
            if not fields.get("stream"):
                _check(reply.json()["choices"], server.engine.submitted[-1].max_tokens)
        assert not server.engine.live


def _check(choices: list[dict[str, object]], most: int) -> None:
    for choice in choices:
        tokens = choice["tokens"]
        assert len(tokens) <= most
        if choice["logprobs"] is not None:
            assert {len(values) for values in choice["logprobs"].values()} == {len(tokens)}
        if logits := choice.get("output_logits"):
            assert logits["shape"][0] == len(tokens)
