"""The engines as child processes of the bench, each with what it is started with."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.environments import peer_python
from bench.wire import Child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.plan import PeerSettings, Plan

SLOT_TOKENS = 512
NO_ADAPTERS: Mapping[str, str] = MappingProxyType({})


@contextmanager
def both(
    plan: Plan, settings: PeerSettings, rows: int, adapters: Mapping[str, str] = NO_ADAPTERS
) -> Iterator[tuple[Child, Child]]:
    """Both engines, with KV for `rows` sequences each; the one that waits costs the other nothing."""
    with our_engine(plan, rows, adapters) as ours, peer_engine(plan, settings, rows, adapters=adapters) as peer:
        yield ours, peer


def our_engine(
    plan: Plan, rows: int, adapters: Mapping[str, str] = NO_ADAPTERS, slot_tokens: int = SLOT_TOKENS
) -> Child:
    options = _our_options(plan, rows, adapters, slot_tokens)
    return Child("ours", [sys.executable, "-m", "bench.drivers.ours", json.dumps(options)])


def stepping_engine(plan: Plan, rows: int, adapters: Mapping[str, str] = NO_ADAPTERS) -> Child:
    """Our engine's step loop alone, with a clock in it."""
    command = [sys.executable, "-m", "bench.drivers.steps", json.dumps(_our_options(plan, rows, adapters, SLOT_TOKENS))]
    return Child("ours, step by step", command)


def _our_options(plan: Plan, rows: int, adapters: Mapping[str, str], slot_tokens: int) -> dict[str, object]:
    """What our drivers are started with; `adapters` are files by name."""
    return {
        "model": str(plan.model),
        "threads": plan.threads,
        "rows": rows,
        "kv_tokens": rows * slot_tokens,
        "adapters": dict(adapters),
    }


def peer_engine(
    plan: Plan,
    settings: PeerSettings,
    rows: int,
    slot_tokens: int = SLOT_TOKENS,
    adapters: Mapping[str, str] = NO_ADAPTERS,
) -> Child:
    options = {
        "model": str(plan.model),
        "threads": plan.threads,
        "slots": rows,
        "slot_tokens": slot_tokens,
        "adapters": dict(adapters),
    }
    command = [peer_python("xllamacpp"), "-m", "bench.drivers.llama", json.dumps(options | asdict(settings))]
    return Child("llama.cpp", command)
