"""What adapters cost: mixed in a batch, beside llama.cpp, being added, more than fit, changed under load."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.adapters import adding, changes, mixing, report, residents, swapping
from bench.adapters.files import write_adapters
from bench.adapters.plan import FULL, QUICK, AdapterPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.plan import PeerSettings, Plan


class WrongAnswersError(Exception):
    """Requests failed, or got other tokens than alone; the message counts them."""


def measure(plan: Plan, settings: PeerSettings, *, quick: bool) -> Iterator[str]:
    """The report of each question as soon as it is answered; WrongAnswersError after the last one."""
    with TemporaryDirectory(prefix="friendli-bench-") as folder:
        extent = QUICK if quick else FULL
        adapters = AdapterPlan(plan, settings, extent, write_adapters(plan.model, Path(folder), extent.adapters))
        yield report.mixing(mixing.measure(adapters))
        yield report.swapping(swapping.measure(adapters))
        yield report.adding(adding.measure(adapters))
        load = residents.measure(adapters)
        yield report.residents(load)
        changed = changes.measure(adapters)
        yield report.changes(changed)
    if faults := load.failed + load.wrong + len(changed.failed) + changed.changed:
        raise WrongAnswersError(f"{faults} requests or calls failed or were answered wrongly; see the tables")
