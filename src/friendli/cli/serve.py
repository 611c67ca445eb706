"""`friendli serve`: the dedicated endpoint, in the foreground."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import Annotated, Literal

import typer

from friendli.cli.adapter_flag import AdapterFlags, adapters_of
from friendli.cli.failures import explained, needs_endpoint


def serve(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A known name, a path or a hub id [default: smollm2-135m].")
    ] = None,
    endpoint_id: Annotated[str | None, typer.Option(help="What requests send as `model` [default: demo].")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any free one [default: 8080].")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file; flags win over it.")] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN", help="What clients must send, in clear or as sha256:HEX; may be repeated."),
    ] = None,
    admin_token: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN", help="What changing adapters takes, written as --token; may be repeated."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for tokens and usage [env: FRIENDLI_STATE; default: ~/.local/share/friendli]."),
    ] = None,
    certificate: Annotated[str | None, typer.Option(help="TLS certificate, a PEM file.")] = None,
    certificate_key: Annotated[str | None, typer.Option(help="Its private key, a PEM file.")] = None,
    log: Annotated[Literal["text", "json"] | None, typer.Option(help="Lines of the log, on standard error.")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning"] | None, typer.Option(help="Requests are told from info on.")
    ] = None,
    adapter: AdapterFlags = None,
    resident_adapters: Annotated[int | None, typer.Option(min=1, help="Adapters in memory at once.")] = None,
    weights: Annotated[Literal["auto", "i8", "f16"] | None, typer.Option(help="Weights in memory.")] = None,
    kv: Annotated[
        Literal["auto", "f16", "f32"] | None, typer.Option(help="KV in memory; f32 for exact log-probabilities.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the engine [default: all cores].")] = None,
    kv_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that the KV cache holds.")] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Sequences that run at once.")] = None,
) -> None:
    """Run a dedicated endpoint until Ctrl-C or SIGTERM; what runs is finished first.

    \b
    Examples:
      friendli serve
      friendli serve --model ./model.gguf --endpoint-id mine --port 0
      friendli serve --model HuggingFaceTB/SmolLM2-360M-Instruct --weights f16
      friendli serve --adapter pirate=./adapters/pirate --adapter legal=org/legal-lora
      friendli serve --config friendli.toml
      friendli serve --host 0.0.0.0 --certificate cert.pem --certificate-key key.pem --log json
    """
    adapters = adapters_of(adapter)
    with needs_endpoint():
        from friendli_endpoint.config import default_state, load_settings
        from friendli_endpoint.hub import terminal_progress
        from friendli_endpoint.server import run

    with explained():
        settings = load_settings(
            config,
            server={
                "host": host,
                "port": port,
                "tokens": token or None,
                "admin_tokens": admin_token or None,
                "state": None if state is None else str(state),
                "certificate": certificate,
                "certificate_key": certificate_key,
                "log": log,
                "log_level": log_level,
            },
            state=default_state(),
            endpoint_id=endpoint_id,
            endpoint={
                "model": model,
                "adapters": adapters,
                "resident_adapters": resident_adapters,
                "weights": weights,
                "kv": kv,
                "threads": threads,
                "kv_tokens": kv_tokens,
                "max_rows": max_rows,
            },
        )
        run.serve(settings, progress=terminal_progress())
