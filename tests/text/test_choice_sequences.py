"""Stopping at token sequences, and not before so many tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import byte_fallback, byte_level
from test_choice import ABC, E_ACUTE, END, joined, run

from friendli_endpoint.errors import RequestError
from friendli_endpoint.text import ChoiceText, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOKENIZER = byte_level()


def stopped_at(tokens: Sequence[int], *stop_tokens: tuple[int, ...], stop: Sequence[str] = (), min_tokens: int = 0):
    pieces, stopped = run(tokens, stop, stop_tokens=stop_tokens, min_tokens=min_tokens)
    return joined(pieces), len(pieces), stopped


def test_a_sequence_is_dropped_with_the_text_of_its_tokens() -> None:
    assert stopped_at(b"say stop now", tuple(b"stop")) == ("say ", 4, True)


def test_tokens_that_may_begin_a_sequence_wait() -> None:
    choice = ChoiceText(TOKENIZER, stop_tokens=[(ABC, 33)])
    assert choice.push(97) == [Piece(97, "a")]
    assert choice.push(ABC) == []
    assert choice.push(ABC) == [Piece(ABC, "abc")]
    assert choice.push(34) == [Piece(ABC, "abc"), Piece(34, '"')]


def test_the_first_sequence_to_complete_wins_and_of_those_the_longest() -> None:
    assert stopped_at(b"xabcd", (*b"abcd",), (*b"bc",), (*b"abc",)) == ("x", 1, True)


def test_a_sequence_of_special_tokens_stops() -> None:
    assert stopped_at([97, END, END, 98], (END, END)) == ("a", 1, True)


def test_a_character_cut_by_a_sequence_is_a_replacement_character() -> None:
    """The result's text is what its tokens decode to, also where the rest of a character was dropped."""
    assert stopped_at([97, 0xE2, 0x82, 0xAC, 98], (0x82, 0xAC)) == ("a\ufffd", 2, True)


def test_a_phrase_that_the_cut_makes_is_cut_as_well() -> None:
    assert stopped_at([97, 98, 0xE2, 0x82], (0x82,), stop=["b\ufffd"]) == ("a", 1, True)


@pytest.mark.parametrize(
    ("phrase", "sequence", "expected"),
    [("yz", b"z", "x"), ("z", b"yz", "x"), ("xyz", b"yz", ""), ("z", b"xyz", "")],
)
def test_of_a_phrase_and_a_sequence_that_end_together_the_earlier_beginning_decides(
    phrase: str, sequence: bytes, expected: str
) -> None:
    text, _, stopped = stopped_at(b"xyz!", tuple(sequence), stop=[phrase])
    assert (text, stopped) == (expected, True)


def test_a_phrase_that_ends_in_an_earlier_token_comes_before_a_sequence() -> None:
    assert stopped_at(b"abcd", tuple(b"abcd"), stop=["bc"]) == ("a", 1, True)


def test_nothing_stops_within_the_first_tokens() -> None:
    assert stopped_at(b"stop", stop=["stop"], min_tokens=4) == ("stop", 4, False)
    assert stopped_at(b"stop", (115,), min_tokens=4) == ("stop", 4, False)
    assert stopped_at(b"stopstop", tuple(b"stop"), stop=["stop"], min_tokens=4) == ("stop", 4, True)


def test_a_stop_never_reaches_into_the_first_tokens() -> None:
    assert stopped_at(b"stop!", stop=["stop"], min_tokens=1) == ("stop!", 5, False)
    assert stopped_at(b"stop!", tuple(b"stop"), min_tokens=1) == ("stop!", 5, False)


def test_a_character_begun_within_the_first_tokens_belongs_to_them() -> None:
    euro = "€".encode()
    assert stopped_at([*euro, 33], stop=["€"], min_tokens=1) == ("€!", 4, False)
    assert stopped_at([*euro, 33], stop=["!"], min_tokens=1) == ("€", 3, True)
    assert stopped_at([*euro, *euro], stop=["€"], min_tokens=2) == ("€", 3, True)
    assert stopped_at([0xE2, E_ACUTE], stop=["\ufffd"], min_tokens=1) == ("\ufffdé", 2, False)


def test_of_bytes_replaced_one_by_one_those_of_the_first_tokens_are_theirs() -> None:
    """Both bytes become U+FFFD when the third is no continuation; only the second may be a phrase."""
    pieces, stopped = run([0xE2, 0x82, 97], ["\ufffd"], byte_fallback(), min_tokens=1)
    assert (joined(pieces), stopped) == ("\ufffd", True)


def test_an_empty_sequence_is_the_callers_fault() -> None:
    with pytest.raises(RequestError, match="at least one token") as raised:
        ChoiceText(TOKENIZER, stop_tokens=[()])
    assert raised.value.field == "stop_tokens"


TOKENS = st.lists(st.sampled_from([97, 98, 0xE2, 0x82, 0xAC, 0xC3, 256, 257, E_ACUTE, END]), max_size=16)
SEQUENCES = st.lists(TOKENS.filter(bool).map(lambda tokens: tuple(tokens[:3])), max_size=3)
PHRASES = st.lists(st.text("abé€\ufffd", min_size=1, max_size=3), max_size=3)


@given(tokens=TOKENS, stop_tokens=SEQUENCES, stop=PHRASES, min_tokens=st.integers(0, 6))
def test_the_text_ends_where_the_plain_way_ends_it(
    tokens: list[int], stop_tokens: list[tuple[int, ...]], stop: list[str], min_tokens: int
) -> None:
    pieces, stopped = run(tokens, stop, stop_tokens=stop_tokens, min_tokens=min_tokens)
    assert (joined(pieces), stopped) == plain(tokens, stop_tokens, stop, min_tokens)
    assert [piece.token for piece in pieces] == tokens[: len(pieces)]
    assert len(pieces) >= min(min_tokens, len(tokens))


@given(tokens=TOKENS, stop_tokens=SEQUENCES, min_tokens=st.integers(0, 6))
def test_a_sequence_is_never_in_the_result_and_the_text_is_that_of_the_tokens(
    tokens: list[int], stop_tokens: list[tuple[int, ...]], min_tokens: int
) -> None:
    pieces, _ = run(tokens, stop_tokens=stop_tokens, min_tokens=min_tokens)
    kept = tuple(piece.token for piece in pieces)
    assert joined(pieces) == TOKENIZER.decode(kept)
    for sequence in stop_tokens:
        ends = range(min_tokens + len(sequence), len(kept) + 1)
        assert not any(kept[end - len(sequence) : end] == sequence for end in ends)


@given(tokens=TOKENS, stop_tokens=SEQUENCES, stop=PHRASES, min_tokens=st.integers(0, 6))
def test_what_was_sent_is_never_taken_back(
    tokens: list[int], stop_tokens: list[tuple[int, ...]], stop: list[str], min_tokens: int
) -> None:
    """Whatever comes next, the pieces sent so far begin the result."""
    choice = ChoiceText(TOKENIZER, stop, stop_tokens, min_tokens)
    sent: list[Piece] = []
    for place, token in enumerate(tokens):
        sent += choice.push(token)
        whole, _ = run(tokens[: place + 1], stop, stop_tokens=stop_tokens, min_tokens=min_tokens)
        assert whole[: len(sent)] == sent


def plain(tokens: list[int], sequences: list[tuple[int, ...]], stop: list[str], min_tokens: int) -> tuple[str, bool]:
    """The plain way: read everything anew after each token, and try every end of every phrase and sequence."""
    for count in range(1, len(tokens) + 1):
        begin = phrase_in(tokens[:count], stop, min_tokens, final=False)
        free = tuple(tokens[min_tokens:count])
        ending = [len(sequence) for sequence in sequences if free[-len(sequence) :] == sequence]
        kept = tokens[: count - max(ending, default=0)]
        if begin is not None and (not ending or begin < len(text_of(kept, final=False))):
            return text_of(tokens[:count], final=False)[:begin], True
        if ending:
            text = text_of(kept, final=True)
            return text[: phrase_in(kept, stop, min_tokens, final=True)], True
    begin = phrase_in(tokens, stop, min_tokens, final=True)
    return text_of(tokens, final=True)[:begin], begin is not None


def phrase_in(tokens: list[int], stop: list[str], min_tokens: int, *, final: bool) -> int | None:
    """Where the phrase begins that ends first, the longest if several do; phrases begin after the first tokens."""
    text = text_of(tokens, final=final)
    first = len(bytes_of(tokens[:min_tokens]))
    shielded = sum(at < first for at, _ in characters(bytes_of(tokens), final=final))
    for end in range(shielded, len(text) + 1):
        lengths = [len(phrase) for phrase in stop if text[shielded:end].endswith(phrase)]
        if lengths:
            return end - max(lengths)
    return None


def text_of(tokens: Sequence[int], *, final: bool) -> str:
    return "".join(char for _, char in characters(bytes_of(tokens), final=final))


def bytes_of(tokens: Sequence[int]) -> bytes:
    return b"".join(map(TOKENIZER.token_bytes, tokens))


def characters(data: bytes, *, final: bool) -> Iterator[tuple[int, str]]:
    """Each character with the place of its first byte; without `final`, one that may still complete is left out."""
    at = 0
    while at < len(data):
        try:
            char = data[at:].decode()[0]
            used = len(char.encode())
        except UnicodeDecodeError as error:
            if error.start:
                char = data[at : at + error.start].decode()[0]
                used = len(char.encode())
            elif error.reason == "unexpected end of data" and not final:
                return
            else:
                char, used = "\ufffd", error.end
        yield at, char
        at += used
