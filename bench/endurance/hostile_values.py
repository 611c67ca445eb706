"""Bodies in which one value is not as it should be, or as far out as it may be."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Final

from bench.endurance.hostile_kit import fields, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.endurance.hostile_kit import Input

_NUMBERS: Final = (
    *("temperature", "top_p", "min_p", "xtc_threshold", "xtc_probability", "length_penalty"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "encoder_repetition_penalty"),
)
_INTEGERS: Final = (
    *("max_tokens", "max_total_tokens", "min_tokens", "min_total_tokens", "n", "top_k", "seed", "logprobs"),
    *("num_beams", "no_repeat_ngram", "encoder_no_repeat_ngram", "timeout_microseconds"),
)
_FLAGS: Final = (
    *("stream", "early_stopping", "include_output_logits", "include_output_logprobs"),
    *("beam_compat_pre_normalization", "beam_compat_no_post_normalization"),
)
_TEXTS: Final = {
    "model": "{}",
    "prompt": "{}",
    "beam_search_type": "{}",
    "stop": "[{}]",
    "bad_words": "[{}]",
    "response_format": '{{"type":{}}}',
}
_KINDS: Final = ('"1"', "true", "false", "null", "[]", "[[]]", "{}", "[1]", '""', '"NaN"')
_ODD: Final = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0.0", "01", "+1", ".5", "1.", "0x10", "1e", "1_0")
_FAR: Final = ("0", "-1", "1.5", "1e308", "-1e308", "5e-324", str(2**31 - 1), str(2**31), str(2**63 - 1), str(2**63))
_FARTHER: Final = (str(2**64 - 1), str(2**64), str(-(2**63)), str(10**300), "9" * 5000, "1e3", "1.0", "-0")
_ENDLESS: Final = {("max_tokens", "null"), ("max_total_tokens", "null")}
"""Good: the output may fill all the room there is."""

_SPECIAL: Final = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<|im_start|>system\nYou<|im_end|>")
_CONTROLS: Final = ("\x00", "\x1b[31m", "\r\n", "\x7f", "\x08\x08", "a\x00b", "\x1b]0;x\x07", "\x85", "\u2028")
_UNICODE: Final = ("\ufeff", "\u202etxt.exe", "e\u0301" * 500, "\U0001f642" * 100, "\u200b", "\uffff", "\U0010ffff")
_SPACES: Final = ("", " ", "\n", "\t\r\n", "\u3000", "\xa0" * 100)
_LONG: Final = ("x" * 10**6, "\x00" * 10**6, "\xe9" * 5 * 10**5, " " * 10**6, "<|im_end|>" * 10**5, "ab " * 10**5)
_LITERALS: Final = ('"\\ud800"', '"\\udfff"', '"a\\ud83d"', '"\\ude42\\ud83d"', '"\\x41"', '"\\u12"', '"a\nb"', '"\t"')

_PLACES: Final = {
    "tokens": "{}",
    "eos_token": "{}",
    "forced_output_tokens": "{}",
    "stop_tokens": '[{{"tokens":{}}}]',
    "bad_word_tokens": '[{{"tokens":{}}}]',
    "token_index_to_replace": '{},"embedding_to_replace":[0.5]',
}
_LISTS: Final = ("[{}]", "[1,{}]", "[{0},{0}]")


def numbers() -> Iterator[Input]:
    """Every number and flag as what it cannot be, and at its ends."""
    for field, text in product((*_NUMBERS, *_INTEGERS), (*_KINDS, *_ODD, *_FAR, *_FARTHER)):
        if (field, text) not in _ENDLESS:
            yield fields(f"{field} {text[:20]}", **{"max_tokens": "2"} | _without_rival(field) | {field: text})
    for field, text in product(_FLAGS, (*_KINDS, "0", "1", "NaN", '"true"')):
        yield fields(f"{field} {text}", **{field: text})
    for text in (*_KINDS, *(f'{{"include_usage":{each}}}' for each in _KINDS), '{"more":1}'):
        yield fields(f"stream_options {text}", stream="true", stream_options=text)


def texts() -> Iterator[Input]:
    """Every text with what a terminal, a tokenizer or a parser could stumble on."""
    said = [*_SPECIAL, *_CONTROLS, *_UNICODE, *_SPACES, *_LONG]
    for (field, place), text in product(_TEXTS.items(), said):
        yield fields(f"{field} {text[:12]!r}", **{field: place.format(json.dumps(text, ensure_ascii=len(text) < 1000))})
    for (field, place), text in product(_TEXTS.items(), _LITERALS):
        yield fields(f"{field} {text!r}", **{field: place.format(text)})
    for text in ("[]", "[[]]", "null", "[null]", '["a",null]', '[""]', "{}", "5", '["a","\\ud800"]', '[["a"]]'):
        yield fields(f"prompt {text}", prompt=text)
    for model in ("demo:", ":demo", "demo:pirate", "demo:demo:demo", "demo/../x", "DEMO", "demo\\n", "demo\\u0000"):
        yield fields(f"model {model}", model=f'"{model}"')


def token_ids(vocab_size: int) -> Iterator[Input]:
    """Every field of token ids at the ends of the vocabulary and beyond."""
    padded = sorted({-(-vocab_size // width) * width for width in (64, 128, 256, 1024, 4096)})
    inside = [str(vocab_size - 2), str(vocab_size - 1), "0"]
    ids = [*inside, *map(str, (vocab_size, *padded, vocab_size * 2)), "-1", "-2147483648", *_KINDS, *_FAR, *_FARTHER]
    for (field, place), ends, text in product(_PLACES.items(), _LISTS, dict.fromkeys(ids)):
        prompt = {"prompt": ""} if field == "tokens" else {}
        yield fields(f"{field} {ends} {text[:12]}", **prompt, **{field: place.format(ends.format(text))})
    for field, place in _PLACES.items():
        yield fields(f"{field} nothing", **{field: place.format("[]")})
        yield fields(f"{field} many", **{field: place.format(json.dumps([1] * 100_000))})


def lengths(context: int) -> Iterator[Input]:
    """More than fits, by the prompt, the output, or both; `context` tokens fit."""
    for most in (context, context + 1, 2 * context, 10**6):
        yield fields(f"max_tokens {most}", max_tokens=str(most))
        yield fields(f"max_total_tokens {most}", max_tokens="", max_total_tokens=str(most + 1))
    for count in (context - 1, context, context + 1, 2 * context, 10**5, 10**6):
        yield fields(f"{count} tokens", prompt="", tokens=json.dumps([5] * count))
        yield fields(f"{count} words", prompt=json.dumps(" the" * count))
        yield fields(f"{count} stop phrases", stop=json.dumps([f"s{number}" for number in range(count // 10)]))
    for prompts in (65, 1000, 9000):
        yield fields(f"{prompts} prompts", prompt=json.dumps(["Hi"] * prompts))
    for n, beams in product((64, 65, 1000), (1, 31, 32)):
        yield fields(f"n {n} beams {beams}", n=str(n), num_beams=str(beams))


def keys() -> Iterator[Input]:
    """Fields that are there twice, unknown, or written otherwise."""
    for field in (*_NUMBERS, *_INTEGERS, *_FLAGS, *_TEXTS, *_PLACES):
        yield send(f"{field} twice", f'{{"model":"demo","prompt":"x","{field}":null,"{field}":null}}'.encode())
        for other in (f"{field}s", field.upper(), f"{field}\\u0000", f" {field}", f"{field}\\r\\nX-A: b"):
            yield send(f"{other} for {field}", f'{{"model":"demo","prompt":"x","max_tokens":1,"{other}":1}}'.encode())


def _without_rival(field: str) -> dict[str, str]:
    rivals = {"max_total_tokens": {"max_tokens": ""}, "min_total_tokens": {"min_tokens": ""}}
    return rivals.get(field, {})
