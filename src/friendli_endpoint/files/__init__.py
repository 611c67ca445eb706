"""Files of weights: what a GGUF or safetensors file holds, read from a memory map without touching the weights."""
