"""Draws made easy for tests, and the distributions that controls define, computed plainly and on their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from friendli_endpoint.engine.vocabulary import Beams, Controls, Report, Request
from friendli_endpoint.sampling.draw import Draw
from friendli_endpoint.sampling.history import History

VOCAB = 400
_RANDOM = np.random.default_rng(5)
FLAT = _RANDOM.normal(0, 1, VOCAB).astype(np.float32)  # the head of 64 holds less than half of it
STEEP = _RANDOM.normal(0, 4, VOCAB).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """One sequence at one step."""

    controls: Controls = field(default_factory=Controls)
    prompt: tuple[int, ...] = (1, 2, 3)
    output: tuple[int, ...] = ()
    eos: tuple[int, ...] = ()
    report: Report = field(default_factory=Report)
    beams: Beams | None = None

    def request(self) -> Request:
        return Request(
            "r",
            self.prompt,
            (0,),
            100,
            eos_tokens=self.eos,
            controls=self.controls,
            report=self.report,
            beams=self.beams,
        )

    def draw(self, row: int, seed: int = 0, position: int | None = None) -> Draw:
        request = self.request()
        history = History.of(request)
        if history is not None:
            history.read([*self.prompt, *self.output])
        return Draw(row, request, seed, len(self.output) if position is None else position, history)


def draws_of(case: Case, count: int, first_seed: int = 0) -> list[Draw]:
    """`count` draws from one row, each with its own seed."""
    first = case.draw(0)
    return [Draw(0, first.request, first_seed + i, first.position, first.history) for i in range(count)]


def tokens_of(sampler, row, case: Case, count: int, first_seed: int = 0) -> np.ndarray:
    """The tokens of `draws_of`, from copies of one row."""
    return np.array([pick.token for pick in sampler.sample(row[None].copy(), draws_of(case, count, first_seed))])


def edited(row: np.ndarray, case: Case) -> np.ndarray:
    """The logits after bans and penalties, token by token; float32, as Hugging Face and vLLM compute them."""
    logits, context, c = row.copy(), [*case.prompt, *case.output], case.controls
    for token in set(context):
        penalty = np.float32(c.repetition_penalty)
        logits[token] = logits[token] * penalty if logits[token] < 0 else logits[token] / penalty
    for token in set(case.output):
        logits[token] -= np.float32(c.frequency_penalty) * np.float32(case.output.count(token))
        logits[token] -= np.float32(c.presence_penalty)
    for token in banned(case):
        logits[token] = -np.inf
    return logits


def banned(case: Case) -> set[int]:
    """Every token that bans forbid, by asking of each that occurs whether it would complete something forbidden."""
    context, c, found = [*case.prompt, *case.output], case.controls, set()
    for token in {*context, *case.eos, *(word[-1] for word in c.bad_words)}:
        text = [*context, token]
        if token in case.eos and len(case.output) < c.min_tokens:
            found.add(token)
        if any(tuple(text[-len(word) :]) == tuple(word) for word in c.bad_words):
            found.add(token)
        n = c.no_repeat_ngram
        grams = [text[i : i + n] for i in range(len(text) - n + 1)]
        if n > 1 and len(grams) > 1 and grams[-1] in grams[:-1]:
            found.add(token)
    return found


def ranked(logits: np.ndarray) -> list[int]:
    return sorted((i for i in range(len(logits)) if logits[i] > -np.inf), key=lambda i: (-float(logits[i]), i))


def exact(row: np.ndarray, case: Case) -> np.ndarray:
    """The distribution that the controls define, in float64, over the whole vocabulary."""
    c = case.controls
    logits = edited(row, case)
    order = ranked(logits)
    scaled = logits.astype(np.float64)[order] / c.temperature
    weights = np.exp(scaled - scaled.max())
    if c.top_k:
        weights[c.top_k :] = 0
    weights /= weights.sum()
    if c.top_p < 1:
        weights[np.concatenate([[0], weights.cumsum()[:-1]]) >= c.top_p] = 0
    weights[weights < c.min_p * weights.max()] = 0
    weights /= weights.sum()
    top = np.flatnonzero((weights >= c.xtc_threshold) & (weights > 0))
    if len(top) > 1:
        without = weights.copy()
        without[top[:-1]] = 0
        weights = (1 - c.xtc_probability) * weights + c.xtc_probability * without / without.sum()
    whole = np.zeros(len(row))
    whole[order] = weights
    return whole


def chi_square_holds(tokens: np.ndarray, probabilities: np.ndarray) -> bool:
    """Chi-square at p = 1e-4 over bins of at least five expected draws; seeds are fixed, so it is no lottery."""
    count = len(tokens)
    order = np.argsort(-probabilities)
    expected, seen = probabilities[order] * count, np.bincount(tokens, minlength=len(probabilities))[order]
    bins = np.minimum(np.cumsum(expected) // 20, max(0, count // 20 - 1)).astype(int)
    expected, seen = np.bincount(bins, expected), np.bincount(bins, seen)
    full = expected >= 5
    statistic = ((seen - expected)[full] ** 2 / expected[full]).sum()
    freedom = max(1, full.sum() - 1)
    # Wilson-Hilferty: the chi-square quantile for p = 1e-4.
    return statistic < freedom * (1 - 2 / (9 * freedom) + 3.719 * np.sqrt(2 / (9 * freedom))) ** 3
