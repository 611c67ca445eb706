"""llama.cpp's server engine, in its own environment: `python -m bench.drivers.llama SETTINGS-AS-JSON`.

Jobs go straight to its request handler, one thread for each concurrent job, as the wheel is meant to be used in
process; its HTTP server listens as well, for the measurements that go through HTTP.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xllamacpp

from bench.wire import answer_all


def parameters(settings: dict[str, Any]) -> xllamacpp.CommonParams:
    """`settings` has model, slots, slot_tokens, threads, adapters, and the tuned choices flash, ubatch, poll."""
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["slot_tokens"]
    params.cont_batching = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cpuparams.poll = params.cpuparams_batch.poll = settings["poll"]
    params.flash_attn_type = xllamacpp.llama_flash_attn_type(settings["flash"])
    params.n_ubatch = settings["ubatch"]
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in settings["adapters"].values()]
    params.verbosity = 0
    params.ui = False
    return params


class Engine:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.server = xllamacpp.Server(parameters(settings))
        self.adapters = list(settings["adapters"])  # a request chooses by number

    def answer(self, question: dict[str, Any]) -> object:
        match question["op"]:
            case "run":
                return self.run(question)
            case "facts":
                return {"address": self.server.listening_address, "system": xllamacpp.get_system_info()}
        raise ValueError(f"unknown question {question['op']!r}")

    def run(self, question: dict[str, Any]) -> dict[str, object]:
        begin = time.perf_counter()
        with ThreadPoolExecutor(question["concurrency"]) as pool:
            outcomes = list(pool.map(lambda job: self.one(job, question["stream"]), question["jobs"]))
        return {"seconds": time.perf_counter() - begin, "outcomes": outcomes}

    def one(self, job: dict[str, Any], stream: bool) -> dict[str, object]:
        body = {
            "prompt": job["prompt"],
            "max_tokens": job["max_tokens"],
            "temperature": job["temperature"],
            "seed": job["seed"],
            "top_k": 40,
            "top_p": 0.95,
            "min_p": 0.0,
            "ignore_eos": True,
            "cache_prompt": False,
            "stream": stream,
        }
        if job["adapter"] is not None:
            body["lora"] = [{"id": self.adapters.index(job["adapter"]), "scale": 1.0}]
        begin = time.perf_counter()
        chunks: list[dict[str, Any]] = []
        arrivals: list[float] = []

        def take(chunk: dict[str, Any]) -> bool:
            arrivals.append(time.perf_counter() - begin)
            chunks.append(chunk)
            return False

        if stream:
            self.server.handle_completions(body, take)
        else:
            chunks.append(self.server.handle_completions(body))
        return {
            "first_token_s": arrivals[0] if arrivals else None,
            "tokens": chunks[-1]["usage"]["completion_tokens"],
            "output": "".join(chunk["choices"][0]["text"] for chunk in chunks),
        }


if __name__ == "__main__":
    answer_all(Engine(json.loads(sys.argv[1])).answer)
    os._exit(0)  # the wheel's server thread has no other end
