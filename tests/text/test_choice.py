"""The text of a choice as its tokens come."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import byte_fallback, byte_level

from friendli_endpoint.errors import RequestError
from friendli_endpoint.text import ChoiceText, Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from friendli_endpoint.text import Tokenizer

TOKENIZER = byte_level()
AB, ABC, HELLO, STOP, E_ACUTE, END = range(256, 262)


def tokens_of(text: str) -> list[int]:
    return list(text.encode())


def run(
    tokens: Iterable[int],
    stop: Sequence[str] = (),
    tokenizer: Tokenizer = TOKENIZER,
    stop_tokens: Sequence[tuple[int, ...]] = (),
    min_tokens: int = 0,
) -> tuple[list[Piece], bool]:
    choice = ChoiceText(tokenizer, stop, stop_tokens, min_tokens)
    pieces = [piece for token in tokens for piece in choice.push(token)]
    return pieces + choice.finish(), choice.stopped


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_a_whole_token_comes_at_once() -> None:
    assert ChoiceText(TOKENIZER).push(HELLO) == [Piece(HELLO, " hello")]


def test_a_special_token_has_no_text() -> None:
    assert ChoiceText(TOKENIZER).push(END) == [Piece(END, "")]


def test_half_a_character_waits_for_the_rest() -> None:
    choice = ChoiceText(TOKENIZER)
    first, second, third = "€".encode()
    assert choice.push(first) == []
    assert choice.push(second) == []
    assert choice.push(third) == [Piece(first, ""), Piece(second, ""), Piece(third, "€")]


def test_a_character_that_never_completes_becomes_one_replacement_character() -> None:
    assert run([*b"a\xe2\x82"]) == ([Piece(97, "a"), Piece(0xE2, ""), Piece(0x82, "\ufffd")], False)


def test_a_stop_phrase_over_several_tokens_is_dropped_with_them() -> None:
    assert run([*b"say st", *b"op now"], ["stop"]) == ([Piece(byte, chr(byte)) for byte in b"say "], True)


def test_a_token_that_straddles_the_beginning_is_sent_with_the_text_before_it() -> None:
    assert run([ABC, *b"d!"], ["cd"]) == ([Piece(ABC, "ab")], True)


@pytest.mark.parametrize(
    ("tokens", "leads"),
    [
        (b"\xf0\x9fA", [0, 0, 1]),  # the character is given up where the next one comes
        ("a€b".encode(), [0, 0, 0, 0, 0]),
        (b"\xe2\xe2\x82\xac", [0, 1, 0, 0]),
        ("\ufffd".encode(), [0, 0, 0]),
    ],
)
def test_a_piece_tells_what_of_its_text_stands_for_bytes_before_it(tokens: bytes, leads: list[int]) -> None:
    pieces, _ = run(tokens)
    assert [piece.lead for piece in pieces] == leads


def test_nothing_comes_after_a_stop() -> None:
    choice = ChoiceText(TOKENIZER, ["b"])
    assert choice.push(ABC) == [Piece(ABC, "a")]
    assert choice.stopped
    assert choice.push(HELLO) == []
    assert choice.finish() == []


def test_a_beginning_of_a_phrase_is_held_until_it_cannot_be_one() -> None:
    choice = ChoiceText(TOKENIZER, ["stop"])
    assert choice.push(ord("s")) == []
    assert choice.push(ord("t")) == []
    assert choice.push(ord("s")) == [Piece(ord("s"), "s"), Piece(ord("t"), "t")]
    assert choice.finish() == [Piece(ord("s"), "s")]
    assert not choice.stopped


def test_the_bytes_of_a_character_that_begins_a_phrase_are_dropped_with_it() -> None:
    assert run([97, *"é!".encode()], ["é!"]) == ([Piece(97, "a")], True)


def test_a_phrase_that_ends_first_wins_and_of_those_the_longest() -> None:
    assert joined(run(tokens_of("xxabcdef"), ["abcde", "cd", "bcd"])[0]) == "xxa"


def test_a_phrase_that_only_the_end_completes_still_stops() -> None:
    assert run([97, 0xE2], ["a\ufffd"]) == ([], True)


@pytest.mark.parametrize(("stop", "said"), [(["a", ""], "is empty"), (["ab" * 3000] * 2, "at most 10,000 are allowed")])
def test_phrases_that_are_empty_or_too_long_are_the_callers_fault(stop: list[str], said: str) -> None:
    with pytest.raises(RequestError, match=said) as raised:
        ChoiceText(TOKENIZER, stop)
    assert raised.value.field == "stop"


def test_bytes_of_a_byte_fallback_vocabulary_are_replaced_one_by_one() -> None:
    """As the reference does for a run of bytes that is not UTF-8; here valid characters within such a run stay."""
    tokens = [256, 0xE2, 0x82, 257, *"é".encode(), 0xFF]
    assert joined(run(tokens, tokenizer=byte_fallback())[0]) == " a\ufffd\ufffdbé\ufffd"


def test_a_token_that_nobody_knows_has_no_text() -> None:
    assert run([10**6, -1]) == ([Piece(10**6, ""), Piece(-1, "")], False)


TOKENS = st.lists(st.integers(0, 261), max_size=40)
LETTERS = st.text("ab é€\ufffd", min_size=1, max_size=4)


@given(tokens=TOKENS)
def test_pieces_add_up_to_the_decoded_whole(tokens: list[int]) -> None:
    pieces, stopped = run(tokens)
    assert not stopped
    assert [piece.token for piece in pieces] == tokens
    assert joined(pieces) == TOKENIZER.decode(tokens)
    assert joined(pieces) == TOKENIZER.backend.decode(tokens)


@given(text=st.text("ab é€", max_size=40), stop=st.lists(LETTERS, max_size=8), data=st.data())
def test_the_text_is_cut_where_the_first_phrase_begins(text: str, stop: list[str], data: st.DataObject) -> None:
    tokens = tokens_of(text)[: data.draw(st.integers(0, 80))]
    whole = TOKENIZER.decode(tokens)
    pieces, stopped = run(tokens, stop)
    assert (joined(pieces), stopped) == cut(whole, stop)
    assert [piece.token for piece in pieces] == tokens[: len(pieces)]


def cut(text: str, stop: list[str]) -> tuple[str, bool]:
    """The plain way: try every end, and at each the longest phrase."""
    for end in range(1, len(text) + 1):
        ending = [phrase for phrase in stop if text[:end].endswith(phrase)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


@given(tokens=TOKENS, stop=st.lists(LETTERS, max_size=3))
def test_what_is_held_could_still_begin_a_phrase_or_is_an_incomplete_character(
    tokens: list[int], stop: list[str]
) -> None:
    choice = ChoiceText(TOKENIZER, stop)
    sent = ""
    for place, token in enumerate(tokens):
        sent += joined(choice.push(token))
        if choice.stopped:
            break
        arrived = TOKENIZER.decode(tokens[: place + 1]).rstrip("\ufffd")
        waiting = len(arrived) - len(sent)
        # A token holds its whole text back, so that at most one token's text comes before the phrase's beginning.
        assert waiting < max(map(len, [*stop, "x"])) + len(" hello")


def test_eight_phrases_are_found_in_noise_as_the_plain_way_finds_them() -> None:
    choose = random.Random(7)  # noqa: S311
    for _ in range(300):
        text = "".join(choose.choices("ab", k=60))
        stop = ["".join(choose.choices("ab", k=choose.randrange(4, 9))) for _ in range(8)]
        pieces, stopped = run(tokens_of(text), stop)
        assert (joined(pieces), stopped) == cut(text, stop)
