"""Beam searches among other requests: the result that each has alone, whatever runs beside it."""

import numpy as np
import pytest
from engine_helpers import GREEDY, HEADS, core_on, expected, history_of, reasons_of, request, run, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.fake_model import FakeStepModel, context_logits
from friendli_endpoint.engine.vocabulary import Abort, Beams, Controls, Failed, Finished, ModelCard, Prefilled, Submit
from friendli_endpoint.sampling.beams.search import BeamSearch
from friendli_endpoint.sampling.draw import Draw
from friendli_endpoint.sampling.sampler import Sampler

KINDS = ("DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC")
PENALISED = Controls(repetition_penalty=1.3, no_repeat_ngram=2)


def searched(asked):
    """Tokens and reason of a search, computed alone: every beam's context from scratch at every step."""
    search, sampler, contexts = BeamSearch(asked), Sampler(HEADS), [list(asked.prompt)]
    while True:
        logits = np.array([context_logits(np.array(context)) for context in contexts], np.float32)
        draws = []
        for i, context in enumerate(contexts):
            position, history = len(context) - len(asked.prompt), history_of(asked, context)
            draws.append(Draw(i, asked, asked.seeds[0], position, history, search.places[i]))
        moves = search.advance(sampler.sample(logits, draws))
        if not moves:
            tokens, reason = search.result()
            return [token for token, _ in tokens], reason
        contexts = [[*contexts[parent], token] for parent, token in moves]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("controls", [Controls(), PENALISED], ids=["plain", "penalised"])
def test_a_search_in_the_batch_gives_what_it_gives_computed_beam_by_beam(kind, controls):
    asked = request("a", list(range(9)), max_tokens=12, beams=Beams(4, kind), eos_tokens=(5, 50), controls=controls)
    core = core_on(FakeStepModel())
    core.receive(Submit(asked))
    events = run(core)
    tokens, reason = searched(asked)
    assert events[0] == Prefilled("a", 0)
    assert tokens_of(events).get(("a", 0), []) == tokens
    assert reasons_of(events) == {("a", 0): reason}


def test_a_search_reports_nothing_before_it_is_done():
    core = core_on(FakeStepModel())
    core.receive(Submit(request("a", [1, 2], max_tokens=6, beams=Beams(3), controls=Controls())))
    steps = []
    while core.busy:
        steps.append(core.step())
    assert steps[0] == [Prefilled("a", 0)]
    assert not any(steps[1:-1])
    assert isinstance(steps[-1][-1], Finished)


def test_beams_share_the_blocks_of_what_they_have_in_common():
    """With all tables apart, four beams behind a prompt of 40 tokens would need 44 blocks of the 20 there are."""
    model = FakeStepModel(blocks=20)
    asked = request("a", list(range(40)), max_tokens=8, beams=Beams(4), controls=Controls())
    core = core_on(model)
    core.receive(Submit(asked))
    assert tokens_of(run(core))["a", 0] == searched(asked)[0]
    assert sum(len(batch.tokens) for batch in model.batches) <= 40 + 4 * 7, "nothing was computed twice"


def test_a_search_that_gives_way_to_older_requests_goes_on_where_it_was():
    """Their decodes take the last blocks, so that the beams are preempted, all of them together."""
    model = FakeStepModel(blocks=27)
    core = core_on(model)
    older = [request(f"older-{i}", list(range(i, i + 20)), max_tokens=16) for i in range(3)]
    asked = request("a", list(range(30, 50)), max_tokens=16, beams=Beams(4), controls=Controls())
    for each in [*older, asked]:
        core.receive(Submit(each))
    tokens = tokens_of(run(core))
    assert tokens == {(each.id, 0): expected(each, 0) for each in older} | {("a", 0): searched(asked)[0]}
    assert sum(past == 0 for batch in model.batches for past in batch.past_lens) == 5, "one prompt was computed again"


def test_a_search_waits_until_there_are_rows_for_all_its_beams():
    model = FakeStepModel()
    core = core_on(model, max_rows=4)
    core.receive(Submit(request("first", [1, 2], max_tokens=5)))
    core.receive(Submit(request("a", [3, 4], max_tokens=5, beams=Beams(4), controls=Controls())))
    events = run(core)
    order = [event.request_id for event in events if isinstance(event, Finished)]
    assert order == ["first", "a"]
    assert max(len(batch.past_lens) for batch in model.batches) <= 4


def test_a_search_that_is_aborted_gives_every_block_back():
    core = core_on(FakeStepModel())
    core.receive(Submit(request("a", [1, 2, 3], max_tokens=20, beams=Beams(4), controls=Controls())))
    for _ in range(5):
        core.step()
    core.receive(Abort("a", 0))
    assert not core.busy
    assert core.step() == []  # an idle step checks the accounts of all blocks


def test_a_search_whose_beams_cannot_fit_the_cache_is_refused_alone():
    core = core_on(FakeStepModel(blocks=12))
    core.receive(Submit(request("wide", list(range(8)), max_tokens=12, beams=Beams(4), controls=Controls())))
    core.receive(Submit(request("good", [1, 2])))
    events = run(core)
    assert [event.request_id for event in events if isinstance(event, Failed)] == ["wide"]
    assert len(tokens_of(events)["good", 0]) == 8


@pytest.mark.parametrize(
    ("prompt", "beams", "most"), [(8, 1, 40), (8, 4, 8), (9, 4, 7), (8, 5, 8), (48, 1, 0), (47, 2, -3)]
)
def test_the_room_for_beams_is_the_blocks_that_each_has_behind_the_shared_prompt(prompt, beams, most):
    card = ModelCard("m", "m", 97, 1000, 4, 12, "none", 2)
    assert card.most_tokens(prompt, beams) == most


work = st.lists(
    st.tuples(
        st.integers(1, 30),  # prompt length
        st.integers(1, 12),  # max_tokens
        st.integers(0, 5),  # beams; 0 is a plain request
        st.sampled_from(KINDS),
        st.integers(0, 2),  # which prompt family, so that prefixes are shared
        st.booleans(),  # with penalties
        st.integers(0, 5),  # steps before the next arrives
        st.one_of(st.none(), st.none(), st.integers(0, 8)),  # abort it so many steps later
    ),
    min_size=1,
    max_size=7,
)


@given(work=work, blocks=st.integers(12, 40), max_rows=st.integers(2, 8))
@settings(max_examples=100, deadline=None)
def test_any_mix_of_searches_and_requests_gives_each_its_own_result(work, blocks, max_rows):
    """Little memory forces preemption of whole searches; the block accounts are checked after each step."""
    model = FakeStepModel(blocks=blocks)
    core = core_on(model, max_rows=max_rows, step_tokens=max_rows + 33)
    asked, aborting, aborted, events = {}, {}, set(), []
    for i, (length, max_tokens, width, kind, family, penalised, pause, abort_after) in enumerate(work):
        prompt = [(family * 7 + k) % 97 for k in range(length)]
        beams = Beams(width, kind) if width else None
        room = model.card.most_tokens(length, width or 1)
        if room < 1:
            continue
        controls = PENALISED if penalised else (Controls() if width else GREEDY)
        name = f"r{i}"
        asked[name] = request(
            name, prompt, max_tokens=min(max_tokens, room), beams=beams, controls=controls, eos_tokens=(11,)
        )
        core.receive(Submit(asked[name]))
        if abort_after is not None:
            aborting[name] = abort_after
        for _ in range(pause):
            events += core.step()
            for each in [each for each, left in aborting.items() if left == 0]:
                core.receive(Abort(each))
                aborted.add(each)
            aborting = {each: left - 1 for each, left in aborting.items()}
    events += run(core)
    reported, ended = tokens_of(events), reasons_of(events)
    for name, each in asked.items():
        got = reported.get((name, 0), [])
        whole = searched(each)[0] if each.beams else expected(each, 0)
        assert got == whole if (name, 0) in ended else (name in aborted and got == whole[: len(got)])
