"""CPU of a client's import, of its first instance, and of its first call, in a fresh process; prints JSON.

    python -P cold.py NAME URL

Not a module of the package when it runs, and nothing but the interpreter's own is imported before: what the client
needs counts as its own.
"""

from __future__ import annotations

import resource
import sys
from types import FunctionType  # noqa: TC003  already loaded, as typing is not

BODY = {"model": "demo", "prompt": "hello", "max_tokens": 32}
ANYONE = "none"


def cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def import_client(name: str, url: str) -> tuple[FunctionType, FunctionType]:
    """Import a client the way its README does: what makes an instance, and what makes one call of it."""
    if name == "openai":
        from openai import OpenAI

        return lambda: OpenAI(api_key=ANYONE, base_url=f"{url}/dedicated/v1"), (
            lambda made: made.completions.create(**BODY)
        )
    if name == "official":
        from friendli import SyncFriendli

        return lambda: SyncFriendli(token=ANYONE, server_url=url, x_friendli_team="none"), (
            lambda made: made.dedicated.completions.complete(dedicated_completions_body=BODY)
        )
    if name == "ours":
        from friendli import SyncFriendli

        return lambda: SyncFriendli(token=ANYONE, server_url=url), (
            lambda made: made.dedicated.completions.complete(**BODY)
        )
    import httpx2

    return httpx2.Client, lambda made: made.post(f"{url}/dedicated/v1/completions", json=BODY).json()


begin = cpu_ms()
instance, call = import_client(sys.argv[1], sys.argv[2])
imported = cpu_ms()
client = instance()
made = cpu_ms()
call(client)
called = cpu_ms()
spent = (imported - begin, made - imported, called - made)
print('{{"import_ms": {:.2f}, "instance_ms": {:.2f}, "first_call_ms": {:.2f}}}'.format(*spent))
