"""What `transformers` continues, draws and scores: argv are a model, the questions as JSON, and the npz to write.

A model folder is read as it is, of a GGUF file the weights are rounded to 16 bits. Questions:
`prompts`, groups of prompts of one length; `length`, the most tokens to add; and by name, one by one,
`generated`: arguments of `generate`, for every prompt -> tokens (-1 after the end) and what shows a tie;
`sampled`: a prompt with arguments of `generate` -> `count` outputs of `length` tokens drawn for it;
`drawn`: arguments of `generate` -> the probabilities of the first token, for every prompt;
`replaced`: prompts with vectors for some positions -> greedy tokens and their log-probabilities;
`scored`: prompts with answers -> log-probabilities of the answers' tokens and of the most probable ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from gguf_llama import read_llama
from transformers import AutoModelForCausalLM, LogitsProcessor, StoppingCriteria

TOP = 8  # candidates that are reported of a step
Tensor = torch.Tensor


class OutputPenalties(LogitsProcessor):
    """Frequency and presence penalties as vLLM and OpenAI define them: by the tokens of the output alone."""

    def __init__(self, prompt_tokens: int, frequency: float, presence: float) -> None:
        self.prompt_tokens, self.frequency, self.presence = prompt_tokens, frequency, presence

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        output = input_ids[:, self.prompt_tokens :]
        counts = torch.zeros_like(scores).scatter_add_(1, output, torch.ones_like(output, dtype=scores.dtype))
        return scores - self.frequency * counts - self.presence * (counts > 0)


class EndsWith(StoppingCriteria):
    """A sequence is complete when its output ends with one of some token sequences."""

    def __init__(self, prompt_tokens: int, sequences: list[list[int]]) -> None:
        self.prompt_tokens, self.sequences = prompt_tokens, sequences

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        output = input_ids[:, self.prompt_tokens :].tolist()
        ends = [any(tokens[-len(stop) :] == stop for stop in self.sequences) for tokens in output]
        return torch.tensor(ends)


class BeamMargins:
    """How close a beam search came to keeping another beam: for each search, the smallest difference of scores."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.smallest: Tensor | None = None
        self._choose = model._get_running_beams_for_next_iteration
        model._get_running_beams_for_next_iteration = self._watch

    def _watch(self, **given: object) -> object:
        scores, complete, beams = (
            given[k] for k in ("topk_log_probs", "next_token_hits_stopping_criteria", "num_beams")
        )
        live = scores.masked_fill(complete, -torch.inf).sort(-1, descending=True).values
        margin = (live[:, beams - 1] - live[:, beams]).nan_to_num(torch.inf)
        # Only what is among the first beams ends a text, so it matters which one of both is there.
        at_border = complete[:, beams - 1] ^ complete[:, beams]
        whole = torch.where(at_border, scores[:, beams - 1] - scores[:, beams], torch.inf)
        margin = torch.minimum(margin, whole)
        self.smallest = margin if self.smallest is None else torch.minimum(self.smallest, margin)
        return self._choose(**given)


class Oracle:
    def __init__(self, path: Path, questions: dict) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(path).eval() if path.is_dir() else halved(read_llama(path))
        self.questions = questions
        self.groups = [torch.tensor(group) for group in questions["prompts"]]
        self.margins = BeamMargins(self.model)

    def answers(self) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for kind in ("generated", "sampled", "drawn", "replaced", "scored"):
            for name, question in self.questions.get(kind, {}).items():
                found |= {f"{name}/{key}": value for key, value in getattr(self, kind)(question).items()}
        return found

    def generated(self, asked: dict) -> dict[str, np.ndarray]:
        parts = [self._generate(group, asked) for group in self.groups]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _generate(self, prompts: Tensor, asked: dict) -> dict[str, np.ndarray]:
        beams = asked.get("num_beams", 1)
        out = self._call(prompts, asked, num_return_sequences=beams, do_sample=False)
        tokens = out.sequences[::beams, prompts.shape[1] :]
        answer = {"tokens": padded(self._cut(tokens, asked), self.questions["length"])}
        if beams == 1:
            top = torch.stack(out.scores, 1).topk(TOP)
            return answer | {"top": widened(top.indices, self), "scores": widened(top.values, self)}
        scores = out.sequences_scores.reshape(-1, beams)
        return answer | {"margins": self.margins.smallest.numpy(), "lead": (scores[:, 0] - scores[:, 1]).numpy()}

    def _call(self, prompts: Tensor, asked: dict, **more: object):
        """`generate` with what it has no argument for: the penalties of the output, and token sequences that end it."""
        self.margins.smallest = None
        asked = dict(asked)
        penalties = OutputPenalties(prompts.shape[1], asked.pop("frequency", 0.0), asked.pop("presence", 0.0))
        stops = asked.pop("stop_tokens", [])
        settings = {"max_new_tokens": self.questions["length"], "output_scores": True, "return_dict_in_generate": True}
        return self.model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            logits_processor=[penalties],
            stopping_criteria=[EndsWith(prompts.shape[1], stops)] if stops else [],
            pad_token_id=asked["eos_token_id"][0] if "eos_token_id" in asked else 0,
            **(settings | asked | more),
        )

    def _cut(self, tokens: Tensor, asked: dict) -> list[list[int]]:
        """The outputs without what ended them: an end-of-sequence token, the longest of some token sequences."""
        eos, stops = asked.get("eos_token_id", []), asked.get("stop_tokens", [])
        return [cut(row, eos, stops) for row in tokens.tolist()]

    def sampled(self, asked: dict) -> dict[str, np.ndarray]:
        torch.manual_seed(0)
        prompts = torch.tensor([asked["prompt"]] * asked["count"])
        settings = {"max_new_tokens": asked["length"], "do_sample": True, "top_k": 0}
        tokens = self._call(prompts, settings | asked["arguments"]).sequences[:, prompts.shape[1] :]
        return {"tokens": padded(self._cut(tokens, asked["arguments"]), asked["length"])}

    def drawn(self, asked: dict) -> dict[str, np.ndarray]:
        settings = {"max_new_tokens": 1, "do_sample": True, "top_k": 0}
        rows = [self._call(group, settings | asked).scores[0] for group in self.groups]
        return {"probabilities": torch.cat(rows).double().softmax(-1).numpy()}

    def replaced(self, asked: dict) -> dict[str, np.ndarray]:
        embeddings = self.model.get_input_embeddings()(torch.tensor([asked["prompt"]])).detach().clone()
        embeddings[0, asked["positions"]] = torch.tensor(asked["values"])
        out = self.model.generate(
            inputs_embeds=embeddings,
            attention_mask=torch.ones(embeddings.shape[:2], dtype=torch.int64),
            max_new_tokens=asked["length"],
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=0,
        )
        return {"tokens": out.sequences[0].numpy(), **of_answer(torch.cat(out.logits), out.sequences[0])}

    def scored(self, asked: dict) -> dict[str, np.ndarray]:
        tokens = torch.tensor([asked["prompt"] + asked["answer"]])
        with torch.no_grad():
            logits = self.model(tokens).logits[0, len(asked["prompt"]) - 1 : -1]
        return of_answer(logits, torch.tensor(asked["answer"]))


def of_answer(logits: Tensor, tokens: Tensor) -> dict[str, np.ndarray]:
    logprobs = logits.log_softmax(-1)
    top = logprobs.topk(TOP)
    chosen = logprobs.gather(1, tokens[:, None])[:, 0]
    return {"logprobs": chosen.numpy(), "top": top.indices.numpy(), "top_logprobs": top.values.numpy()}


def cut(row: list[int], eos: list[int], stops: list[list[int]]) -> list[int]:
    for end, token in enumerate(row, start=1):
        if token in eos:
            return row[: end - 1]
        if ended := [len(stop) for stop in stops if row[:end][-len(stop) :] == stop]:
            return row[: end - max(ended)]
    return row


def padded(rows: list[list[int]], length: int) -> np.ndarray:
    return np.array([row + [-1] * (length - len(row)) for row in rows])


def widened(steps: Tensor, oracle: Oracle) -> np.ndarray:
    """[prompts, steps, TOP] with as many steps as were allowed."""
    missing = oracle.questions["length"] - steps.shape[1]
    return np.pad(steps.numpy(), ((0, 0), (0, missing), (0, 0)))


def halved(model: torch.nn.Module) -> torch.nn.Module:
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return model


oracle = Oracle(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
np.savez(sys.argv[3], **oracle.answers())
