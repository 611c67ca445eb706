"""Requests with adapters among others: loaded beside the steps, waited for, kept apart, and given back."""

import threading

import pytest
from adapter_helpers import Engine
from engine_helpers import expected, request, tokens_of

from friendli_endpoint.engine.fake_model import FakeStepModel, load_vocabulary
from friendli_endpoint.engine.options import EngineOptions
from friendli_endpoint.engine.vocabulary import (
    Abort,
    AdapterAdded,
    AdapterCard,
    AdapterRefused,
    AddAdapter,
    Beams,
    Controls,
    DropAdapter,
    Finished,
    Grammar,
    Prefilled,
    Submit,
)
from friendli_endpoint.sampling.grammar import Grammars

SAMPLED = Controls(temperature=1.3, top_p=0.9)


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path)
    yield engine
    engine.model.adding.set()
    engine.core.close()


def test_an_adapter_changes_the_tokens_of_its_requests_and_of_no_others(engine):
    engine.add("pirate@1", "pirate")
    assert engine.fate_of("pirate@1") == [AdapterAdded("pirate@1", AdapterCard(1, ("q",), len("pirate")))]
    asked = [request(name, [1, 2, 3], seeds=(1, 2), controls=SAMPLED) for name in ("base", "adapted")]
    asked[1] = request("adapted", [1, 2, 3], seeds=(1, 2), controls=SAMPLED, adapter="pirate@1")
    engine.tell(*map(Submit, asked))
    engine.run()
    plain = {("base", choice): expected(asked[0], choice) for choice in (0, 1)}
    assert tokens_of(engine.events) == plain | {
        ("adapted", choice): expected(asked[1], choice, "pirate") for choice in (0, 1)
    }
    assert expected(asked[0], 0) != expected(asked[1], 0, "pirate")


def test_a_batch_without_adapters_names_none_and_with_one_it_names_each_row(engine):
    engine.add("a", "pirate")
    engine.tell(Submit(request("base", [1, 2, 3])), Submit(request("b", [1, 2, 3], max_tokens=2, adapter="a")))
    engine.run()
    assert engine.model.batches[0].adapters == (None, "a")
    assert engine.model.batches[-1].adapters == ()


def test_a_beam_search_with_an_adapter_gives_what_it_gives_alone_whatever_runs_beside(tmp_path):
    asked = request("a", list(range(9)), max_tokens=12, beams=Beams(3), controls=Controls(), adapter="key")
    results = []
    for company in ([], [request(f"r{i}", [i, i + 1], max_tokens=30) for i in range(3)]):
        engine = Engine(tmp_path, FakeStepModel(blocks=28, adapters=1))
        engine.add("key", "pirate")
        engine.tell(*map(Submit, [*company, asked]))
        engine.run()
        results.append(tokens_of(engine.events)["a", 0])
        engine.core.close()
    assert results[0] == results[1]


def test_requests_go_on_while_an_adapter_is_loaded_and_who_waits_for_it_wakes_an_idle_core(engine):
    engine.model.adding.clear()
    engine.begin_to_add("key", "pirate")
    waiting = request("waiting", [1, 2, 3], adapter="key")
    engine.tell(Submit(waiting), Submit(other := request("other", [1, 2, 3])))
    engine.run()
    assert tokens_of(engine.events) == {("other", 0): expected(other, 0)}
    assert not engine.core.busy
    assert not engine.woken.is_set()
    engine.model.adding.set()
    engine.run_until(lambda: tokens_of(engine.events).get(("waiting", 0)))
    assert tokens_of(engine.events)["waiting", 0] == expected(waiting, 0, "pirate")


def test_adapters_are_loaded_one_after_another_in_the_order_in_which_they_came(engine):
    engine.model.adding.clear()
    for i in range(4):
        engine.begin_to_add(f"key{i}", f"text{i}")
    engine.model.adding.set()
    engine.run_until(lambda: engine.fate_of("key3"))
    assert [event.key for event in engine.events] == [f"key{i}" for i in range(4)]
    assert list(engine.model.salts) == [f"key{i}" for i in range(4)]


def test_an_adapter_is_not_begun_before_the_one_before_it_has_been_reported(engine):
    keys = [f"key{i}" for i in range(4)]
    for key in keys:
        engine.begin_to_add(key, key)
    for place, key in enumerate(keys):
        while not engine.core.step():
            assert engine.woken.wait(60)
            engine.woken.clear()
        assert list(engine.model.salts) == keys[: place + 1], key
        assert engine.core.busy == (key != keys[-1])


@pytest.mark.parametrize("first", ["adapter", "grammar"])
def test_a_request_with_grammar_and_adapter_waits_for_both(tmp_path, first):
    release = threading.Event()

    def vocabulary():
        release.wait()
        return load_vocabulary(EngineOptions("none"))

    grammars = Grammars(vocabulary, 97)
    engine = Engine(tmp_path, grammars=grammars)
    engine.model.adding.clear()
    engine.begin_to_add("key", "pirate")
    grammar = Grammar("regex", "[a-c]{3,9}")
    engine.tell(
        Submit(request("both", [1, 2], controls=Controls(grammar=grammar), adapter="key")),
        Submit(request("grammar", [1, 2], controls=Controls(grammar=grammar))),
        Submit(request("adapter", [1, 2], adapter="key")),
    )
    gates = {"adapter": engine.model.adding, "grammar": release}
    gates.pop(first).set()
    engine.run_until(lambda: tokens_of(engine.events))
    assert {name for name, _ in tokens_of(engine.events)} == {first}
    gates.popitem()[1].set()
    engine.run_until(lambda: len([event for event in engine.events if isinstance(event, Finished)]) == 3)
    assert all(chr(32 + token) in "abc" for token in tokens_of(engine.events)["both", 0])
    grammars.close()
    engine.core.close()


def test_an_adapter_that_is_refused_fails_who_waits_for_it_and_nobody_else(engine):
    engine.model.adding.clear()
    engine.tell(AddAdapter("missing", str(engine.folder / "missing")))
    engine.tell(Submit(request("hopeful", [1, 2], adapter="missing")), Submit(good := request("good", [1, 2])))
    engine.model.adding.set()
    engine.run_until(lambda: engine.fate_of("missing") and not engine.core.busy)
    (refused,) = engine.fate_of("missing")
    assert "cannot be read: No such file" in refused.message
    assert engine.failures() == {"hopeful": "adapter 'missing' could not be loaded"}
    assert tokens_of(engine.events) == {("good", 0): expected(good, 0)}


def test_an_unexpected_error_of_a_load_is_logged_and_told_in_a_sentence(tmp_path, caplog):
    class Broken(FakeStepModel):
        def add_adapter(self, key, path):
            raise ZeroDivisionError("a bug of ours")

    engine = Engine(tmp_path, Broken(adapters=2))
    engine.add("key", "pirate")
    assert engine.fate_of("key") == [AdapterRefused("key", "the engine failed to load the adapter; its log says why")]
    assert "a bug of ours" in caplog.text
    engine.tell(Submit(good := request("good", [1, 2])))
    assert tokens_of(engine.run()) == {("good", 0): expected(good, 0)}
    engine.core.close()


def test_a_model_without_room_for_adapters_refuses_them(tmp_path):
    engine = Engine(tmp_path, FakeStepModel())
    engine.begin_to_add("key", "pirate")
    assert engine.run() == [AdapterRefused("key", "this engine has no room for adapters; its log says why")]


def test_a_request_for_an_unknown_or_dropped_adapter_fails(engine):
    engine.add("key", "pirate")
    engine.tell(DropAdapter("key"), DropAdapter("never seen"))
    engine.tell(Submit(request("late", [1, 2], adapter="key")), Submit(request("lost", [1, 2], adapter="unknown")))
    engine.run()
    assert engine.failures() == {"late": "adapter 'key' is not loaded", "lost": "adapter 'unknown' is not loaded"}
    assert engine.model.salts == {}


def test_a_key_that_is_in_use_cannot_be_added_again(engine):
    engine.add("key", "pirate")
    with pytest.raises(ValueError, match="'key' is in use"):
        engine.begin_to_add("key", "telegram")


def test_a_dropped_adapter_stays_for_those_who_use_it_and_goes_with_the_last(engine):
    engine.add("key", "pirate")
    short = request("short", [1, 2], max_tokens=3, adapter="key")
    long = request("long", [1, 2], max_tokens=30, adapter="key")
    engine.tell(Submit(short), Submit(long), DropAdapter("key"))
    while ("long", 0) not in {(e.request_id, 0) for e in engine.events if isinstance(e, Finished)}:
        assert list(engine.model.salts) == ["key"]
        engine.events += engine.core.step()
    assert engine.core.busy
    engine.run()
    assert engine.model.salts == {}
    assert tokens_of(engine.events) == {(each.id, 0): expected(each, 0, "pirate") for each in (short, long)}


def test_an_abort_gives_a_dropped_adapter_back_without_any_other_request(engine):
    engine.add("key", "pirate")
    engine.tell(Submit(request("a", [1, 2], max_tokens=100, adapter="key")), DropAdapter("key"))
    engine.events += engine.core.step()
    engine.tell(Abort("a"))
    assert engine.core.busy
    engine.run()
    assert engine.model.salts == {}


def test_an_adapter_dropped_while_it_is_loaded_serves_who_waits_for_it_and_goes(engine):
    engine.model.adding.clear()
    engine.begin_to_add("key", "pirate")
    engine.begin_to_add("unused", "telegram")
    early = request("early", [1, 2], adapter="key")
    engine.tell(Submit(early), DropAdapter("key"), DropAdapter("unused"), Submit(request("late", [1], adapter="key")))
    engine.model.adding.set()
    engine.run_until(lambda: engine.fate_of("unused") and not engine.core.busy)
    assert [type(engine.fate_of(key)[0]) for key in ("key", "unused")] == [AdapterAdded] * 2
    assert tokens_of(engine.events) == {("early", 0): expected(early, 0, "pirate")}
    assert set(engine.failures()) == {"late"}
    assert engine.model.salts == {}


def test_a_request_that_is_aborted_while_it_waits_for_its_adapter_is_forgotten(engine):
    engine.model.adding.clear()
    engine.begin_to_add("key", "pirate")
    asked = request("b", [1, 2], seeds=(1, 2), controls=SAMPLED, adapter="key")
    engine.tell(Submit(request("a", [1, 2], adapter="key")), Submit(asked), Abort("a"), Abort("b", 0))
    engine.model.adding.set()
    engine.run_until(lambda: tokens_of(engine.events) and not engine.core.busy)
    assert tokens_of(engine.events) == {("b", 1): expected(asked, 1, "pirate")}


def test_no_prefix_is_shared_between_the_base_adapters_and_what_replaces_one(engine):
    texts = {None: None, "pirate@1": "pirate", "telegram@1": "telegram", "pirate@2": "better pirate"}
    for key, text in texts.items():
        if key is not None:
            engine.add(key, text)
    for turn, cached in (("first", 0), ("second", 28)):
        for key, text in texts.items():
            engine.tell(Submit(asked := request(f"{turn} {key}", list(range(30)), adapter=key)))
            events = engine.run()
            assert events[0] == Prefilled(asked.id, cached)
            assert tokens_of(events) == {(asked.id, 0): expected(asked, 0, text)}
