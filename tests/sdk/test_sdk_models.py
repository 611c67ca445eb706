"""The request model takes what the interface allows, and names the field for everything else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from types import UnionType
from typing import Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from pydantic import BaseModel, ValidationError

from friendli import models
from friendli.models._rules import RULES
from friendli.models.fields import CompletionsFields
from friendli.models.problems import Problem, first_problem

MINIMAL = {"model": "demo", "prompt": "hi"}

VALID: dict[str, list[object]] = {
    "model": ["demo", "demo:route"],
    "prompt": ["", " ", "hi", ["a", "b"]],
    "max_tokens": [1, 2**31 - 1],
    "max_total_tokens": [1],
    "min_tokens": [0, 3],
    "min_total_tokens": [0, 3],
    "n": [1, 4],
    "temperature": [0, 0.0, -0.0, 1, 0.7, 100.0],
    "top_k": [0, 1, 50_000],
    "top_p": [0.01, 1, 1.0],
    "min_p": [0, 0.5, 1],
    "xtc_threshold": [0, 1],
    "xtc_probability": [0, 1],
    "seed": [0, 2**64 - 1, [5]],
    "frequency_penalty": [-2, 2, 0.5],
    "presence_penalty": [-2, 2],
    "repetition_penalty": [0.5, 1, 1.2],
    "encoder_repetition_penalty": [1.0],
    "no_repeat_ngram": [1, 3],
    "encoder_no_repeat_ngram": [1],
    "bad_words": [[], ["x"], ("x", "y")],
    "bad_word_tokens": [[], [{"tokens": [1, 2]}]],
    "stop": [[], ["\n"], ("a",)],
    "stop_tokens": [[{"tokens": [0]}]],
    "eos_token": [[], [0, 2]],
    "response_format": [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_object", "schema": "{}"},
        {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        {"type": "regex", "schema": "a+"},
    ],
    "forced_output_tokens": [[1, 2]],
    "stream": [True, False],
    "stream_options": [{}, {"include_usage": False}],
    "logprobs": [0, 5],
    "include_output_logprobs": [True],
    "include_output_logits": [False],
    "num_beams": [1, 31],
    "beam_search_type": ["DETERMINISTIC", "NAIVE_SAMPLING", "STOCHASTIC"],
    "length_penalty": [1.0],
    "early_stopping": [False],
    "beam_compat_pre_normalization": [True],
    "beam_compat_no_post_normalization": [False],
    "timeout_microseconds": [1],
}

NO_NUMBERS: list[object] = ["1", True, [], {}, math.nan, math.inf, -math.inf]
INVALID: dict[str, list[object]] = {
    "model": ["", 1],
    "prompt": [1, [], [[]], [1], {}, True, "\ud800"],
    "tokens": [[], [-1], [2**31], [1.0], ["1"], [True], "12", [None]],
    "max_tokens": [0, -1, 2**31, 10**300, 1.0, *NO_NUMBERS],
    "max_total_tokens": [0],
    "min_tokens": [-1],
    "n": [0, -1, 2**63],
    "temperature": [-0.1, *NO_NUMBERS],
    "top_k": [-1, 1.5],
    "top_p": [0, 1.1, -0.5, math.nan],
    "min_p": [-0.1, 1.1],
    "xtc_threshold": [2],
    "xtc_probability": [-1],
    "seed": [-1, 2**64, "x", [], [-1], 1.0, True],
    "frequency_penalty": [2.1, -2.1, math.nan],
    "presence_penalty": [3],
    "repetition_penalty": [0, -1],
    "no_repeat_ngram": [0],
    "bad_words": ["x", [""], [1]],
    "bad_word_tokens": [[[1]], [{"tokens": []}], [{"tokens": [1], "x": 1}]],
    "stop": ["x", [""], ["\udfff"]],
    "stop_tokens": [[{"tokens": [-1]}]],
    "eos_token": [[-1], 2],
    "response_format": [
        "json",
        {},
        {"type": "xml"},
        {"type": "regex"},
        {"type": "json_schema"},
        {"type": "text", "a": 1},
    ],
    "stream": [1, "true"],
    "stream_options": [True, {"include_usages": True}],
    "logprobs": [-1, True],
    "num_beams": [0, 32],
    "beam_search_type": ["GREEDY"],
    "timeout_microseconds": [0],
}


def problem_of(body: dict[str, object], kind: type[models.CompletionsBody] = models.CompletionsBody) -> Problem:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(body)
    return first_problem(caught.value)


def with_values(table: dict[str, list[object]]) -> list[tuple[str, object]]:
    return [(field, value) for field, values in table.items() for value in values]


@pytest.mark.parametrize(("field", "value"), with_values(VALID))
def test_every_allowed_value_is_taken(field, value):
    models.CompletionsBody.model_validate({**MINIMAL, field: value})


@pytest.mark.parametrize(("field", "value"), with_values(INVALID))
def test_every_other_value_is_refused_and_its_field_named(field, value):
    body = {"model": "demo", **({} if field == "tokens" else {"prompt": "hi"}), field: value}
    problem = problem_of(body)
    assert problem.field is not None
    assert problem.field.partition(".")[0] == field
    assert field in problem.message


def test_json_with_numbers_out_of_every_range_is_refused():
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 4000):
        with pytest.raises(ValidationError):
            models.CompletionsBody.model_validate_json(f'{{"model":"m","prompt":"p","temperature":{number}}}')


JSON = {"type": "json_object"}
VECTOR = {"token_index_to_replace": [0], "embedding_to_replace": [0.5]}

# (who is blamed, who else is named, the fields)
BROKEN_RULES: list[tuple[str, str, dict[str, object]]] = [
    ("prompt", "tokens", {"prompt": None}),
    ("tokens", "prompt", {"tokens": [1]}),
    ("max_total_tokens", "max_tokens", {"max_tokens": 1, "max_total_tokens": 2}),
    ("min_total_tokens", "min_tokens", {"min_tokens": 1, "min_total_tokens": 2}),
    ("min_tokens", "max_tokens", {"max_tokens": 1, "min_tokens": 2}),
    ("min_total_tokens", "max_total_tokens", {"max_total_tokens": 1, "min_total_tokens": 2}),
    ("min_tokens", "forced_output_tokens", {"min_tokens": 3, "forced_output_tokens": [1, 2]}),
    ("min_tokens", "response_format", {"min_tokens": 1, "response_format": JSON}),
    ("min_total_tokens", "response_format", {"min_total_tokens": 1, "response_format": JSON}),
    ("forced_output_tokens", "response_format", {"forced_output_tokens": [1], "response_format": JSON}),
    ("seed", "n", {"seed": [1, 2]}),
    ("seed", "n", {"seed": [1], "n": 2}),
    ("stream_options", "stream", {"stream_options": {"include_usage": True}}),
    ("embedding_to_replace", "token_index_to_replace", {"embedding_to_replace": [0.5]}),
    ("embedding_to_replace", "token_index_to_replace", {"token_index_to_replace": [0]}),
    ("token_index_to_replace", "prompt", {"prompt": ["a", "b"], **VECTOR}),
    ("stream", "num_beams", {"num_beams": 2, "stream": True}),
    ("n", "num_beams", {"num_beams": 2, "n": 2}),
    ("stop", "num_beams", {"num_beams": 2, "stop": ["x"]}),
    ("forced_output_tokens", "num_beams", {"num_beams": 2, "forced_output_tokens": [1]}),
    ("num_beams", "top_k", {"num_beams": 2, "top_k": 5}),
    ("num_beams", "temperature", {"num_beams": 2, "beam_search_type": "DETERMINISTIC", "temperature": 0.5}),
    ("num_beams", "xtc_probability", {"num_beams": 2, "xtc_probability": 0.5}),
    ("beam_search_type", "temperature", {"num_beams": 2, "beam_search_type": "STOCHASTIC", "temperature": 0}),
    ("beam_search_type", "top_k", {"num_beams": 2, "beam_search_type": "NAIVE_SAMPLING", "top_k": 1}),
    ("xtc_probability", "num_beams", {"num_beams": 2, "beam_search_type": "STOCHASTIC", "xtc_probability": 0.5}),
    ("length_penalty", "num_beams", {"length_penalty": 2.0}),
    ("early_stopping", "num_beams", {"early_stopping": True}),
    (
        "beam_compat_no_post_normalization",
        "beam_compat_pre_normalization",
        {"num_beams": 2, "beam_compat_no_post_normalization": True},
    ),
]


@pytest.mark.parametrize(("field", "other", "fields"), BROKEN_RULES)
def test_a_broken_rule_across_fields_blames_one_field_and_names_the_other(field, other, fields):
    problem = problem_of({**MINIMAL, **fields})
    assert problem.field == field
    assert {field, other} <= set(re.findall(r"\w+", problem.message))


def test_every_rule_is_broken_once_above():
    broken = {
        rule
        for _, _, fields in BROKEN_RULES
        for rule in RULES
        if rule.broken(models.CompletionsBody.model_construct(**{**MINIMAL, **parsed(fields)}))
    }
    assert broken == set(RULES)


def parsed(fields: dict[str, object]) -> dict[str, object]:
    """With the objects among the values as models, as validation would make them, but without the rules."""
    makers = {"response_format": models.ResponseFormatJsonObject, "stream_options": models.StreamOptions}
    return {name: makers[name](**value) if name in makers else value for name, value in fields.items()}


def test_values_that_change_nothing_count_as_not_set():
    neutral = {"min_tokens": 0, "n": 1, "no_repeat_ngram": 1, "encoder_no_repeat_ngram": 1, "top_k": 0, "top_p": 1.0}
    neutral |= {"temperature": 1.0, "early_stopping": False, "beam_search_type": "DETERMINISTIC", "stop": []}
    neutral |= {"xtc_probability": 0.0, "forced_output_tokens": [], "embedding_to_replace": []}
    for more in (
        {},
        {"num_beams": 4},
        {"num_beams": 4, "beam_search_type": "STOCHASTIC"},
        {"num_beams": 4, "beam_search_type": "NAIVE_SAMPLING", "temperature": 0.5, "top_k": 2, "min_p": 0.1},
        {"prompt": ["a"], **VECTOR},
        {"min_total_tokens": 3},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 1},
        {"stream": True},
    ):
        models.CompletionsBody.model_validate({**MINIMAL, **neutral, **more})


def test_an_unknown_field_is_named_with_the_one_that_was_meant():
    assert problem_of({**MINIMAL, "max_token": 5, "top_p": 0}) == Problem(
        "max_token", "unknown field 'max_token'; did you mean max_tokens?"
    )
    assert problem_of({**MINIMAL, "zzz": 5}).message == "unknown field 'zzz'"
    assert len(problem_of({**MINIMAL, "z" * 10**6: 5}).message) < 200


def test_a_body_that_is_no_object_or_lacks_the_model_is_refused_in_a_sentence():
    assert problem_of([]).field is None
    assert problem_of({"prompt": "hi"}) == Problem("model", "model must be given")


def test_what_is_not_set_does_not_go_on_the_wire():
    body = models.DedicatedCompletionsStreamBody(**MINIMAL, response_format={"type": "regex", "schema": "a"}, n=None)
    assert json.loads(body.model_dump_json(exclude_none=True)) == {
        **MINIMAL,
        "response_format": {"type": "regex", "schema": "a"},
        "stream": True,
    }


def test_the_two_bodies_hold_stream_to_their_own_value():
    assert problem_of({**MINIMAL, "stream": True}, models.DedicatedCompletionsCompleteBody).field == "stream"
    assert problem_of({**MINIMAL, "stream": False}, models.DedicatedCompletionsStreamBody).field == "stream"


def test_neither_a_repr_nor_an_error_shows_the_prompt():
    body = models.CompletionsBody(model="demo", prompt="my secret")
    assert "secret" not in repr(body) + str(body)
    with pytest.raises(ValidationError) as caught:
        models.CompletionsBody(model="demo", prompt=["my secret", 5])
    assert "secret" not in str(caught.value) + str(first_problem(caught.value))


def shapes(hint: object) -> set[str]:
    """What kinds of JSON value a type allows, without ranges."""
    if get_origin(hint) in (Union, UnionType):
        return set().union(*map(shapes, get_args(hint)))
    if get_origin(hint) in (list, tuple, Sequence):
        return {f"array of {kind}" for kind in shapes(get_args(hint)[0])}
    if get_origin(hint) is Literal:
        return {str(value) for value in get_args(hint)}
    if isinstance(hint, type) and (is_typeddict(hint) or issubclass(hint, BaseModel)):
        return {"object"}
    return {str(hint)}


def test_the_keywords_are_exactly_the_fields_of_the_model():
    marked = get_type_hints(CompletionsFields, include_extras=True)
    assert [name for name, hint in marked.items() if get_origin(hint) is Required] == ["model"]
    assert [name for name, field in models.CompletionsBody.model_fields.items() if field.is_required()] == ["model"]
    keywords = {name: shapes(hint) for name, hint in get_type_hints(CompletionsFields).items()}
    fields = get_type_hints(models.CompletionsBody)
    assert keywords == {name: shapes(fields[name]) for name in models.CompletionsBody.model_fields}


def test_replies_of_both_generations_parse_and_unknown_fields_are_kept():
    first = {
        "choices": [{"index": 0, "seed": 42, "text": "x", "tokens": [1]}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13},
    }
    result = models.CompletionsResult.model_validate(first)
    assert (result.id, result.choices[0].finish_reason, result.usage.prompt_tokens_details) == (None, None, None)
    second = {**first, "id": "cmpl-1", "object": "text_completion", "model": "demo", "news": {"a": 1}}
    assert models.CompletionsResult.model_validate(second).model_dump(exclude_unset=True) == second
