"""Prompts: English-like sentences made from a seed, cut to an exact number of tokens, the same for every engine."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from bench.wire import Job

if TYPE_CHECKING:
    from collections.abc import Callable

Encode: TypeAlias = "Callable[[str], list[int]]"

_OPENINGS = ("Write a letter about", "Explain to a child", "Here is a story of", "A short report on", "The history of")
_ADJECTIVES = ("quiet", "broken", "golden", "northern", "forgotten", "careful", "noisy", "seven", "early", "patient")
_NOUNS = ("harbour", "engine", "teacher", "river", "market", "letter", "mountain", "orchestra", "winter", "garden")
_VERBS = ("carries", "remembers", "follows", "repairs", "paints", "measures", "crosses", "answers", "wakes", "hides")
_ENDINGS = ("before the rain came", "in the old town", "for the first time", "without a word", "on a Tuesday morning")


def text(seed: int, sentences: int) -> str:
    """Sentences of which hardly two are alike; another seed gives another text from the first words on."""
    rng = random.Random(seed)  # noqa: S311  not for security
    opening = f"{rng.choice(_OPENINGS)} {_thing(rng)} and {_thing(rng)} (number {seed}). "
    return opening + " ".join(_sentence(rng) for _ in range(sentences))


def prompt(encode: Encode, seed: int, tokens: int) -> list[int]:
    """A prompt of exactly `tokens` tokens."""
    return encode(text(seed, sentences=tokens // 5 + 4))[:tokens]


def jobs(encode: Encode, count: int, *, prompt_tokens: int, max_tokens: int, seed: int) -> list[Job]:
    """Greedy jobs of one size, none with a prompt of another."""
    numbers = range(seed * 1000, seed * 1000 + count)
    return [Job(prompt(encode, number, prompt_tokens), max_tokens) for number in numbers]


def mixed_jobs(encode: Encode, count: int, *, seed: int) -> list[Job]:
    """Jobs of many sizes (prompts of 8 to 160 tokens, 24 to 64 new tokens), every other one sampled with a seed."""
    rng = random.Random(seed)  # noqa: S311  not for security
    made = []
    for number in range(seed * 1000, seed * 1000 + count):
        job = Job(prompt(encode, number, rng.randrange(8, 161)), rng.randrange(24, 65))
        made.append(replace(job, temperature=0.8, seed=number) if number % 2 else job)
    return made


def _thing(rng: random.Random) -> str:
    return f"the {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"


def _sentence(rng: random.Random) -> str:
    said = f"{_thing(rng)} {rng.choice(_VERBS)} {_thing(rng)} {rng.choice(_ENDINGS)}."
    return said[0].upper() + said[1:]
