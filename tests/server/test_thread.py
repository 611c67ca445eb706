"""What the server does away from its event loop."""

from __future__ import annotations

import threading

from friendli_endpoint.server.thread import worker_pool


def test_the_workers_are_there_before_the_first_call_and_no_more_come() -> None:
    before = set(threading.enumerate())
    with worker_pool() as pool:
        workers = set(threading.enumerate()) - before
        meeting = threading.Barrier(len(workers))
        seen = [
            pool.submit(lambda: meeting.wait() >= 0 and threading.current_thread()) for _ in range(3 * len(workers))
        ]
        assert {each.result() for each in seen} == workers
        assert set(threading.enumerate()) - before == workers
    assert set(threading.enumerate()) == before
