"""The default model in float32 with one adapter after the other merged into it by peft.

argv are the GGUF file, an npz with `tokens`, the npz to write, and adapter folders; `base` and each folder's name have
the log-probabilities behind every token.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from gguf_llama import read_llama
from peft import PeftModel

model_file, tokens_file, out = map(Path, sys.argv[1:4])
tokens = torch.from_numpy(np.load(tokens_file)["tokens"])[None]
model = read_llama(model_file)


def logprobs(llama: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        return torch.log_softmax(llama(tokens).logits[0], -1).numpy()


found = {"base": logprobs(model)}
for folder in map(Path, sys.argv[4:]):
    adapted = PeftModel.from_pretrained(model, folder)
    adapted.merge_adapter()
    found[folder.name] = logprobs(adapted)
    adapted.unmerge_adapter()
    model = adapted.unload()
np.savez(out, **found)
