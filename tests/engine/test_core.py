"""The engine's step on a model that reads its blocks back: the same tokens whatever happens around a request."""

import numpy as np
import pytest
from engine_helpers import GREEDY, core_on, expected, reasons_of, request, run, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import Abort, Controls, Failed, Finished, Prefilled, Resumed, Sampled, Submit

SAMPLED = Controls(temperature=1.3, top_p=0.9)


def test_a_request_gives_its_prefill_its_tokens_and_its_end_in_order():
    core = core_on(FakeStepModel())
    asked = request("a", [1, 2, 3], max_tokens=2)
    core.receive(Submit(asked))
    events = run(core)
    assert events[0] == Prefilled("a", 0)
    assert tokens_of(events) == {("a", 0): expected(asked, 0)}
    assert events[-1] == Finished("a", 0, "length")


def test_an_eos_token_ends_the_choice_and_is_not_reported():
    plain = request("a", [5, 6], max_tokens=8)
    eos = expected(plain, 0)[3]
    asked = request("a", [5, 6], max_tokens=8, eos_tokens=(eos,))
    core = core_on(FakeStepModel())
    core.receive(Submit(asked))
    events = run(core)
    assert tokens_of(events) == {("a", 0): expected(plain, 0)[:3]}
    assert reasons_of(events) == {("a", 0): "stop"}


def test_choices_share_the_prompt_and_continue_as_if_each_had_been_asked_alone():
    asked = request("a", list(range(10)), seeds=(7, 8, 9), controls=SAMPLED)
    model = FakeStepModel()
    core = core_on(model)
    core.receive(Submit(asked))
    events = run(core)
    assert tokens_of(events) == {("a", choice): expected(asked, choice) for choice in range(3)}
    assert sum(len(batch.tokens) for batch in model.batches) == 10 + 3 * 7, "the prompt was computed once"


def test_the_second_time_a_prefix_comes_from_the_cache_and_gives_the_same_tokens():
    core = core_on(FakeStepModel())
    asked = request("a", list(range(30)))
    core.receive(Submit(asked))
    first = run(core)
    core.receive(Submit(request("b", list(range(30)))))
    second = run(core)
    assert (first[0], second[0]) == (Prefilled("a", 0), Prefilled("b", 28))
    assert tokens_of(second)["b", 0] == tokens_of(first)["a", 0]


def test_a_prefix_of_another_scope_is_never_reused():
    core = core_on(FakeStepModel())
    core.receive(Submit(request("a", list(range(30)))))
    run(core)
    core.receive(Submit(request("b", list(range(30)), scope="another team")))
    assert run(core)[0] == Prefilled("b", 0)


@pytest.mark.parametrize("length", range(1, 12))
def test_what_the_cache_leaves_over_is_at_least_two_tokens(length):
    core = core_on(FakeStepModel(block_size=4))
    for name in ("a", "b"):
        core.receive(Submit(request(name, list(range(length)))))
        events = run(core)
    assert events[0].cached_tokens == max(0, (length - 2) // 4 * 4)


def test_a_request_that_does_not_fit_fails_alone():
    core = core_on(FakeStepModel())
    core.receive(Submit(request("long", [1], max_tokens=500)))
    core.receive(Submit(request("alien", [97])))
    core.receive(Submit(request("adapted", [1], adapter="pirate")))
    core.receive(Submit(request("good", [1, 2])))
    events = run(core)
    assert {event.request_id for event in events if isinstance(event, Failed)} == {"long", "alien", "adapted"}
    assert len(tokens_of(events)["good", 0]) == 8


def test_a_model_that_gives_no_finite_logits_fails_that_request_only():
    class Broken(FakeStepModel):
        def forward(self, batch):
            logits = super().forward(batch)
            logits[[batch.tokens[i] == 13 for i in batch.sampled]] = np.nan
            return logits

    core = core_on(Broken())
    core.receive(Submit(request("bad", [1, 13], seeds=(1, 2), controls=SAMPLED)))
    core.receive(Submit(good := request("good", [1, 2])))
    events = run(core)
    assert [event.request_id for event in events if isinstance(event, Failed)] == ["bad"]
    assert tokens_of(events) == {("good", 0): expected(good, 0)}


def test_replayed_tokens_are_not_reported_again_and_the_rest_is_the_same():
    asked = request("a", [3, 1, 4], seeds=(1, 2), controls=SAMPLED)
    whole = {choice: expected(asked, choice) for choice in (0, 1)}
    again = request(
        "a", [3, 1, 4], seeds=(1, 2), controls=SAMPLED, generated=(tuple(whole[0][:5]), tuple(whole[1][:2]))
    )
    core = core_on(FakeStepModel())
    core.receive(Submit(again))
    events = run(core)
    assert tokens_of(events) == {("a", 0): whole[0][5:], ("a", 1): whole[1][2:]}
    first = next(i for i, event in enumerate(events) if isinstance(event, Sampled))
    assert events[:first] == [Prefilled("a", 0), Resumed("a")], "it says when the first of them is where it was"
    assert events.count(Resumed("a")) == 2


def test_prompts_longer_than_a_step_are_computed_in_chunks_beside_running_decodes():
    model = FakeStepModel(blocks=128)
    core = core_on(model, max_rows=4, step_tokens=36)
    first, long = request("first", [1, 2], max_tokens=20), request("long", list(range(90)), max_tokens=4)
    core.receive(Submit(first))
    core.step()
    core.receive(Submit(long))
    assert tokens_of(run(core))["long", 0] == expected(long, 0)
    chunked = [batch for batch in model.batches if len(batch.tokens) > 2]
    assert len(chunked) >= 3
    assert all(len(batch.past_lens) == 2 for batch in chunked), "a decode ran beside every chunk"


def test_a_step_budget_too_small_for_the_rows_is_refused():
    with pytest.raises(ValueError, match="step_tokens"):
        Limits(max_rows=64, step_tokens=64)


work = st.lists(
    st.tuples(
        st.integers(1, 40),  # prompt length
        st.integers(1, 20),  # max_tokens
        st.integers(1, 3),  # n
        st.integers(0, 3),  # which prompt family, so that prefixes are shared
        st.booleans(),  # sampled or greedy
        st.integers(0, 6),  # steps before the next arrives
        st.one_of(st.none(), st.integers(0, 12)),  # abort it so many steps later
    ),
    min_size=1,
    max_size=10,
)


@given(work=work, blocks=st.integers(15, 40), max_rows=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_any_mix_of_requests_gives_each_its_own_tokens_and_returns_every_block(work, blocks, max_rows):
    """Little memory and few rows force preemption; aborts come at any step; block accounts are checked after each."""
    model = FakeStepModel(blocks=blocks)
    core = core_on(model, max_rows=max_rows, step_tokens=max_rows + 33)
    asked, aborted, events = {}, {}, []
    for i, (length, max_tokens, n, family, sampled, pause, abort_after) in enumerate(work):
        prompt = [(family * 7 + k) % 97 for k in range(length)]
        controls = SAMPLED if sampled else GREEDY
        asked[f"r{i}"] = request(f"r{i}", prompt, max_tokens=max_tokens, seeds=tuple(range(n)), controls=controls)
        core.receive(Submit(asked[f"r{i}"]))
        if abort_after is not None:
            aborted[f"r{i}"] = abort_after
        for _ in range(pause):
            events += core.step()
            for name in [name for name, left in aborted.items() if left == 0]:
                core.receive(Abort(name))
            aborted = {name: left - 1 for name, left in aborted.items()}
    events += run(core)
    reported = tokens_of(events)
    for name, each in asked.items():
        for choice in range(len(each.seeds)):
            got, whole = reported.get((name, choice), []), expected(each, choice)
            assert got == (whole if name not in aborted else whole[: len(got)])


@given(
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=6), max_rows=st.integers(1, 6), spare=st.integers(32, 60)
)
@settings(max_examples=100, deadline=None)
def test_no_prefill_chunk_is_a_single_token_and_no_step_exceeds_its_budget(lengths, max_rows, spare):
    model = FakeStepModel(blocks=200)
    core = core_on(model, max_rows=max_rows, step_tokens=max_rows + spare)
    prompts = {f"r{i}": [i, *range(length - 1)] for i, length in enumerate(lengths)}
    for name, prompt in prompts.items():
        core.receive(Submit(request(name, prompt, max_tokens=3)))
    run(core)
    # A row of one token is a decode: it starts behind a whole prompt, or it is a prompt of one token.
    ends = set(map(len, prompts.values()))
    for batch in model.batches:
        assert len(batch.tokens) <= max_rows + spare
        for count, past in zip(np.diff(batch.row_begins), batch.past_lens, strict=True):
            assert count > 1 or past == 0 or any(past - end in (0, 1) for end in ends)


def test_aborting_one_choice_leaves_the_others_as_they_were():
    asked = request("a", [9, 9, 9], seeds=(1, 2, 3), controls=SAMPLED, max_tokens=12)
    core = core_on(FakeStepModel())
    core.receive(Submit(asked))
    core.receive(Abort("a", 0))  # before the prompt is computed: its sequence computes it for the others
    events = core.step() + core.step()
    core.receive(Abort("a", 2))
    events += run(core)
    tokens = tokens_of(events)
    assert ("a", 0) not in tokens
    assert tokens["a", 1] == expected(asked, 1)
    assert tokens["a", 2] == expected(asked, 2)[:2]


def test_aborting_every_choice_before_it_has_started_ends_the_request():
    core = core_on(FakeStepModel())
    core.receive(Submit(request("a", [9, 9, 9], seeds=(1, 2))))
    core.receive(Abort("a", 0))
    core.receive(Abort("a", 1))
    assert not core.busy
    core.receive(Abort("a"))
    core.receive(Abort("never seen"))
    assert run(core) == []


def test_a_block_that_preemption_leaves_to_its_last_holder_is_written_without_a_copy():
    """Four blocks, all held: the older choice goes on where the younger one has just been preempted."""
    model = FakeStepModel(blocks=4, block_size=4)
    core = core_on(model)
    core.receive(Submit(asked := request("a", list(range(14)), max_tokens=2, seeds=(1, 2), controls=SAMPLED)))
    events = core.step() + core.step()
    assert [(len(batch.tokens), batch.past_lens.tolist()) for batch in model.batches] == [(14, [0]), (1, [14])]
    assert tokens_of(events + run(core)) == {("a", choice): expected(asked, choice) for choice in (0, 1)}


def test_a_pulse_counts_what_forwards_have_computed_and_what_the_cache_had():
    core = core_on(FakeStepModel())
    for name in ("a", "b"):
        core.receive(Submit(request(name, list(range(30)), max_tokens=5)))
        run(core)
    pulse = core.pulse(7)
    assert pulse.number == 7
    assert (pulse.forwards, pulse.rows) == (10, 10)
    assert (pulse.prefill_tokens, pulse.decode_tokens, pulse.cached_tokens) == (30 + 2, 4 + 4, 28)
    assert (pulse.running, pulse.waiting, pulse.adapters, pulse.preemptions) == (0, 0, 0, 0)
    assert (pulse.kv_blocks, pulse.kv_blocks_used, pulse.kv_blocks_cached) == (64, 0, 7)


def test_a_pulse_says_who_runs_and_who_waits_and_what_they_hold():
    core = core_on(FakeStepModel(block_size=4), max_rows=2)
    for name in ("a", "b", "c"):
        core.receive(Submit(request(name, [1, 2, 3], max_tokens=5)))
    core.step()
    pulse = core.pulse(1)
    assert (pulse.running, pulse.waiting, pulse.rows, pulse.kv_blocks_used) == (2, 1, 2, 2)


def test_a_pulse_counts_preemptions():
    core = core_on(FakeStepModel(blocks=12), max_rows=4)
    for name in ("a", "b", "c"):
        core.receive(Submit(request(name, [1, 2, 3], max_tokens=30)))
    run(core)
    assert core.pulse(1).preemptions > 0
