"""Work in forked children. One that does not end in time is ended, and where it waited fails the test."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import threading
import traceback
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LATEST = 10  # seconds
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


@contextmanager
def forking() -> Iterator[None]:
    """From Python 3.12 on, forking with threads is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def in_child(work: Callable[[], object]) -> object:
    """What `work` gives in a forked child."""
    reader, writer = os.pipe()
    with forking():
        pid = os.fork()
    if pid == 0:
        _be_the_child(work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    return json.loads(said)


def _be_the_child(work: Callable[[], object], writer: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, file=writer, chain=True)
        signal.alarm(LATEST)
        said = json.dumps(work())
        gc.collect()
        code = 0
    except BaseException:
        said = traceback.format_exc()
    os.write(writer, said.encode())
    os._exit(code)


def locks_of(*roots: object) -> list[threading.Lock]:
    """Every lock that is reachable from `roots` through the client's objects and those of the HTTP library."""
    found, seen, left = [], set(), list(roots)
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        if isinstance(each, _LOCKS):
            found.append(each)
        elif isinstance(each, (dict, list, tuple, set)) or _package(each) in ("friendli", "httpx2", "httpcore2"):
            left += gc.get_referents(each)
    return found


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


@contextmanager
def held_by_another_thread(locks: Sequence[threading.Lock]) -> Iterator[None]:
    holding, over = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            holding.set()
            over.wait(2 * LATEST)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert holding.wait(LATEST)
    try:
        yield
    finally:
        over.set()
        thread.join(LATEST)
