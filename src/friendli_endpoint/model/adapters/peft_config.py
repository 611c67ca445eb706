"""adapter_config.json: what an adapter's scale is, and whether it is more than a plain LoRA adapter."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from friendli_endpoint.errors import AdapterError
from friendli_endpoint.model.adapters.adapter import MOST_RANK
from friendli_endpoint.model.adapters.patterns import Patterns
from friendli_endpoint.model.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_RANK, DEFAULT_ALPHA = 8, 8.0
# Fields that say nothing about what the finished adapter computes; its tensors tell which modules it changes.
HARMLESS = frozenset(
    {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"}
    | {"exclude_modules", "layers_pattern", "layers_to_transform", "target_modules", "megatron_core"}
    | {"corda_config", "eva_config", "loftq_config", "lora_ga_config", "lora_dropout"}
    | {"ensure_weight_tying", "qalora_group_size", "runtime_config"}
)
READ = frozenset(
    {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"}
    | {"bias", "fan_in_fan_out", "init_lora_weights"}
)
REASONS = {
    "use_dora": "DoRA",
    "lora_bias": "LoRA with biases",
    "modules_to_save": "an adapter with whole trained modules",
    "trainable_token_indices": "an adapter with trained tokens",
    "layer_replication": "a model with replicated layers",
    "megatron_config": "an adapter of Megatron's layers",
    "target_parameters": "an adapter of parameters that are no module",
    "alora_invocation_tokens": "activated LoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "kasa_config": "KaSA, which changes the base model's weights,",
}
INITIAL = frozenset({"true", "false", "gaussian", "orthogonal", "eva", "mica"})  # these leave the base as it is


@dataclass(frozen=True, slots=True)
class Scaling:
    """What each module's B is to be multiplied by."""

    source: str
    rank: int
    alpha: float
    ranks: Patterns[int]
    alphas: Patterns[float]
    stabilised: bool

    def scale(self, module: str, tensor: str, rank: int) -> float:
        """`rank` is the one that the module's A has, `tensor`; AdapterError when the config says another."""
        if (said := self.ranks.find(module, self.rank)) != rank:
            raise AdapterError(f"tensor {tensor!r} has {rank} rows, where {self.source} says rank {said}")
        return self.alphas.find(module, self.alpha) / (sqrt(rank) if self.stabilised else rank)


def read_scaling(source: str, values: Mapping[str, object], *, modules: int) -> Scaling:
    """For a plain LoRA adapter of at most `modules` modules. AdapterError, or ModelError, when it is no such."""
    fields = Fields(source, values)
    if (kind := fields.text("peft_type")) != "LORA":
        raise AdapterError(f"{source}: peft_type {kind!r} is not supported; supported is 'LORA'")
    _check_fields(fields)
    ranks, alphas = _pattern(fields, "rank_pattern"), _pattern(fields, "alpha_pattern")
    return Scaling(
        source,
        fields.size("r", DEFAULT_RANK, most=MOST_RANK),
        fields.number("lora_alpha", DEFAULT_ALPHA),
        Patterns(ranks.source, {key: ranks.size(key, most=MOST_RANK) for key in ranks.values}, modules),
        Patterns(alphas.source, {key: alphas.number(key) for key in alphas.values}, modules),
        fields.flag("use_rslora", default=False),
    )


def _check_fields(fields: Fields) -> None:
    for key, value in fields.values.items():
        # A later version of peft may add fields; one that is off changes nothing.
        if value and key not in HARMLESS | READ:
            reason = REASONS.get(key, "a field of unknown effect")
            raise AdapterError(f"{fields.source}: {reason} ({key}) is not supported")
    if (bias := fields.text("bias", "none")) != "none":
        raise AdapterError(f"{fields.source}: bias {bias!r} is not supported; supported is 'none'")
    if fields.flag("fan_in_fan_out", default=False):
        raise AdapterError(f"{fields.source}: fan_in_fan_out must be false, as the projections' weights are no Conv1D")
    _check_initial(fields)


def _check_initial(fields: Fields) -> None:
    initial = fields.values.get("init_lora_weights")
    if initial is not None and str(initial).lower() not in INITIAL:
        raise AdapterError(
            f"{fields.source}: init_lora_weights {str(initial)[:60]!r} is not supported, because it changes the base "
            "model's weights; save the adapter with path_initial_model_for_weight_conversion"
        )


def _pattern(fields: Fields, key: str) -> Fields:
    found = fields.values.get(key) or {}
    if not isinstance(found, dict):
        raise AdapterError(f"{fields.source}: {key} must be an object")
    return Fields(f"{fields.source}: {key}", found)
