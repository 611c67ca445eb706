"""More adapters than one forward can mix: who starts, who waits, and that nobody waits forever."""

from itertools import count, groupby

import pytest
from adapter_helpers import Engine
from engine_helpers import expected, request, tokens_of

from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.vocabulary import Prefilled, Submit

ROWS = 4


@pytest.fixture
def engine(tmp_path):
    """One slot and adapters a and b, four rows."""
    engine = Engine(tmp_path, FakeStepModel(blocks=400, adapters=1), max_rows=ROWS)
    engine.add("a", "pirate")
    engine.add("b", "telegram")
    yield engine
    engine.core.close()


class Stream:
    """So many requests of one adapter that one always waits; they take 4 to 6 tokens each."""

    def __init__(self, engine, adapter):
        self.engine, self.adapter, self.names = engine, adapter, []

    def step(self):
        for _ in range(ROWS):
            self.names.append(f"{self.adapter}{len(self.names)}")
            max_tokens = 4 + len(self.names) % 3
            self.engine.tell(Submit(request(self.names[-1], [1, 2], max_tokens=max_tokens, adapter=self.adapter)))
        self.engine.events += self.engine.core.step()

    def step_until(self, done, *, meanwhile=lambda: None):
        for _ in range(200):
            if done():
                return
            self.step()
            meanwhile()
        raise AssertionError("200 steps were not enough")


def started(engine):
    """Names of requests in the order in which their prompts were read."""
    return [event.request_id for event in engine.events if isinstance(event, Prefilled)]


def test_a_steady_stream_of_one_adapter_lets_another_in_after_so_many_have_passed(engine):
    stream = Stream(engine, "a")
    stream.step()
    before = len(started(engine))
    engine.tell(Submit(request("head", [1, 2], adapter="b")))
    stream.step_until(lambda: "head" in started(engine))
    assert started(engine).index("head") - before == ROWS
    names = [name for name in started(engine) if name != "head"]
    assert names == stream.names[: len(names)], "the oldest first within an adapter"


def test_the_batch_stays_full_until_so_many_have_passed(engine):
    stream = Stream(engine, "a")
    stream.step()
    engine.tell(Submit(request("head", [1, 2], adapter="b")))
    rows = []
    stream.step_until(
        lambda: len(started(engine)) == 2 * ROWS,
        meanwhile=lambda: rows.append(len(engine.model.batches[-1].adapters)),
    )
    assert set(rows) == {ROWS}
    assert started(engine)[-1] != "head"


def test_requests_without_an_adapter_pass_whoever_waits_for_a_slot(engine):
    stream = Stream(engine, "a")
    stream.step()
    engine.tell(Submit(request("head", [1, 2], adapter="b")))
    numbers = count()
    stream.step_until(
        lambda: "head" in started(engine),
        meanwhile=lambda: engine.tell(Submit(request(f"base{next(numbers)}", [1, 2], max_tokens=2))),
    )
    last = started(engine).index("head")
    drained = [name for name in started(engine)[:last] if name.startswith("a")]
    assert len(drained) == 2 * ROWS
    assert started(engine)[last - 1].startswith("base"), "they fill the rows while the others come to their ends"


def test_whoever_waits_for_rows_is_passed_by_nobody(engine):
    """Four choices need all rows; a stream of base requests, which never need a slot, must not keep them waiting."""
    engine.tell(*(Submit(request(f"base{i}", [1, 2], max_tokens=3 + i)) for i in range(ROWS)))
    engine.events += engine.core.step()
    engine.tell(Submit(request("wide", [1, 2], seeds=(1, 2, 3, 4), adapter="b")))
    engine.tell(*(Submit(request(f"later{i}", [1, 2])) for i in range(3)))
    engine.run()
    assert started(engine).index("wide") == ROWS


def test_of_two_streams_on_one_slot_nobody_is_passed_by_more_than_so_many(engine):
    streams = [Stream(engine, "a"), Stream(engine, "b")]
    for _ in range(60):
        for stream in streams:
            stream.step()
    ages = {name: (i // ROWS, stream.adapter, i) for stream in streams for i, name in enumerate(stream.names)}
    order = [ages[name] for name in started(engine)]
    assert {name[0] for name in started(engine)} == {"a", "b"}
    assert max(sum(earlier > age for earlier in order[:i]) for i, age in enumerate(order)) == ROWS


def test_one_that_is_preempted_and_loses_its_slot_gets_it_back(tmp_path):
    """Twelve blocks: "passer" passes "head", gives its blocks back to "base", and "head" takes the slot."""
    engine = Engine(tmp_path, FakeStepModel(blocks=12, adapters=1), max_rows=ROWS)
    engine.add("a", "pirate")
    engine.add("b", "telegram")
    long = {"prompt": list(range(8)), "max_tokens": 24}
    passer = request("passer", **long, adapter="a")
    first = [request("base", **long), request("first", [1, 2], max_tokens=6, adapter="a")]
    engine.tell(*map(Submit, [*first, request("head", [1, 2], adapter="b"), passer]))
    engine.run()
    turns = [adapter for batch in engine.model.batches for adapter in batch.adapters if adapter]
    assert [adapter for adapter, _ in groupby(turns)] == ["a", "b", "a"]
    assert tokens_of(engine.events)["passer", 0] == expected(passer, 0, "pirate")
    engine.core.close()
