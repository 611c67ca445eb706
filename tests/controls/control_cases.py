"""The settings that are compared, each said once for us and translated for the reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from friendli_endpoint.engine.vocabulary import Beams, Controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Tokens = tuple[int, ...]
LENGTH = 48  # tokens of a continuation, at most
GREEDY = Controls(temperature=0)
# Our names of controls and those of `transformers.generate`; the last two are its oracle's own.
NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram": "no_repeat_ngram_size",
    "bad_words": "bad_words_ids",
    "min_tokens": "min_new_tokens",
    "frequency_penalty": "frequency",
    "presence_penalty": "presence",
}


@dataclass(frozen=True)
class Case:
    """How prompts are continued; `stops` are sequences that end a text, not a beam."""

    controls: Controls = GREEDY
    eos: Tokens = ()
    beams: Beams | None = None
    stops: tuple[Tokens, ...] = ()

    def theirs(self) -> dict[str, object]:
        """The same as arguments of `generate` and of its oracle."""
        given = {name: getattr(self.controls, name) for name in NAMES}
        said = {NAMES[name]: value for name, value in given.items() if value != getattr(Controls(), name)}
        said = {name: value for name, value in said.items() if (name, value) != ("temperature", 0)}
        stops = self.beams.stop_tokens if self.beams else self.stops
        ends = {name: value for name, value in (("eos_token_id", self.eos), ("stop_tokens", stops)) if value}
        return said | ends | (_theirs(self.beams) if self.beams else {})


def _theirs(beams: Beams) -> dict[str, object]:
    return {
        "num_beams": beams.width,
        "length_penalty": beams.length_penalty,
        "early_stopping": beams.early_stopping,
        "renormalize_logits": beams.post_normalize,
    }


def greedy_cases(texts: Sequence[Sequence[int]]) -> dict[str, Case]:
    """`texts` are the plain greedy continuations, so that bans and ends are of what would come."""
    common = by_count(texts)
    bad = bad_words(texts, common)
    ends = tuple(common[2:5])
    everything = Controls(
        temperature=0,
        repetition_penalty=1.15,
        frequency_penalty=0.6,
        presence_penalty=0.4,
        no_repeat_ngram=3,
        bad_words=bad,
        min_tokens=20,
    )
    return {
        "plain": Case(),
        "eos": Case(eos=ends[:1]),
        "several-eos": Case(eos=ends),
        "min-tokens": Case(greedy(min_tokens=24), eos=ends),
        "repetition": Case(greedy(repetition_penalty=1.3)),
        "repetition-wanted": Case(greedy(repetition_penalty=0.9)),
        "ngrams-of-2": Case(greedy(no_repeat_ngram=2)),
        "ngrams-of-3": Case(greedy(repetition_penalty=0.9, no_repeat_ngram=3)),
        "bad-words": Case(greedy(bad_words=bad)),
        "frequency": Case(greedy(frequency_penalty=1.2)),
        "frequency-wanted": Case(greedy(frequency_penalty=-0.3)),
        "presence": Case(greedy(presence_penalty=1.5)),
        "stop-tokens": Case(stops=stops(texts)),
        "everything": Case(everything, eos=ends),
    }


def greedy(**changes: object) -> Controls:
    return replace(GREEDY, **changes)


def beam_cases(texts: Sequence[Sequence[int]]) -> dict[str, Case]:
    """Beam searches as `transformers` does them: log-probabilities first, then the controls."""
    common = by_count(texts)
    end, ends = tuple(common[4:5]), tuple(common[4:7])
    bad = bad_words(texts, common)
    plain = Controls()
    penalised = Controls(repetition_penalty=1.2, no_repeat_ngram=2)
    everything = Controls(
        repetition_penalty=1.1,
        frequency_penalty=0.3,
        presence_penalty=0.2,
        no_repeat_ngram=3,
        bad_words=bad,
        min_tokens=9,
    )
    return {
        "beams-2": Case(plain, end, search(2)),
        "beams-4": Case(plain, end, search(4)),
        "beams-8": Case(plain, end, search(8)),
        "beams-without-eos": Case(plain, (), search(4)),
        "beams-several-eos": Case(plain, ends, search(4)),
        "beams-length-0": Case(plain, end, search(4, length_penalty=0.0)),
        "beams-length-half": Case(plain, end, search(4, length_penalty=0.5)),
        "beams-length-2": Case(plain, end, search(4, length_penalty=2.0)),
        "beams-length-negative": Case(plain, end, search(4, length_penalty=-1.0)),
        "beams-early": Case(plain, ends, search(4, early_stopping=True)),
        "beams-early-length-2": Case(plain, ends, search(8, early_stopping=True, length_penalty=2.0)),
        "beams-stop": Case(plain, (), search(3, stop_tokens=stops(texts))),
        "beams-penalties": Case(penalised, end, search(4)),
        "beams-renormalised": Case(penalised, end, search(4, post_normalize=True)),
        "beams-everything": Case(everything, ends, search(4, length_penalty=0.7)),
    }


def search(width: int, *, post_normalize: bool = False, **more: object) -> Beams:
    return Beams(width, pre_normalize=True, post_normalize=post_normalize, **more)


def sampled_beam_cases(texts: Sequence[Sequence[int]]) -> dict[str, Case]:
    """Beam searches whose candidates are drawn."""
    common = by_count(texts)
    hot, wide = Controls(temperature=1.4, top_k=40), Controls(temperature=1.2, repetition_penalty=1.3)
    return {
        "drawn-beams": Case(hot, beams=search(3, kind="NAIVE_SAMPLING")),
        "drawn-beams-that-end": Case(wide, tuple(common[:8]), search(2, kind="NAIVE_SAMPLING", length_penalty=0.3)),
    }


def drawn_cases() -> dict[str, Case]:
    """Settings of a draw; each one's first token is compared."""
    return {
        "cold": Case(Controls(temperature=0.6)),
        "hot": Case(Controls(temperature=1.8)),
        "top-k": Case(Controls(top_k=5)),
        "top-p": Case(Controls(top_p=0.7)),
        "min-p": Case(Controls(min_p=0.08)),
        "all-three": Case(Controls(temperature=1.5, top_k=40, top_p=0.9, min_p=0.02)),
        "hot-and-wide": Case(Controls(temperature=2.5, top_k=150, top_p=0.97)),
        "penalised": Case(Controls(temperature=1.2, top_p=0.9, repetition_penalty=1.5, no_repeat_ngram=2)),
    }


def by_count(texts: Iterable[Iterable[int]]) -> list[int]:
    """Tokens, most frequent first."""
    return [token for token, _ in Counter(token for text in texts for token in text).most_common()]


def bad_words(texts: Sequence[Sequence[int]], common: Sequence[int]) -> tuple[Tokens, ...]:
    """Single tokens, pairs, triples, and longer ones, all of which greedy continuations have."""
    spans = [(4, 6), (9, 12), (15, 17), (20, 25)]
    return ((common[0],), (common[9],), *(tuple(text[slice(*spans[i % 4])]) for i, text in enumerate(texts)))


def stops(texts: Sequence[Sequence[int]]) -> tuple[Tokens, ...]:
    common = by_count(texts)
    return ((common[3],), *(tuple(text[12:14]) for text in texts))
