"""What crosses the engine's border: frozen messages, tokens only, named by their direction.

A request goes in as one `Submit`; what comes back are `Prefilled`, then one `Sampled` per token and choice,
then one `Finished` per choice (or one `Failed` for the whole request).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

FinishReason: TypeAlias = Literal["stop", "length"]

MOST_LOGPROBS: Final = 64
"""How many alternatives per token can be reported: those that sampling looks at anyway."""


class Grammar(Struct, frozen=True, array_like=True):
    """What the text of a choice has to match as a whole: a JSON Schema, serialised, or a regular expression."""

    kind: Literal["json_schema", "regex"]
    source: str


class Controls(Struct, frozen=True, array_like=True):
    """How a row's logits become a token; the defaults sample from the unmodified distribution.

    `temperature` 0 and `top_k` 1 are greedy. Neutral values: `top_k` 0, `top_p` 1, `min_p` 0, `xtc_probability` 0,
    penalties 0 (repetition 1), `no_repeat_ngram` 1. No token of `eos_tokens` is drawn before `min_tokens` others.
    `bad_words` are token sequences that never appear. `forced` is the whole output, whatever the logits say. What each
    of them does, and in which order, is written in docs/sampling.md.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    xtc_threshold: float = 0.0
    xtc_probability: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    no_repeat_ngram: int = 1
    min_tokens: int = 0
    bad_words: tuple[tuple[int, ...], ...] = ()
    forced: tuple[int, ...] = ()
    grammar: Grammar | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1


BeamKind: TypeAlias = Literal["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"]


class Beams(Struct, frozen=True, array_like=True):
    """Beam search of `width` beams instead of one continuation.

    `pre_normalize`: the controls see log-probabilities instead of logits. `post_normalize`: what they leave is made a
    distribution again. A beam that generates one of the sequences `stop_tokens` is complete.
    """

    width: int
    kind: BeamKind = "DETERMINISTIC"
    length_penalty: float = 1.0
    early_stopping: bool = False
    pre_normalize: bool = False
    post_normalize: bool = True
    stop_tokens: tuple[tuple[int, ...], ...] = ()


class Report(Struct, frozen=True, array_like=True):
    """What is told of each token beside itself, all of it from the unmodified logits.

    `logprobs`: its log-probability and those of so many most probable tokens (0 to `MOST_LOGPROBS`); None: nothing.
    `logits`: the whole row.
    """

    logprobs: int | None = None
    logits: bool = False


class Embeddings(Struct, frozen=True, array_like=True):
    """Vectors that stand in for the prompt's tokens at `positions` (ascending): float32 [positions, hidden size]."""

    positions: tuple[int, ...]
    values: bytes


class Request(Struct, frozen=True, array_like=True):
    """One prompt and everything that decides its continuation.

    `seeds` has one 64-bit seed per choice, so its length is `n`; with `beams` there is one. `max_tokens` bounds each
    choice and is already resolved: prompt and output fit the context. A choice that samples one of `eos_tokens`
    finishes with "stop"; that token is not reported. `adapter` is the key of an added adapter; None is the base model.
    `scope` keeps prefix caches apart (team). `generated` holds tokens per choice that an earlier engine has already
    reported: they are replayed, not reported again.
    """

    id: str
    prompt: tuple[int, ...]
    seeds: tuple[int, ...]
    max_tokens: int
    eos_tokens: tuple[int, ...] = ()
    controls: Controls = Controls()
    report: Report = Report()
    beams: Beams | None = None
    embeddings: Embeddings | None = None
    adapter: str | None = None
    scope: str = ""
    generated: tuple[tuple[int, ...], ...] = ()


class ModelCard(Struct, frozen=True, array_like=True):
    """What an engine says of its model: sizes in tokens; `kv_blocks` blocks of `block_size` tokens hold all KV."""

    name: str
    architecture: str
    vocab_size: int
    context_length: int
    block_size: int
    kv_blocks: int
    weights: str
    hidden_size: int
    adapters: int = 0
    """How many different adapters the rows of one forward can have; 0: the model takes none."""

    @property
    def longest_sequence(self) -> int:
        """The most tokens that one sequence can have, prompt and output together."""
        return min(self.context_length, self.kv_blocks * self.block_size)

    def most_tokens(self, prompt_tokens: int, beams: int = 1) -> int:
        """The most tokens that can follow a prompt, so that each of so many beams fits beside the others.

        The beams share the prompt's full blocks; zero or less when there is no room.
        """
        shared = prompt_tokens // self.block_size
        own = (self.kv_blocks - shared) // beams * self.block_size
        return min(self.context_length - prompt_tokens, own - prompt_tokens % self.block_size)


class AdapterCard(Struct, frozen=True, array_like=True):
    """What an engine says of an adapter: its largest rank, the projections (q, k, v, o, gate, up, down) it changes."""

    rank: int
    targets: tuple[str, ...]
    parameters: int


# To the engine


class Submit(Struct, frozen=True, array_like=True, tag="submit"):
    """Continue a prompt."""

    request: Request


class Abort(Struct, frozen=True, array_like=True, tag="abort"):
    """Forget a request, or one choice of it, wherever it is; no further events of it follow.

    Unknown ids are ignored, because the request may just have finished.
    """

    request_id: str
    choice: int | None = None


class AddAdapter(Struct, frozen=True, array_like=True, tag="add_adapter"):
    """Load the adapter at `path` (a PEFT folder or a GGUF file) under a key that is never used for another one.

    Requests may name the key from now on; they wait until it is loaded, and fail if it cannot be.
    """

    key: str
    path: str


class DropAdapter(Struct, frozen=True, array_like=True, tag="drop_adapter"):
    """Forget an adapter once no request uses it; unknown keys are ignored."""

    key: str


ToEngine: TypeAlias = Submit | Abort | AddAdapter | DropAdapter


class Ping(Struct, frozen=True, array_like=True, tag="ping"):
    """Answer with a `Pulse` of this number after the next step, or at once when idle."""

    number: int


# From the engine


class Prefilled(Struct, frozen=True, array_like=True, tag="prefilled"):
    """The prompt has been read; `cached_tokens` of it came from the prefix cache. First event of a request."""

    request_id: str
    cached_tokens: int


class Scores(Struct, frozen=True, array_like=True):
    """What a `Report` asked for, of one token: natural logarithms, and float32 logits [vocab] as bytes.

    `top` are the most probable tokens with their log-probabilities, highest first.
    """

    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    logits: bytes | None = None


class Sampled(Struct, frozen=True, array_like=True, tag="sampled"):
    """The next token of a choice. A beam search reports its result so, all at once when it is done."""

    request_id: str
    choice: int
    token: int
    scores: Scores | None = None


class Resumed(Struct, frozen=True, array_like=True, tag="resumed"):
    """A choice that had been `generated` is where it was; with the next step it goes on."""

    request_id: str


class Finished(Struct, frozen=True, array_like=True, tag="finished"):
    """A choice is complete; the last event of that choice."""

    request_id: str
    choice: int
    reason: FinishReason


class Failed(Struct, frozen=True, array_like=True, tag="failed"):
    """A whole request failed inside the engine; its last event.

    `field` is the request's field that is to blame, named as in the interface; None: it is not the request's fault.
    """

    request_id: str
    message: str
    field: str | None = None


class AdapterAdded(Struct, frozen=True, array_like=True, tag="adapter_added"):
    """An adapter is loaded."""

    key: str
    card: AdapterCard


class AdapterRefused(Struct, frozen=True, array_like=True, tag="adapter_refused"):
    """An adapter cannot be served; its key is forgotten."""

    key: str
    message: str


TokenEvent: TypeAlias = Prefilled | Sampled | Finished
Event: TypeAlias = TokenEvent | Resumed | Failed | AdapterAdded | AdapterRefused


class Ready(Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded; the first frame of a child that starts well."""

    card: ModelCard


class LoadFailed(Struct, frozen=True, array_like=True, tag="load_failed"):
    """The model could not be loaded; the only frame of such a child."""

    message: str


class Stepped(Struct, frozen=True, array_like=True, tag="stepped"):
    """All events of one step."""

    events: tuple[Event, ...]


class Pulse(Struct, frozen=True, array_like=True, tag="pulse"):
    """Where the engine stands between two steps, so it steps; the answer to the `Ping` of this number.

    Counters since it was loaded: `forwards`, the `rows` of all of them and their tokens, of prompts (`prefill_tokens`)
    and behind them (`decode_tokens`, those computed again included); `cached_tokens` of prompts that the prefix cache
    had; `preemptions`. The rest is now: sequences that are `running`, and `waiting` for rows, blocks, a grammar or an
    adapter; of the `kv_blocks` those that sequences hold (`kv_blocks_used`), and those that nobody does but a prompt
    may find again (`kv_blocks_cached`); `adapters` that are loaded.
    """

    number: int
    forwards: int = 0
    rows: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    running: int = 0
    waiting: int = 0
    kv_blocks: int = 0
    kv_blocks_used: int = 0
    kv_blocks_cached: int = 0
    adapters: int = 0

    def after(self, earlier: Pulse) -> Pulse:
        """The same moment, with counters that go on from those of an engine before this one."""
        return replace(self, **{name: getattr(self, name) + getattr(earlier, name) for name in _COUNTERS})

    def ended(self) -> Pulse:
        """The counters that an engine leaves; nothing runs or is held any more."""
        return Pulse(self.number, **{name: getattr(self, name) for name in _COUNTERS})


_COUNTERS: Final = ("forwards", "rows", "prefill_tokens", "decode_tokens", "cached_tokens", "preemptions")

FromEngine: TypeAlias = Ready | LoadFailed | Stepped | Pulse
