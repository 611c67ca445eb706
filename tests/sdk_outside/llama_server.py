"""llama.cpp's HTTP server, run in the environment of the peer: `python llama_server.py MODEL`; ends with its stdin.

Two slots share one context, so that two long requests exceed it together: that is an error inside a stream.
"""

from __future__ import annotations

import os
import sys

import xllamacpp

TOKEN = "flp_outside"
NAME = "smollm2-135m"
CONTEXT = 256


def parameters(model: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {NAME}
    params.api_keys = [TOKEN]
    params.n_parallel, params.n_ctx, params.kv_unified = 2, CONTEXT, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # several wait for each other on a busy machine
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.cache_ram_mib = 0
    params.endpoint_slots = params.endpoint_metrics = True
    params.verbosity = 0
    params.ui = False
    return params


if __name__ == "__main__":
    server = xllamacpp.Server(parameters(sys.argv[1]))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # the wheel's server thread has no other end
