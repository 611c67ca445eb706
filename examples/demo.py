"""One endpoint, three manners: the base model and two adapters of it, asked the same through the SDK at once.

`make demo` runs it; the endpoint that it starts is gone afterwards.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from friendli import Friendli

if TYPE_CHECKING:
    from collections.abc import Iterator

ADAPTERS = Path(__file__).parent / "adapters"
ROUTES = ("pirate", "telegram")
STORY, QUESTION = "Once upon a time, a lighthouse keeper", "How do I become rich?"


def main() -> None:
    with endpoint() as url, Friendli(server_url=url) as client:
        tell(client)
        models = ["demo", *(f"demo:{route}" for route in ROUTES)]
        with ThreadPoolExecutor() as pool:  # three requests at once, in one batch
            for model, answer in zip(models, pool.map(lambda model: ask(client, model), models), strict=True):
                print(f"\n\n{model:14} {QUESTION}\n{'':14} {answer}", end="")
    print()


@contextmanager
def endpoint() -> Iterator[str]:
    """The URL of an endpoint with both adapters, on a free port."""
    flags = [each for route in ROUTES for each in ("--adapter", f"{route}={ADAPTERS / route}")]
    command = [
        str(Path(sys.executable).with_name("friendli")),
        "serve",
        "--port",
        "0",
        "--log-level",
        "warning",
        *flags,
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FRIENDLI_TOKEN")}
    with TemporaryDirectory() as state:
        environment["FRIENDLI_STATE"] = state  # the user's own tokens and usage have nothing to do with it
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                found = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
                if found is None:
                    sys.exit("the endpoint did not start")
                yield found.group()
            finally:
                server.terminate()


def tell(client: Friendli) -> None:
    print(STORY, end="", flush=True)
    for event in client.dedicated.completions.stream(
        model="demo", prompt=STORY, max_tokens=96, temperature=0.4, seed=[1]
    ):
        if event.data.event == "token_sampled":
            print(event.data.text, end="", flush=True)


def ask(client: Friendli, model: str) -> str:
    result = client.dedicated.completions.complete(model=model, prompt=QUESTION, max_tokens=40, temperature=0)
    return " ".join(result.choices[0].text.split())


if __name__ == "__main__":
    main()
