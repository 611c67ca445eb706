"""Requests whose text has to match a grammar, among others: compiled beside the steps, blamed alone when they fail."""

import re
from concurrent.futures import Future
from threading import Event

import pytest
from engine_helpers import GREEDY, core_on, expected, reasons_of, request, run, tokens_of

from friendli_endpoint.engine.fake_model import FakeStepModel, load_vocabulary
from friendli_endpoint.engine.options import EngineOptions
from friendli_endpoint.engine.vocabulary import Abort, Beams, Controls, Failed, Finished, Grammar, Prefilled, Submit
from friendli_endpoint.sampling.grammar import GrammarError, Grammars

PATTERN = "[a-c]{3,6}(-[0-9]+)?"
MATCHING = Controls(grammar=Grammar("regex", PATTERN))
EOS = (96,)


def text_of(tokens):
    return "".join(chr(32 + token) for token in tokens)


@pytest.fixture(scope="module")
def grammars():
    with_threads = Grammars(lambda: load_vocabulary(EngineOptions("none")), 97)
    yield with_threads
    with_threads.close()


@pytest.fixture
def compiled(grammars):
    """Grammars that have this file's pattern ready, so that a core is busy with it at once."""
    grammars.compile(MATCHING.grammar, EOS).result()
    return grammars


def asked_for(name, *, controls=MATCHING, **more):
    more.setdefault("max_tokens", 40)
    return request(name, list(range(5)), controls=controls, eos_tokens=EOS, **more)


class HeldBack:
    """Grammars whose futures the test completes."""

    def __init__(self):
        self.futures = []

    def compile(self, grammar, eos_tokens):
        self.futures.append(Future())
        return self.futures[-1]


def test_every_choice_that_stops_matches_as_a_whole(compiled):
    core = core_on(FakeStepModel(), grammars=compiled)
    core.receive(Submit(asked_for("a", seeds=tuple(range(8)))))
    events = run(core)
    assert set(reasons_of(events).values()) == {"stop"}
    texts = [text_of(tokens) for tokens in tokens_of(events).values()]
    assert len(texts) == 8
    assert all(re.fullmatch(PATTERN, text) for text in texts)
    assert len(set(texts)) > 1


def test_an_output_that_nothing_can_follow_stops_without_an_end_token(grammars):
    core = core_on(FakeStepModel(), grammars=grammars)
    grammar = Grammar("regex", "yes|no")
    grammars.compile(grammar, ()).result()
    core.receive(Submit(request("a", [1, 2], controls=Controls(grammar=grammar))))
    events = run(core)
    assert text_of(tokens_of(events)["a", 0]) in ("yes", "no")
    assert reasons_of(events) == {("a", 0): "stop"}


def test_the_text_is_the_same_alone_in_company_and_after_preemption(compiled):
    alone = core_on(FakeStepModel(), grammars=compiled)
    alone.receive(Submit(asked_for("a", seeds=(1, 2, 3), max_tokens=30)))
    whole = tokens_of(run(alone))
    model = FakeStepModel(blocks=11)
    company = core_on(model, grammars=compiled)
    older = request("older", list(range(20)), max_tokens=20)
    company.receive(Submit(older))
    company.receive(Submit(asked_for("a", seeds=(1, 2, 3), max_tokens=30)))
    assert tokens_of(run(company)) == whole | {("older", 0): expected(older, 0)}
    assert sum(past == 0 for batch in model.batches for past in batch.past_lens) > 2, "some prompt was computed again"


@pytest.mark.parametrize("kind", ["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"])
def test_the_result_of_a_beam_search_matches_too(compiled, kind):
    core = core_on(FakeStepModel(), grammars=compiled)
    core.receive(Submit(asked_for("a", beams=Beams(4, kind))))
    events = run(core)
    assert reasons_of(events) == {("a", 0): "stop"}
    assert re.fullmatch(PATTERN, text_of(tokens_of(events)["a", 0]))


@pytest.mark.parametrize(
    ("error", "told", "logged"),
    [
        (GrammarError("the pattern ends too early"), "the pattern ends too early", ""),
        (TypeError("unhashable type: 'list'"), "the grammar cannot be compiled", "unhashable"),
    ],
    ids=["its own fault", "ours"],
)
def test_a_grammar_that_cannot_be_compiled_fails_its_request_only(caplog, error, told, logged):
    held = HeldBack()
    core = core_on(FakeStepModel(), grammars=held)
    core.receive(Submit(asked_for("bad")))
    core.receive(Submit(good := request("good", [1, 2], controls=GREEDY)))
    held.futures[0].set_exception(error)
    events = run(core)
    assert [event for event in events if isinstance(event, Failed)] == [
        Failed("bad", f"response_format: {told}.", "response_format")
    ]
    assert tokens_of(events) == {("good", 0): expected(good, 0)}
    assert logged in caplog.text


def test_requests_go_on_while_a_grammar_is_compiled_and_an_idle_core_is_woken_by_it(compiled):
    held, woken = HeldBack(), []
    core = core_on(FakeStepModel(), grammars=held, wake=lambda: woken.append(True))
    core.receive(Submit(asked_for("a")))
    core.receive(Submit(good := request("good", [1, 2], controls=GREEDY)))
    assert tokens_of(run(core)) == {("good", 0): expected(good, 0)}
    assert not core.busy
    assert not woken
    held.futures[0].set_result(compiled.compile(MATCHING.grammar, EOS).result())
    assert woken
    assert core.busy
    assert re.fullmatch(PATTERN, text_of(tokens_of(run(core))["a", 0]))


def test_a_request_that_is_aborted_while_its_grammar_is_compiled_is_forgotten(compiled):
    held = HeldBack()
    core = core_on(FakeStepModel(), grammars=held)
    core.receive(Submit(asked_for("a")))
    core.receive(Submit(asked_for("b", seeds=(1, 2))))
    core.receive(Abort("a"))
    core.receive(Abort("b", 0))
    assert [future.cancelled() for future in held.futures] == [True, False], "it takes nobody's turn to be compiled"
    held.futures[1].set_result(compiled.compile(MATCHING.grammar, EOS).result())
    assert list(tokens_of(run(core))) == [("b", 1)]


def run_to_the_end(model, grammars, *requests):
    """All events until each of the requests, of one choice each, has ended, however often a grammar is compiled."""
    compiled, events = Event(), []
    core = core_on(model, grammars=grammars, wake=compiled.set)
    for each in requests:
        core.receive(Submit(each))
    while len([event for event in events if isinstance(event, Failed | Finished)]) < len(requests):
        compiled.clear()
        events += run(core)
        if not events or not isinstance(events[-1], Failed | Finished):
            assert core.busy or compiled.wait(60)
    return events


@pytest.mark.parametrize("beams", [None, Beams(2)])
def test_an_output_whose_grammar_becomes_too_complex_is_told_so(grammars, beams):
    grammar = Grammar("regex", "((a{1,1000}){1,1000}){1,1000}b")
    endless = Controls(grammar=grammar, bad_words=((ord("b") - 32,),))
    asked = asked_for("a", controls=endless, beams=beams, max_tokens=400)
    events = run_to_the_end(FakeStepModel(blocks=400, context_length=1000), grammars, asked)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.field == "response_format"
    assert "became too complex while the output was generated" in failed.message


def test_an_output_that_becomes_too_complex_takes_no_other_with_it(grammars):
    """Both share what the library knows of their grammar; the one that broke it fails, the other one goes on."""
    grammar = Grammar("regex", "((a{1,1000}){1,1000}){1,1000}b|c[d-z]{300}")
    grammars.compile(grammar, EOS).result()

    def asked(name, letters, max_tokens):
        banned = tuple((ord(letter) - 32,) for letter in letters)
        return request(name, [1, 2], max_tokens=max_tokens, controls=Controls(grammar=grammar, bad_words=banned))

    asked_for_both = asked("hog", "cb", 800), asked("victim", "ab", 400)
    events = run_to_the_end(FakeStepModel(blocks=500, context_length=1500), grammars, *asked_for_both)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.request_id, failed.field) == ("hog", "response_format")
    assert "too complex" in failed.message
    assert reasons_of(events) == {("victim", 0): "stop"}
    assert re.fullmatch("c[d-z]{300}", text_of(tokens_of(events)["victim", 0]))
    assert [event.request_id for event in events if isinstance(event, Prefilled)] == ["hog", "victim"]


def test_bans_that_leave_nothing_blame_the_request(grammars):
    core = core_on(FakeStepModel(), grammars=grammars)
    grammar = Grammar("regex", "yes|no")
    grammars.compile(grammar, ()).result()
    banned = ((ord("y") - 32,), (ord("n") - 32,))
    core.receive(Submit(request("a", [1, 2], controls=Controls(grammar=grammar, bad_words=banned))))
    core.receive(Submit(good := request("good", [1, 2], controls=GREEDY)))
    events = run(core)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.request_id, failed.field) == ("a", "response_format")
    assert tokens_of(events) == {("good", 0): expected(good, 0)}
