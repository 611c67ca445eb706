"""Folding the pieces of a stream gives the reply that would have come whole."""

from __future__ import annotations

import struct

from friendli._fold import CompletionFold
from friendli.models import CompletionsLogprobs


def test_interleaved_pieces_come_out_as_choices_in_order_of_index():
    fold = CompletionFold()
    fold.token(1, "b", 10)
    fold.token(0, "a", 20)
    fold.token(1, "", 11)
    fold.token(1, "c", 12)
    fold.finish(1, "length", 5)
    fold.finish(0, "stop", 4)
    assert [(c.index, c.text, c.tokens, c.finish_reason, c.seed) for c in fold.choices()] == [
        (0, "a", [20], "stop", 4),
        (1, "bc", [10, 11, 12], "length", 5),
    ]


def test_a_choice_may_end_without_pieces_and_a_piece_may_lack_a_token():
    fold = CompletionFold()
    fold.finish(0, "stop", None)
    fold.token(1, "text", None)
    empty, unnumbered = fold.choices()
    assert (empty.text, empty.tokens, empty.finish_reason) == ("", [], "stop")
    assert (unnumbered.text, unnumbered.tokens, unnumbered.finish_reason) == ("text", [], None)


def test_the_fold_can_be_read_while_it_grows_and_nothing_is_shared():
    fold = CompletionFold()
    fold.token(0, "a", 1)
    early = fold.choices()[0]
    fold.token(0, "b", 2)
    assert (early.text, early.tokens) == ("a", [1])
    assert fold.choices()[0].text == "ab"


def test_log_probabilities_are_joined_and_the_pieces_left_as_they_were():
    fold = CompletionFold()
    first = CompletionsLogprobs(text_offset=[0], token_logprobs=[-1.0], tokens=["a"])
    fold.token(0, "a", 1, first)
    fold.token(0, "b", 2, CompletionsLogprobs(text_offset=[1], token_logprobs=[-2.0], tokens=["b"]))
    joined = fold.choices()[0].logprobs
    assert joined == CompletionsLogprobs(text_offset=[0, 1], token_logprobs=[-1.0, -2.0], tokens=["a", "b"])
    assert first.tokens == ["a"]


def test_choices_read_early_do_not_grow():
    fold = CompletionFold()
    fold.token(0, "a", 1, CompletionsLogprobs(tokens=["a"]))
    (early,) = fold.choices()
    fold.token(0, "b", 2, CompletionsLogprobs(tokens=["b"]))
    assert early.logprobs.tokens == ["a"]


def test_log_probabilities_that_were_asked_for_are_there_without_a_token_too():
    fold = CompletionFold(logprobs=True)
    fold.finish(0, "stop", 1)
    (choice,) = fold.choices()
    assert choice.logprobs == CompletionsLogprobs(text_offset=[], token_logprobs=[], tokens=[], top_logprobs=[])


def test_rows_of_logits_are_joined_and_can_be_read():
    fold = CompletionFold()
    fold.token(0, "a", 1, logits=[struct.pack("<3f", 1, 2, 3)])
    fold.token(0, "b", 2, logits=[struct.pack("<3f", 4, 5, 6)])
    fold.token(1, "c", 3)
    with_logits, without = fold.choices()
    assert with_logits.output_logits.shape == (2, 3)
    assert [list(row) for row in with_logits.output_logits.rows()] == [[1, 2, 3], [4, 5, 6]]
    assert "output_logits" in with_logits.model_dump()
    assert "output_logits" not in without.model_dump()
    assert with_logits.output_logits.data not in repr(with_logits)
