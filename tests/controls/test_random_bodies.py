"""Random bodies through validation, the engine on its fake model and the text border: no crash, no broken rule."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from friendli_endpoint.config import ServerSettings
from friendli_endpoint.engine.core import EngineCore
from friendli_endpoint.engine.fake_model import FakeStepModel, load_vocabulary
from friendli_endpoint.engine.options import EngineOptions
from friendli_endpoint.engine.plan import Limits
from friendli_endpoint.engine.vocabulary import Failed, Submit
from friendli_endpoint.errors import RequestError
from friendli_endpoint.sampling.grammar import Grammars
from friendli_endpoint.sampling.head import HeadFinder
from friendli_endpoint.sampling.sampler import Sampler
from friendli_endpoint.server.chunks import Continuation, EndChunk, TokenChunk
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.order import Origin, make_order, read_body
from friendli_endpoint.text import Tokenizer
from friendli_endpoint.text.spelling import BYTE_LEVEL

HEADS = HeadFinder(97, threads=1)
EOS = 96
LETTERS = "abcdefghij 0123."
REGEX = "[a-e]+( [0-9]{1,3})?"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}


def ascii_tokenizer() -> Tokenizer:
    """One token per printable ASCII character, in the order of the fake model's vocabulary."""
    names = {("Ġ" if code == 32 else chr(code)): code - 32 for code in range(32, 127)}
    backend = Backend(models.BPE(vocab=names, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, BYTE_LEVEL, eos_tokens=(EOS,), added={95: True, EOS: True})


class Compiled(Grammars):
    """Grammars that are ready at once, so that a core is never idle while one is being compiled."""

    def compile(self, grammar, eos_tokens):
        super().compile(grammar, eos_tokens).exception()
        return super().compile(grammar, eos_tokens)


@pytest.fixture(scope="module")
def grammars():
    ready = Compiled(lambda: load_vocabulary(EngineOptions("none")), 97)
    yield ready
    ready.close()


def share(low=0.0, high=1.0):
    return st.floats(low, high, allow_nan=False)


words = st.text(LETTERS, min_size=1, max_size=3)
phrases = st.lists(words, max_size=3)
ids = st.integers(0, 94)
sequences = st.lists(st.fixed_dictionaries({"tokens": st.lists(ids, min_size=1, max_size=2)}), max_size=3)
formats = st.sampled_from(
    [
        {"type": "text"},
        {"type": "regex", "schema": REGEX},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        {"type": "json_object", "schema": json.dumps(SCHEMA)},
        {"type": "json_object"},
        {"type": "regex", "schema": "(broken"},
    ]
)
FIELDS = {
    "max_tokens": st.integers(1, 14),
    "max_total_tokens": st.integers(4, 30),
    "min_tokens": st.integers(0, 6),
    "min_total_tokens": st.integers(0, 20),
    "n": st.integers(1, 3),
    "temperature": st.one_of(st.sampled_from([0.0, 1e-300, 1e46, 1e308]), share(0.05, 3)),
    "top_k": st.integers(0, 97),
    "top_p": share(0.01, 1),
    "min_p": share(),
    "xtc_threshold": share(),
    "xtc_probability": share(),
    "seed": st.one_of(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 99), min_size=1, max_size=3)),
    "frequency_penalty": share(-2, 2),
    "presence_penalty": share(-2, 2),
    "repetition_penalty": st.one_of(st.sampled_from([1e-300, 1e-39, 1e39, 1e308]), share(0.3, 3)),
    "no_repeat_ngram": st.integers(1, 4),
    "bad_words": phrases,
    "bad_word_tokens": sequences,
    "stop": phrases,
    "stop_tokens": sequences,
    "eos_token": st.lists(ids, max_size=3),
    "response_format": formats,
    "forced_output_tokens": st.lists(st.integers(0, 96), max_size=6),
    "token_index_to_replace": st.lists(st.integers(0, 4), unique=True, max_size=2),
    "embedding_to_replace": st.lists(share(-2, 2), max_size=4),
    "logprobs": st.integers(0, 6),
    "include_output_logprobs": st.booleans(),
    "include_output_logits": st.booleans(),
    "num_beams": st.integers(1, 5),
    "beam_search_type": st.sampled_from(["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"]),
    "length_penalty": share(-2, 2),
    "early_stopping": st.booleans(),
    "beam_compat_pre_normalization": st.booleans(),
    "beam_compat_no_post_normalization": st.booleans(),
}


@st.composite
def bodies(draw):
    """A body of a few random fields; most are valid alone, not all of them together."""
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=6))
    if "max_total_tokens" not in names:
        names.add("max_tokens")
    if names & {"token_index_to_replace", "embedding_to_replace"}:
        names |= {"token_index_to_replace", "embedding_to_replace"}
    prompt = draw(st.text(LETTERS, min_size=1, max_size=12))
    return {"model": "e", "prompt": prompt} | {name: draw(FIELDS[name]) for name in sorted(names)}


def small_model():
    """Room for one request of any body here, and for few of them at once."""
    return FakeStepModel(blocks=40, context_length=100)


def deployment():
    return Deployment("e", SimpleNamespace(card=small_model().card), ascii_tokenizer())


def ordered(number, body, target):
    """The order of a body, None when a sentence that names a field refuses it."""
    try:
        asked = read_body(json.dumps(body).encode(), ServerSettings())
        return make_order(asked, Origin(f"r{number}", "default", None), target, ServerSettings())
    except RequestError as error:
        refusal = error
    assert refusal.status == 422
    assert refusal.field is not None
    assert refusal.field.split(".")[0] in body.keys() | {"seed", "n"}
    return None


def played(orders, grammars):
    """Every order's chunks by index, None for a request that failed, from one batch on one core."""
    core = EngineCore(small_model(), Sampler(HEADS), Limits(8, 64), grammars=grammars, verify=True)
    tokenizer = ascii_tokenizer()
    continuations = {}
    for order in orders:
        for request in order.requests:
            continuations[request.id] = Continuation(request, 0, tokenizer, order.stop, order.stop_tokens)
            core.receive(Submit(request))
    chunks, failed = {name: [] for name in continuations}, {}
    for _ in range(3000):
        if not core.busy:
            break
        for event in core.step():
            if isinstance(event, Failed):
                failed[event.request_id] = event
            else:
                chunks[event.request_id] += continuations[event.request_id].take(event)
    assert not core.busy
    return {name: failed.get(name) or each for name, each in chunks.items()}


@given(asked=st.lists(bodies(), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_fields_together_give_an_answer_that_keeps_their_promises_or_a_sentence(asked, grammars):
    """The block accounts are checked after every step, and each request is answered as it is alone."""
    target = deployment()
    orders = [(body, order) for number, body in enumerate(asked) if (order := ordered(number, body, target))]
    together = played([order for _, order in orders], grammars)
    for body, order in orders:
        alone = played([order], grammars)
        for request in order.requests:
            answer = together[request.id]
            assert answer == alone[request.id]
            if isinstance(answer, Failed):
                assert answer.field in {"response_format", "bad_words", "no_repeat_ngram", "min_tokens"}
            else:
                for index in range(len(request.seeds)):
                    check([chunk for chunk in answer if chunk.index == index], body, request)


def check(chunks, body, request):
    """What the reply of one choice promises by the fields of its body."""
    *tokens, end = chunks
    assert isinstance(end, EndChunk)
    assert all(isinstance(chunk, TokenChunk) for chunk in tokens)
    output, text = [chunk.token for chunk in tokens], "".join(chunk.text for chunk in tokens)
    assert len(output) <= request.max_tokens
    assert not any(phrase in text for phrase in body.get("stop", ()) if not request.controls.min_tokens)
    if request.controls.forced:
        assert output == list(request.controls.forced[: len(output)])
        return
    if end.reason == "stop" and not body.get("stop") and not body.get("stop_tokens"):
        assert len(output) >= request.controls.min_tokens
    assert not any(token in request.eos_tokens for token in output)
    whole = [*request.prompt, *output]
    for word in request.controls.bad_words:
        assert list(word) not in [
            whole[i : i + len(word)] for i in range(len(request.prompt) - len(word) + 1, len(whole))
        ]
    if request.controls.no_repeat_ngram > 1:
        check_ngrams(whole, request.controls.no_repeat_ngram, len(request.prompt))
    if request.controls.grammar and end.reason == "stop" and not body.get("stop") and not body.get("stop_tokens"):
        check_grammar(text, body["response_format"])


def check_ngrams(whole, size, prompt):
    grams = [tuple(whole[i : i + size]) for i in range(len(whole) - size + 1)]
    written = grams[max(0, prompt - size + 1) :]
    assert all(grams.count(gram) == 1 for gram in written)


def check_grammar(text, wanted):
    if wanted["type"] == "regex":
        assert re.fullmatch(REGEX, text)
    elif "schema" in wanted or "json_schema" in wanted:
        answer = json.loads(text)
        assert isinstance(answer["a"], int)
        assert answer["b"] in ("x", "y")
    else:
        assert isinstance(json.loads(text), dict)
