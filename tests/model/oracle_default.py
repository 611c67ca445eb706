"""The default model in float32: argv are the GGUF file, a text to read, how many tokens of it, and the npz to write."""

import sys
from pathlib import Path

import numpy as np
import torch
from gguf_llama import read_llama
from transformers import AutoTokenizer

model_file, text_file, count, out = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(str(model_file.parent), gguf_file=model_file.name)
tokens = tokenizer(text_file.read_text(), return_tensors="pt").input_ids[:, :count]
with torch.no_grad():
    logits = read_llama(model_file)(tokens).logits[0]
np.savez(out, tokens=tokens[0].numpy(), logprobs=torch.log_softmax(logits, -1).numpy())
