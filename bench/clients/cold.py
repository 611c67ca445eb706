"""CPU of a client's import and of its first instance, in a fresh process: `python -P cold.py NAME`; prints JSON.

Not a module of the package when it runs, and nothing but the interpreter's own is imported before: what the client
needs counts as its own.
"""

from __future__ import annotations

import resource
import sys

ANYONE = "none"


def cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def import_client(name: str) -> object:
    """Import a client the way its README does, and return what makes an instance."""
    if name == "openai":
        from openai import OpenAI

        return lambda: OpenAI(api_key=ANYONE, base_url="http://127.0.0.1:9/dedicated/v1")
    if name == "official":
        from friendli import SyncFriendli

        return lambda: SyncFriendli(token=ANYONE, server_url="http://127.0.0.1:9", x_friendli_team="none")
    if name == "ours":
        from friendli import SyncFriendli

        return lambda: SyncFriendli(token=ANYONE, server_url="http://127.0.0.1:9")
    import httpx2

    return httpx2.Client


begin = cpu_ms()
make = import_client(sys.argv[1])
imported = cpu_ms()
client = make()
print(f'{{"import_ms": {imported - begin:.2f}, "client_ms": {cpu_ms() - imported:.2f}}}')
