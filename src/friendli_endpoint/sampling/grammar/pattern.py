"""Regular expressions as a request writes them -> the automaton library's dialect, or a sentence with a position.

The language is what Python's `re` and ECMA-262 have in common and an automaton can do: literals, escapes, classes,
`.`, groups, alternatives and quantifiers. `\\d \\w \\s` and their opposites are ASCII. What would silently mean
something else (anchors, look-around, back-references, flags, Unicode classes) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from friendli_endpoint.sampling.grammar.errors import GrammarError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEEPEST: Final = 50
"""Groups inside groups."""
_MOST_REPEATS: Final = 100_000

_SHORTHANDS: Final = {"d": "0-9", "w": "0-9A-Z_a-z", "s": r"\t\n\v\f\r\x20"}
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_QUANTIFIERS: Final = frozenset("*+?{")
_REFUSED_ESCAPES: Final = {
    **dict.fromkeys("AZzbBG", "anchors are not supported: a pattern matches the whole text"),
    **dict.fromkeys("pPN", "Unicode classes are not supported: list the characters in brackets"),
    **dict.fromkeys("123456789k", "back-references are not supported"),
    "0": r"octal escapes are not supported: write \x00",
}
_REFUSED_GROUPS: Final = {
    **dict.fromkeys(("?=", "?!", "?<=", "?<!"), "look-around is not supported"),
    "?>": "atomic groups are not supported",
    "?(": "conditionals are not supported",
    "?P=": "back-references are not supported",
    "?#": "comments are not supported",
}


class _Branch(NamedTuple):
    """One alternative; the flags say at which of its ends it is anchored."""

    text: str
    start: bool = False
    end: bool = False


def whole(pattern: str) -> str:
    """What matches exactly the texts that `pattern` matches as a whole; GrammarError says what it cannot have."""
    return _join(branch.text for branch in _Parser(pattern, anchors=False).parse())


def anywhere(pattern: str) -> str:
    """What matches every text that `pattern` matches a part of (JSON Schema's `pattern`); `^` and `$` pin its ends."""
    branches = _Parser(pattern, anchors=True).parse()
    return _join(f"{'' if b.start else '(?s:.*)'}{b.text}{'' if b.end else '(?s:.*)'}" for b in branches)


def _join(branches: Iterable[str]) -> str:
    return f"(?:{'|'.join(branches)})"


class _Parser:
    """One pass over a pattern, which writes down what it reads."""

    def __init__(self, pattern: str, *, anchors: bool) -> None:
        self._pattern = pattern
        self._anchors = anchors
        self._at = 0
        self._depth = 0

    def parse(self) -> list[_Branch]:
        branches = self._alternatives()
        if self._at < len(self._pattern):
            self._refuse("this bracket closes nothing")
        return branches

    def _alternatives(self) -> list[_Branch]:
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        return branches

    def _branch(self) -> _Branch:
        pinned = self._anchors and self._depth == 0
        start = pinned and self._take("^")
        pieces: list[str] = []
        while self._next() not in ("", "|", ")"):
            if pinned and self._pattern[self._at : self._at + 2] in ("$", "$|"):
                self._at += 1
                return _Branch("".join(pieces), start, end=True)
            pieces.append(self._quantified(self._atom()))
        return _Branch("".join(pieces), start)

    def _atom(self) -> str:
        character = self._next()
        if character in _QUANTIFIERS:
            self._refuse("there is nothing to repeat; a literal one is written with a backslash")
        if character in "^$":
            self._refuse(
                "anchors are only supported at the ends of a pattern or of its outermost alternatives"
                if self._anchors
                else "anchors are not supported: a pattern matches the whole text"
            )
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            escape = self._escape()
            return f"[{escape}]" if len(escape) > 1 else _literal(escape)
        self._at += 1
        return "." if character == "." else _literal(character)

    def _group(self) -> str:
        opened = self._at
        self._at += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"groups are nested more than {_DEEPEST} deep")
        if self._next() == "?":
            self._group_kind()
        text = _join(branch.text for branch in self._alternatives())
        if not self._take(")"):
            self._refuse("this group is never closed", opened)
        self._depth -= 1
        return text

    def _group_kind(self) -> None:
        for kind, why in _REFUSED_GROUPS.items():
            if self._pattern.startswith(kind, self._at):
                self._refuse(why)
        if self._pattern.startswith("?:", self._at):
            self._at += 2
            return
        for kind in ("?P<", "?<"):
            name, closed, _ = self._pattern[self._at + len(kind) :].partition(">")
            if self._pattern.startswith(kind, self._at) and closed and name.isidentifier():
                self._at += len(kind) + len(name) + 1
                return
        self._refuse("flags are not supported, and groups begin with ( or (?: or (?P<name>")

    def _quantified(self, atom: str) -> str:
        if self._next() not in _QUANTIFIERS:
            return atom
        start = self._at
        quantifier = self._counts() if self._next() == "{" else self._next()
        self._at += 1
        self._take("?")  # a lazy quantifier allows the same texts
        if self._next() == "+":
            self._refuse("possessive quantifiers are not supported")
        if self._next() in _QUANTIFIERS:
            self._refuse("this repeats a repetition: put what is repeated into a group", start)
        return atom + quantifier

    def _counts(self) -> str:
        """`{m}`, `{m,}`, `{,n}` or `{m,n}`; stops on the closing brace."""
        start = self._at
        inside, closed, _ = self._pattern[start + 1 :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not _is_count(low or "0") or not _is_count(high or "0") or inside in ("", ","):
            self._refuse(r"a quantifier has the form {2}, {2,} or {2,5}; a literal brace is written \{")
        least, most = int(low or 0), int(high or low) if high or not comma else None
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and least > most):
            self._refuse(f"repetitions go from a smaller to a greater number, at most {_MOST_REPEATS}")
        self._at = start + len(inside) + 1
        return f"{{{least},{'' if most is None else most}}}"

    def _class(self) -> str:
        start = self._at
        self._at += 1
        negated = self._take("^")
        members: list[str] = []
        while not (self._next() == "]" and members):
            if not self._next():
                self._refuse("this class is never closed", start)
            members.append(self._member())
        self._at += 1
        return f"[{'^' if negated else ''}{''.join(members)}]"

    def _member(self) -> str:
        """A character, a range or a shorthand of a class."""
        start = self._at
        low = self._class_character()
        following = self._pattern[self._at : self._at + 2]
        if not (len(following) == 2 and following[0] == "-" and following[1] != "]"):
            return low if len(low) > 1 else _literal(low)
        self._at += 1
        high = self._class_character()
        if len(low) > 1 or len(high) > 1 or low > high:
            self._refuse("a range goes from a smaller to a greater character", start)
        return f"{_literal(low)}-{_literal(high)}"

    def _class_character(self) -> str:
        if self._pattern.startswith("[:", self._at):
            self._refuse(r"named classes are not supported; a literal bracket is written \[")
        if self._next() == "\\":
            if self._pattern.startswith("\\b", self._at):
                self._at += 2
                return "\b"
            return self._escape()
        self._at += 1
        return self._pattern[self._at - 1]

    def _escape(self) -> str:
        """The character that an escape stands for, or the class that a shorthand does (longer than one character)."""
        start, letter = self._at, self._pattern[self._at + 1 : self._at + 2]
        if why := _REFUSED_ESCAPES.get(letter):
            self._refuse(why)
        self._at += 2
        if inside := _SHORTHANDS.get(letter.lower()):
            return f"[{'' if letter.islower() else '^'}{inside}]"
        if digits := _HEX_DIGITS.get(letter):
            return self._code_point(start, digits)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if not letter or (letter.isascii() and letter.isalnum()):
            self._refuse("this escape is not known", start)
        return letter

    def _code_point(self, start: int, digits: int) -> str:
        text = self._pattern[self._at : self._at + digits]
        if len(text) < digits or not all(digit in "0123456789abcdefABCDEF" for digit in text):
            self._refuse(f"this escape takes {digits} hexadecimal digits", start)
        code = int(text, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self._refuse("this is not a character", start)
        self._at += digits
        return chr(code)

    def _next(self) -> str:
        """The next character, "" at the end."""
        return self._pattern[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _refuse(self, why: str, at: int | None = None) -> NoReturn:
        position = self._at if at is None else at
        raise GrammarError(f"the pattern cannot be used from its character {position + 1} on: {why}")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _literal(character: str) -> str:
    """A character, written so that it means itself inside and outside a class."""
    if character.isalnum() and character.isascii():
        return character
    return f"\\x{{{ord(character):x}}}"
