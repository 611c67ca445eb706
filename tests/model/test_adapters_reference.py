"""Adapters on the default model: as peft computes them, and reproducible bit for bit under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from step_driver import Driver, Row

from friendli_endpoint.model import ModelOptions, load
from random_adapter import ALL, write_peft

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reference import Reference

pytestmark = pytest.mark.real

SIZES = {
    "num_hidden_layers": 30,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}
READ = 96  # tokens
SPREAD = 1 / 16
CASES = {
    **{f"{part}-{rank}": ([part], rank) for part, rank in zip(ALL, (64, 4, 8, 16, 32, 24, 12), strict=True)},
    "all-4": (ALL, 4),
    "all-8": (ALL, 8),
    "all-64": (ALL, 64),
}
EXAMPLES = ("pirate", "telegram")
ROWS, GREEDY = 64, 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Path]:
    root, examples = tmp_path_factory.mktemp("adapters"), request.config.rootpath / "examples/adapters"
    made = {
        name: write_peft(root / name, SIZES, rank=rank, targets=targets, seed=i, spread=SPREAD)
        for i, (name, (targets, rank)) in enumerate(CASES.items())
    }
    return made | {name: examples / name for name in EXAMPLES}


@pytest.fixture(scope="module")
def expected(
    reference: Reference,
    default_model: Path,
    folders: dict[str, Path],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, NDArray[np.float32]]:
    """The reference's log-probabilities, float32 [tokens, vocabulary], by adapter; and the `tokens`."""
    root = tmp_path_factory.mktemp("expected")
    tokens, out = root / "tokens.npz", root / "expected.npz"
    np.savez(tokens, tokens=np.random.default_rng(3).integers(100, 40000, READ))
    reference.run(
        request.config.rootpath / "tests/model/oracle_adapters.py", default_model, tokens, out, *folders.values()
    )
    with np.load(tokens) as given, np.load(out) as arrays:
        return {"tokens": given["tokens"], **arrays}


@pytest.mark.reference
def test_distributions_are_those_of_weights_that_peft_has_merged(
    default_model: Path,
    folders: dict[str, Path],
    expected: dict[str, NDArray[np.float32]],
    tmp_path: Path,
) -> None:
    driver = Driver(load(default_model, ModelOptions(weights="f16", kv_tokens=1024, adapters=16, spool=tmp_path)))
    tokens, base = expected["tokens"].tolist(), expected["base"]
    for name, folder in folders.items():
        driver.model.add_adapter(name, str(folder))
        row = Row(adapter=name)
        ours = log_softmax(driver.step([row], [tokens], every=True))
        driver.release(row)
        change, error = divergence(expected[name], base), divergence(expected[name], ours)
        print(f"{name:10} KL {error:.7f}; of the base model {change:.4f}")
        assert error <= 0.0005
        assert change > 100 * error  # else it would show nothing


def divergence(truth: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The mean KL divergence over tokens."""
    return float((np.exp(truth) * (truth - other)).sum(-1, dtype=np.float64).mean())


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def test_64_requests_over_8_adapters_and_the_base_model_are_those_alone(
    default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool, root = tmp_path_factory.mktemp("spool"), tmp_path_factory.mktemp("eight")
    driver = Driver(load(default_model, ModelOptions(kv_tokens=ROWS * 96, spool=spool)))
    rng = np.random.default_rng(1)
    prompts = [rng.integers(100, 40000, rng.integers(2, 48)).tolist() for _ in range(ROWS)]
    base = [driver.generate([prompt], GREEDY)[0][0] for prompt in prompts]
    for i in range(8):
        driver.model.add_adapter(f"a{i}", str(write_peft(root / f"{i}", SIZES, rank=8, seed=i, spread=SPREAD)))
    of_rows = [f"a{i % 8}" for i in range(ROWS)]
    mixed: list[list[int]] = []
    beside: list[list[int]] = []
    for begin in range(0, ROWS, 32):  # 32 rows with adapters, 32 of the base model in one batch
        part = slice(begin, begin + 32)
        tokens, _ = driver.generate([*prompts[part], *prompts[part]], GREEDY, [*of_rows[part], *[None] * 32])
        mixed, beside = mixed + tokens[:32], beside + tokens[32:]
    alone = [driver.generate([p], GREEDY, [key])[0][0] for p, key in zip(prompts, of_rows, strict=True)]
    unchanged, identical = sum(map(list.__eq__, base, beside)), sum(map(list.__eq__, alone, mixed))
    print(f"base rows unchanged {unchanged} of {ROWS}; alone and mixed identical {identical} of {ROWS}")
    assert (unchanged, identical) == (ROWS, ROWS)
    assert sum(map(list.__eq__, base, mixed)) < ROWS // 4
