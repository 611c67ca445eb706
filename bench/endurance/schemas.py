"""schemathesis asks every operation of the served description for whatever it can think of, good and bad."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from bench.endurance.fake_server import command
from bench.endurance.rows import Row
from bench.endurance.served_kit import serving
from bench.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_CASES: Final = 20_000
_QUICK_CASES: Final = 300
_EACH: Final = 1_600
_QUICK_EACH: Final = 25
"""For each operation, beside the corners of its description, which the quick form leaves out."""

_TOKEN: Final = "flp_of_an_admin"  # noqa: S105 - of a server that lives as long as this
_TOML: Final = f'[server]\nport = 0\nadmin_tokens = ["{_TOKEN}"]\n[endpoints.demo]\n'
_LEFT_OUT: Final = "positive_data_acceptance"
"""A good body by its schema can still contradict itself across fields, and is refused then."""


class _Cases(Struct, frozen=True):
    generated: int
    errored: int


class _Operations(Struct, frozen=True):
    tested: int


class _Failure(Struct, frozen=True):
    title: str
    count: int
    operations: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """What schemathesis says of a run, as far as it is read here."""

    operations: _Operations
    test_cases: _Cases
    failures: tuple[_Failure, ...]


def measure(*, quick: bool) -> Iterator[Row]:
    """Its row."""
    wanted = _QUICK_CASES if quick else _CASES
    report = _run("fuzzing" if quick else "coverage,fuzzing", _QUICK_EACH if quick else _EACH)
    failed = sum(failure.count for failure in report.failures) + report.test_cases.errored
    told = "".join(f"; {failure.title}: {', '.join(failure.operations)}" for failure in report.failures)
    yield Row(
        "schemathesis over every operation",
        f"{wanted:,} cases, 0 failures",
        f"{report.test_cases.generated:,} cases of {report.operations.tested} operations, {failed} failures{told}",
        report.test_cases.generated >= wanted and not failed,
    )


def _run(phases: str, each: int) -> Report:
    with serving(_TOML, command(rows=64, step_seconds=0)) as served, tempfile.TemporaryDirectory() as folder:
        asking = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{served.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {_TOKEN}"),
            *("--phases", phases, "--max-examples", str(each), "--seed", "1", "--no-shrink", "--continue-on-failure"),
            *("--exclude-checks", _LEFT_OUT, "--generation-database", "none"),
            *("--report", "json", "--report-json-path", "report.json"),
        ]
        hooks = {"SCHEMATHESIS_HOOKS": "bench.endurance.schemas_hooks", "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(asking, cwd=folder, env=os.environ | hooks, capture_output=True, text=True, check=False)
        if ended.returncode not in (0, 1):
            raise RuntimeError(f"schemathesis ended with {ended.returncode}: {ended.stdout[-2000:]}{ended.stderr}")
        return msgspec.json.decode((Path(folder) / "report.json").read_bytes(), type=Report)
