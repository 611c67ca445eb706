"""What is compiled, kept and copied, and what `ban` does to rows of logits."""

from __future__ import annotations

import time
from threading import Event, Thread

import numpy as np
import pytest
from grammar_kit import END, SMALL, SMALL_SIZE, allowed, generate, regex, schema, small_grammars

from friendli_endpoint.sampling.grammar import GrammarError, Grammars, Vocabulary, ban, masks_of
from friendli_endpoint.sampling.grammar.native import Native
from friendli_endpoint.sampling.grammar.schema import to_schema


def start(grammars, grammar):
    return grammars.compile(grammar, (END,)).result(timeout=60)


@pytest.fixture
def compiled(monkeypatch):
    """The rules that are compiled while a test runs."""
    rules, compile_rule = [], Native.compile

    def remember(native, rule):
        rules.append(rule)
        return compile_rule(native, rule)

    monkeypatch.setattr(Native, "compile", remember)
    return rules


def test_a_grammar_is_compiled_once_and_then_ready_at_once(compiled):
    grammars = small_grammars()
    start(grammars, regex("ab"))
    again = grammars.compile(regex("ab"), ())
    assert again.done()
    assert len(compiled) == 1


def test_a_refused_grammar_is_refused_again_without_compiling(compiled):
    grammars, nothing = small_grammars(), regex(r"[^\s\S]")
    for _ in range(2):
        with pytest.raises(GrammarError, match="nothing can match"):
            start(grammars, nothing)
    assert len(compiled) == 1


def test_the_latest_grammars_are_kept_up_to_a_count(compiled):
    grammars = small_grammars(most_kept=2)
    for pattern in ("a", "b", "a", "c", "a", "b"):
        start(grammars, regex(pattern))
    assert compiled == ["/(?:a)/", "/(?:b)/", "/(?:c)/", "/(?:b)/"]


def test_the_latest_grammars_are_kept_up_to_a_size(compiled):
    grammars = small_grammars(most_kept_bytes=10)
    for pattern in ("a" * 6, "b" * 6, "a" * 6, "c" * 4, "a" * 6):
        start(grammars, regex(pattern))
    assert len(compiled) == 4


def test_a_compilation_is_renewed_after_many_uses(compiled):
    grammars = small_grammars()
    for _ in range(600):
        start(grammars, regex("ab"))
    assert len(compiled) == 3


def test_the_vocabulary_is_made_once_and_only_for_a_grammar():
    made = []
    grammars = Grammars(lambda: made.append(1) or SMALL, SMALL_SIZE)
    assert not made
    for pattern in ("a", "b"):
        start(grammars, regex(pattern))
    assert made == [1]


def test_an_oversized_grammar_is_not_kept(compiled):
    grammars = small_grammars()
    for _ in range(2):
        with pytest.raises(GrammarError, match="at most 131072"):
            start(grammars, regex("a" * 200_000))
    assert compiled == []


def test_nothing_is_compiled_after_close():
    grammars = small_grammars()
    grammars.close()
    with pytest.raises(RuntimeError):
        grammars.compile(regex("a"), ())


def test_copies_and_matchers_of_one_grammar_go_their_own_ways():
    grammars, (a, b) = small_grammars(), map(SMALL.tokens.index, (b"a", b"b"))
    first, second = (start(grammars, regex("ab|ba")) for _ in range(2))
    beginning = allowed(first)
    first.push(a)
    copy = first.copy()
    copy.push(b)
    assert copy.finished
    assert not first.finished
    assert b in allowed(first)
    assert a not in allowed(first)
    assert allowed(second) == beginning


def test_ban_bans_each_row_by_its_own_matcher_and_touches_nothing_else():
    grammars, (a, b) = small_grammars(), map(SMALL.tokens.index, (b"a", b"b"))
    logits = np.random.default_rng(0).normal(0, 3, (4, SMALL_SIZE)).astype(np.float32)
    before = logits.copy()
    matchers = [start(grammars, regex("a|b")), start(grammars, regex("b"))]
    ban(logits, [3, 1], matchers, masks_of(matchers))
    assert (logits[[0, 2]] == before[[0, 2]]).all()
    for row, allowed_texts in ((3, (b"a", b"b")), (1, (b"b",))):
        left = [i for i, text in enumerate(SMALL.tokens) if text in allowed_texts]
        assert np.flatnonzero(logits[row] > -np.inf).tolist() == left
        assert (logits[row, left] == before[row, left]).all()
    assert a != b


def test_a_row_that_is_not_finite_stays_so():
    """The sampler tells a model's failure by it."""
    logits = np.full((1, SMALL_SIZE), np.nan, np.float32)
    matcher = start(small_grammars(), regex("a"))
    ban(logits, [0], [matcher], masks_of([matcher]))
    assert np.isnan(logits).any()


@pytest.mark.parametrize("size", [31, 32, 33, 63, 64, 65, 256])
def test_any_vocabulary_size_is_masked_to_its_last_token(size):
    vocabulary = Vocabulary((*(b"x",) * (size - 1), b"y"))
    matcher = Grammars(lambda: vocabulary, size).compile(regex("y+|xx"), (0, size + 5)).result(timeout=60)
    assert allowed(matcher, size) == set(range(1, size))
    matcher.push(size - 1)
    assert allowed(matcher, size) == {0, size - 1}


def test_special_and_empty_tokens_are_never_text():
    vocabulary = Vocabulary((b"a", b"a", b"a", b"", b"a"), special=frozenset((1,)), eos_tokens=(2,))
    matcher = Grammars(lambda: vocabulary, 6).compile(regex("a+"), ()).result(timeout=60)
    assert allowed(matcher, 6) == {0, 4}


def test_a_failing_vocabulary_fails_the_future_and_is_tried_again():
    answers = [OSError("gone"), SMALL]

    def vocabulary():
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    grammars = Grammars(vocabulary, SMALL_SIZE)
    with pytest.raises(OSError, match="gone"):
        start(grammars, regex("a"))
    assert generate(start(grammars, regex("a")), 0) == "a"


def test_python_goes_on_while_a_large_grammar_is_compiled():
    """Steps that another thread makes between the compilation's beginning and its end."""
    large = schema({"anyOf": [{"properties": {f"p{i}": {"maxLength": i + k} for i in range(490)}} for k in range(8)]})
    native, rule = Native(SMALL, SMALL_SIZE, threads=1), f"%json {to_schema(large.source)}"
    steps, done, seen = [0], Event(), []

    def compile_and_look():
        seen.append(steps[0])
        native.compile(rule)
        seen.append(steps[0])
        done.set()

    Thread(target=compile_and_look).start()
    while not done.is_set():
        time.sleep(0.0002)
        steps[0] += 1
    assert seen[1] - seen[0] > 20
