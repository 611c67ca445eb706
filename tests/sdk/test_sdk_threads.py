"""One client in many threads, and in the event loops of several threads."""

from __future__ import annotations

import gc

import pytest
from concurrency_kit import all_echoed, connections, echo, echoed, in_threads, run_under
from sdk_stub import serving

from friendli import AsyncFriendli, SyncFriendli

BACKENDS = ("asyncio", "trio")


@pytest.mark.parametrize("leave", [False, True], ids=["read to the end", "left half read"])
def test_threads_share_a_client_and_its_connections(leave):
    def work(thread):
        return [echoed(client, 32 * each + thread, leave=leave) for each in range(9)]

    with serving(echo) as stub, SyncFriendli(server_url=stub.url) as client:
        assert in_threads(32, work) == [[True] * 9] * 32
    left = 3 * 32 if leave else 0
    assert len(set(connections(stub))) <= 32 + left


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of loops that end before the client is closed
def test_event_loops_of_several_threads_share_an_async_client():
    with serving(echo) as stub:
        clients = [AsyncFriendli(server_url=stub.url)]

        def work(thread):
            return run_under(BACKENDS[thread % 2], all_echoed, clients[0], range(12 * thread, 12 * thread + 12))

        assert in_threads(6, work) == [True] * 6
        assert len(set(connections(stub))) <= 6 * 12
        clients.clear()
        gc.collect()


def test_an_async_client_works_in_one_event_loop_after_another():
    async def main():
        async with client:
            return await all_echoed(client, range(8))

    with serving(echo) as stub:
        client = AsyncFriendli(server_url=stub.url)
        assert [run_under(backend, main) for backend in BACKENDS * 2] == [True] * 4
