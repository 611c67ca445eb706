"""What importing the package does: nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCH = """
import sys
work = []
def watch(event, args):
    if event.startswith(("socket.", "subprocess.", "os.", "tempfile.")) or event == "_thread.start_new_thread":
        work.append((event, args))
    if event == "open" and not str(args[0]).endswith((".py", ".pyc")):
        work.append((event, args))
sys.addaudithook(watch)
"""
REPORT = """
work = [each for each in work if each[0] not in ("os.listdir", "os.scandir")]  # of finding modules
import threading
print(work, [name for name in ("httpx2", "pydantic", "anyio", "asyncio", "ssl", "socket") if name in sys.modules],
      threading.active_count())
"""


@pytest.mark.parametrize("statement", ["import friendli", "import friendli; dir(friendli)", "import friendli.hooks"])
def test_importing_starts_no_thread_and_opens_nothing(statement):
    program = f"{WATCH}\n{statement}\n{REPORT}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [] 1"


def test_making_a_client_starts_no_thread_and_opens_no_socket():
    program = f"{WATCH}\nfrom friendli import Friendli\nwork.clear()\nFriendli('flp_x').close()\nprint(work)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
