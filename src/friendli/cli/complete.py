"""`friendli complete`: a prompt in, text out as it comes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from friendli.cli.adapter_flag import AdapterFlags, adapters_of
from friendli.cli.failures import USAGE, explained, fail
from friendli.cli.server import ServerUrl, Target, Token, target
from friendli.cli.terminal import shown

if TYPE_CHECKING:
    from friendli import CompletionStream
    from friendli.models import CompletionsChoice
    from friendli.models.fields import CompletionsFields

_SAMPLING = "Sampling"
_SERVER = "Server"


def complete(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The text to continue; '-' or nothing reads standard input."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Endpoint id of the server, else the model to run here; :ROUTE names an adapter."
        ),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Generate at most this many tokens.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 takes the likeliest token, 1 is neutral.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from the k likeliest tokens; 0 is off.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Sample from the likeliest that reach this share.")] = None,
    seed: Annotated[int | None, typer.Option(help="Makes sampling repeatable.")] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many choices; several are printed when complete.")] = None,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="PHRASE", help="Ends the text, and is not part of it; may be repeated.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of the request, as JSON; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole reply as JSON.")] = False,
    adapter: AdapterFlags = None,
    server_url: ServerUrl = None,
    token: Token = None,
    team: Annotated[str | None, typer.Option(help="The team to run as.")] = None,
) -> None:
    """Continue a text, and print what comes as it comes.

    With no server named (--server-url, --token or their variables), an endpoint is started here for the call.

    \b
    Examples:
      friendli complete "Say this is a test!"
      friendli complete "Once upon a time" --max-tokens 64 --temperature 0.7 --seed 1
      friendli complete - --stop "###" < prompt.txt
      friendli complete "2 + 2 =" -m demo --server-url http://127.0.0.1:8080 --json
      friendli complete "The capital of France is" --set num_beams=4 --set logprobs=3 --json
      friendli complete "How do I become rich?" --adapter pirate=examples/adapters/pirate -m demo:pirate
      friendli complete "A user: " --set 'response_format={"type": "regex", "schema": "[A-Z][a-z]+"}'
    """
    fields: CompletionsFields = {
        "model": model or "embedded",
        "prompt": _prompt(prompt),
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "n": n,
        "stop": stop or None,
    }
    fields.update(_more(more or []))
    _check(fields)
    adapters = adapters_of(adapter)
    with explained(), target(model, server_url, token, team, adapters) as found:
        fields["model"] = found.model
        _print(found, fields, as_json=as_json)


def _prompt(prompt: str | None) -> str:
    if prompt is not None and prompt != "-":
        return prompt
    if prompt is None and sys.stdin.isatty():
        raise fail('give a prompt: friendli complete "Say this is a test!"', USAGE)
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise fail(f"the prompt on standard input is not UTF-8: {error.reason} at byte {error.start}", USAGE) from error
    return text.removesuffix("\n")  # the shell's, seldom part of what is meant


def _more(settings: list[str]) -> CompletionsFields:
    """The fields of `--set`; what is not JSON is text, so that plain words need no quotes."""
    found: dict[str, object] = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise fail(f"--set {setting}: give a field and its value, as in --set logprobs=5", USAGE)
        try:
            found[field] = json.loads(value)
        except ValueError:
            found[field] = value
    return cast("CompletionsFields", found)


def _check(fields: CompletionsFields) -> None:
    """What is wrong in any case is told before a server is started or asked."""
    from pydantic import ValidationError

    from friendli.models import CompletionsBody
    from friendli.models.problems import first_problem

    try:
        CompletionsBody.model_validate(fields)
    except ValidationError as error:
        raise fail(first_problem(error).message, USAGE) from error


def _print(found: Target, fields: CompletionsFields, *, as_json: bool) -> None:
    completions = found.client.dedicated.completions
    if as_json:
        result = completions.complete(dedicated_completions_complete_body=fields)
        typer.echo(result.model_dump_json(indent=2, exclude_none=True))
    elif not _is_one_stream(fields):
        _print_choices(completions.complete(dedicated_completions_complete_body=fields).choices)
    else:
        with completions.stream(dedicated_completions_stream_body=fields) as events:
            _print_stream(events)


def _is_one_stream(fields: CompletionsFields) -> bool:
    """One choice comes as it is generated; several would be mixed up, and a beam search has nothing to show before."""
    several = isinstance(fields.get("prompt"), list) or (fields.get("n") or 1) > 1
    return not several and not fields.get("num_beams")


def _print_choices(choices: list[CompletionsChoice]) -> None:
    for choice in choices:
        typer.echo(f"[{choice.index}] {shown(choice.text)}" if len(choices) > 1 else shown(choice.text))


def _print_stream(events: CompletionStream) -> None:
    last = ""
    try:
        for event in events:
            if event.data.event == "token_sampled" and event.data.text:
                last = shown(event.data.text)
                sys.stdout.write(last)
                sys.stdout.flush()
    finally:
        if not last.endswith("\n") and not sys.stdout.closed:
            typer.echo()
