"""The default model: close to the float32 reference, and reproducible bit for bit under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.model import ModelOptions, inspect, load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reference import Reference

pytestmark = pytest.mark.real

READ = 512  # tokens
GREEDY = 10
Seen = list["NDArray[np.float32]"]


@pytest.fixture(scope="module")
def expected(reference: Reference, default_model: Path, request: pytest.FixtureRequest, tmp_path_factory) -> Path:
    root, out = request.config.rootpath, tmp_path_factory.mktemp("default") / "expected.npz"
    reference.run(root / "tests/model/oracle_default.py", default_model, root / "LICENSE", str(READ), out)
    return out


@pytest.mark.reference
@pytest.mark.parametrize(("weights", "most"), [("i8", 0.006), ("f16", 0.0005)])
def test_the_distributions_are_close_to_the_float32_reference(
    weights: str, most: float, default_model: Path, expected: Path
) -> None:
    with np.load(expected) as arrays:
        tokens, truth = arrays["tokens"], arrays["logprobs"]
    assert len(tokens) == READ
    driver = Driver(load(default_model, ModelOptions(weights=weights, kv_tokens=READ)))
    logits = driver.step([Row()], [tokens.tolist()], every=True)
    divergence = (np.exp(truth) * (truth - log_softmax(logits))).sum(-1, dtype=np.float64).mean()
    print(f"{weights}: mean KL {divergence:.6f} over {READ} tokens")
    assert divergence <= most


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def driver(default_model: Path) -> Driver:
    return Driver(load(default_model, ModelOptions(kv_tokens=16384)))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(100, 40000, rng.integers(2, 70)).tolist() for _ in range(32)]


@pytest.fixture(scope="module")
def alone(driver: Driver, prompts: list[list[int]]) -> list[Seen]:
    """The logits behind each greedy token of each prompt, run by itself."""
    return [driver.generate([prompt], GREEDY)[1][0] for prompt in prompts]


def test_it_is_the_model_that_was_meant(default_model: Path) -> None:
    facts = inspect(default_model)
    assert (facts.architecture, facts.layers, facts.vocab_size, facts.context_length) == ("llama", 30, 49152, 8192)


@pytest.mark.parametrize("company", [2, 3, 5, 8, 17, 32])
def test_logits_in_company_are_those_alone_bit_for_bit(
    company: int, driver: Driver, prompts: list[list[int]], alone: list[Seen]
) -> None:
    _, together = driver.generate(prompts[:company], GREEDY)
    assert all(np.array_equal(seen, alone[i]) for i, seen in enumerate(together))


@pytest.mark.parametrize("chunk", [7, 10, 16])
def test_chunked_prompts_among_decodes_are_the_prompts_alone_bit_for_bit(
    chunk: int, driver: Driver, prompts: list[list[int]], alone: list[Seen]
) -> None:
    """Sequences join one per step, so prompts are cut at different places beside ever other decodes."""
    waiting, live, done = list(range(len(prompts))), dict[int, Row](), dict[int, Seen]()
    while waiting or live:
        if waiting:
            live[waiting.pop(0)] = Row()
        new = {i: next_tokens(prompts[i], row, done.get(i, []), chunk) for i, row in live.items()}
        for i, logits in zip(new, driver.step(list(live.values()), list(new.values())), strict=True):
            if live[i].past >= len(prompts[i]):
                done.setdefault(i, []).append(logits)
        for i in [i for i in live if len(done.get(i, [])) == GREEDY]:
            driver.release(live.pop(i))
    assert all(np.array_equal(done[i], alone[i]) for i in range(len(prompts)))


def next_tokens(prompt: list[int], row: Row, seen: Seen, chunk: int) -> list[int]:
    if seen:
        return [int(seen[-1].argmax())]
    left = prompt[row.past :]
    return left if len(left) <= chunk + 1 else left[:chunk]  # never leave a chunk of a single token


@pytest.mark.parametrize("chunk", [100, 256, 512])
def test_a_long_prompt_in_chunks_is_the_same_prompt_whole_bit_for_bit(chunk: int, driver: Driver) -> None:
    prompt = np.random.default_rng(1).integers(100, 40000, 900).tolist()
    whole, cut, other = Row(), Row(), Row()
    expected = driver.step([whole], [prompt])
    driver.step([other], [prompt[:50]])
    while cut.past < len(prompt):
        logits = driver.step([other, cut], [[7], next_tokens(prompt, cut, [], chunk)])
    assert np.array_equal(logits[1:], expected)
    assert np.array_equal(driver.step([cut], [[9]]), driver.step([whole], [[9]]))
    for row in (whole, cut, other):
        driver.release(row)
