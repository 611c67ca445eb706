"""A small vocabulary, and an adversary that drives matchers with random logits until the output ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.engine.vocabulary import Grammar
from friendli_endpoint.sampling.grammar import Grammars, Vocabulary, ban, masks_of

if TYPE_CHECKING:
    from friendli_endpoint.sampling.grammar import Matcher

END, OTHER_END, SPECIAL = 0, 1, 2
_PIECES = (
    *("{", '{"', '"}', '"]', "}}", "]}", '", "', '": "', '": ', ", ", '"a', "null", "true", "fals", "e}", "[]", "{}"),
    *(
        "the",
        " the",
        "name",
        "ab",
        "aab",
        "12",
        "007",
        "2024-",
        "-02-29",
        "T12:",
        "Z",
        "1.5",
        "e-",
        "\\n",
        '\\"',
        "\\u0",
    ),
    *("é", "ü", "😀", "日本", " é", "\n", "\t", "  ", "x.y", "a@b", "color", "red", "green", "blue"),
)
_HALVES = (b"\xc3", b"\xa9b", b"\xf0\x9f", b"\x98\x80", b"\xe6\x97", b"\xa5\xe6", b'\x80"', b"a\xc3", b"\xff\xfe")
_TOKENS = (b"", b"</s>", b"<pad>", *(bytes([byte]) for byte in range(256)), *(p.encode() for p in _PIECES), *_HALVES)

SMALL = Vocabulary((*_TOKENS, b"", b"{", b"a", *_TOKENS[200:230]), frozenset((SPECIAL,)), (END, OTHER_END))
"""Every byte and some pieces, parts of characters among them; some twice, some empty."""

SMALL_SIZE = len(SMALL.tokens) + 5
"""A model may have more logits than its tokenizer has tokens."""


def small_grammars(**options: int) -> Grammars:
    return Grammars(lambda: SMALL, SMALL_SIZE, **options)


def schema(value: object) -> Grammar:
    return Grammar("json_schema", json.dumps(value))


def regex(pattern: str) -> Grammar:
    return Grammar("regex", pattern)


def allowed(matcher: Matcher, size: int = SMALL_SIZE) -> set[int]:
    """The tokens that `ban` leaves."""
    logits = np.zeros((1, size), np.float32)
    ban(logits, [0], [matcher], masks_of([matcher]))
    return set(np.flatnonzero(logits[0] == 0).tolist())


def accepts(matcher: Matcher, text: str, vocabulary: Vocabulary = SMALL) -> bool:
    """Whether `text` can be produced, one byte a token, and may then end."""
    singles = {token: i for i, token in enumerate(vocabulary.tokens) if len(token) == 1}
    for byte in text.encode():
        if singles[bytes([byte])] not in allowed(matcher):
            return False
        matcher.push(singles[bytes([byte])])
    return END in allowed(matcher)


def generate(
    matcher: Matcher, seed: int, vocabulary: Vocabulary = SMALL, size: int = SMALL_SIZE, ends: tuple[int, ...] = (END,)
) -> str | None:
    """An output of random tokens, with more and more weight on what may end it; None when that took too long.

    What it draws is checked to be allowed where the matcher has no error; the output is checked to be UTF-8.
    """
    random, output = np.random.default_rng(seed), b""
    closing = [i for i, token in enumerate(vocabulary.tokens) if token in (b'"', b"}", b"]", b'"}', b"}}", b"]}")]
    for step in range(2000):
        logits = random.normal(0, 2, (1, size)).astype(np.float32)
        logits[0, [*closing, *ends]] += min(step / 20 - 1, 4)
        ban(logits, [0], [matcher], masks_of([matcher]))
        token = int(logits[0].argmax())
        assert matcher.error is None
        assert logits[0, token] > -np.inf
        if token in ends:
            return output.decode()
        output += vocabulary.tokens[token]
        matcher.push(token)
        if matcher.finished:
            return output.decode()
    return None


def error_of(grammars: Grammars, grammar: Grammar) -> str:
    return str(grammars.compile(grammar, (END,)).exception(timeout=60))
