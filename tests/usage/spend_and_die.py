"""One request of a ledger, whose process is killed before or after one step of it.

Arguments: the folder, the step as a class and a method, and "before" or "after".
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from friendli_endpoint.usage import Ledger, Who
from friendli_endpoint.usage.slot import Slot
from friendli_endpoint.usage.store import Store

OWNERS = {"Slot": Slot, "Store": Store}


def make_fatal(owner: type, name: str, when: str) -> None:
    step = getattr(owner, name)

    def fatal(*args: object) -> None:
        if when == "after":
            step(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, fatal)


async def main(ledger: Ledger) -> None:
    entry = ledger.begin(Who(request_id="1", team="acme", token="t", endpoint="demo", adapter=None))
    entry.count(prompt=7, cached=2, completion=3)
    await entry.close("finished")


make_fatal(OWNERS[sys.argv[2]], sys.argv[3], sys.argv[4])
asyncio.run(main(Ledger.open(Path(sys.argv[1]))))
