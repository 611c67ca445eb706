"""The metrics of endpoints and their engines, from what those say when they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from friendli_endpoint.engine.vocabulary import Pulse
from friendli_endpoint.server.telemetry.families import counter, gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

    from friendli_endpoint.server.telemetry.figures import EndpointFigures

STATES: Final = ("INITIALIZING", "RUNNING", "SLEEPING", "AWAKING", "FAILED", "STOPPING", "TERMINATED")
_ENDPOINT: Final = ("endpoint",)
_NOTHING: Final = Pulse(0)
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Pulse], int]], ...]] = (
    ("friendli_engine_forwards", "Forwards of the model.", lambda pulse: pulse.forwards),
    ("friendli_engine_rows", "Rows of all forwards.", lambda pulse: pulse.rows),
    ("friendli_engine_prefill_tokens", "Tokens of prompts that were computed.", lambda pulse: pulse.prefill_tokens),
    ("friendli_engine_decode_tokens", "Tokens of outputs that were computed.", lambda pulse: pulse.decode_tokens),
    ("friendli_engine_cached_tokens", "Tokens of prompts that were cached.", lambda pulse: pulse.cached_tokens),
    ("friendli_engine_preemptions", "Sequences that gave their blocks back.", lambda pulse: pulse.preemptions),
)
_GAUGES: Final[tuple[tuple[str, str, Callable[[Pulse], int]], ...]] = (
    ("friendli_engine_running_sequences", "Sequences in the batch.", lambda pulse: pulse.running),
    ("friendli_engine_waiting_sequences", "Sequences that wait for room.", lambda pulse: pulse.waiting),
    ("friendli_kv_blocks", "Blocks of the KV cache.", lambda pulse: pulse.kv_blocks),
    ("friendli_kv_blocks_used", "Blocks of the KV cache that sequences hold.", lambda pulse: pulse.kv_blocks_used),
    (
        "friendli_kv_blocks_cached",
        "Blocks of the KV cache that are kept for prompts to come.",
        lambda pulse: pulse.kv_blocks_cached,
    ),
    ("friendli_engine_adapters", "Adapters that are loaded.", lambda pulse: pulse.adapters),
)


def engine_families(endpoints: Sequence[EndpointFigures]) -> Iterator[Metric]:
    """All of them."""
    pulses = [((each.id,), each.pulse or _NOTHING) for each in endpoints]
    for name, text, of in _COUNTERS:
        yield counter(name, text, _ENDPOINT, [(place, of(pulse)) for place, pulse in pulses])
    for name, text, of in _GAUGES:
        yield gauge(name, text, _ENDPOINT, [(place, of(pulse)) for place, pulse in pulses])
    restarts = [((each.id,), each.restarts) for each in endpoints]
    states = [((each.id, state), each.state == state) for each in endpoints for state in STATES]
    yield counter("friendli_engine_restarts", "Engines that took the place of one that died.", _ENDPOINT, restarts)
    yield gauge(
        "friendli_endpoint_state",
        "1 for the state that the endpoint is in, 0 for the others.",
        (*_ENDPOINT, "state"),
        states,
    )
