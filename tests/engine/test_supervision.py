"""Children that die, hang, misbehave or never get ready under live requests: no token is lost, and nothing is left."""

import asyncio
import os
import random
import signal
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
import pytest
from engine_helpers import expected, request
from process_helpers import FAKE, NAMES, SAMPLED, a_request, local, started, tokens_of
from supervision_models import POISON, load_for_ever, load_once_broken, load_poisonable

from friendli_endpoint.engine import EngineProcess, link
from friendli_endpoint.engine.vocabulary import Sampled
from friendli_endpoint.errors import EngineError, PoisonError

WITH_ROOM = msgspec.structs.replace(FAKE, kv_tokens=2000)


@pytest.fixture(autouse=True)
def child_finds_this_folder(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - about another process
            await asyncio.sleep(0.002)


def children():
    """The children of this process that exist, zombies included."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


class Streams:
    """So many requests that run at once; what each has got so far."""

    def __init__(self, engine, count, max_tokens=150):
        self.asked = [a_request(seeds=(i,), max_tokens=max_tokens) for i in range(count)]
        self.tokens = [[] for _ in self.asked]
        self._engine = engine
        self.tasks = [asyncio.create_task(self._follow(*each)) for each in zip(self.asked, self.tokens, strict=True)]

    @property
    def total(self):
        return sum(map(len, self.tokens))

    async def grown(self, count):
        """Waits until so many tokens more have come, or all."""
        target = min(self.total + count, sum(each.max_tokens for each in self.asked))
        await until(lambda: self.total >= target)

    async def check(self):
        """Waits for the ends: exactly the tokens of an undisturbed run."""
        await asyncio.gather(*self.tasks)
        assert self.tokens == [expected(each, 0) for each in self.asked]

    async def _follow(self, asked, tokens):
        async with aclosing(self._engine.submit(asked)) as events:
            async for event in events:
                if isinstance(event, Sampled):
                    tokens.append(event.token)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP], ids=lambda how: how.name)
def test_whatever_ends_the_child_at_any_moment_eight_streams_get_exactly_their_tokens(how):
    async def main():
        rng = random.Random(how)  # noqa: S311 - moments, no secrets
        async with started(WITH_ROOM, hang_seconds=1.0) as engine:
            streams = Streams(engine, 8)
            for _ in range(3):
                await streams.grown(rng.randrange(200))
                await until(lambda: engine.pid)
                os.kill(engine.pid, how)
            await streams.check()
            assert engine.restarts >= 1

    asyncio.run(main())


def test_kills_in_every_phase_of_the_recovery_fail_nobody_and_change_no_token():
    async def main():
        async with started(WITH_ROOM) as engine:
            streams = Streams(engine, 8)
            await streams.grown(100)
            streams.tasks.append(asyncio.create_task(exact(engine, a_request(max_tokens=100))))  # without a token yet
            await kill(engine)
            for _ in range(2):  # while it loads
                await until(children)
                for child in children():
                    os.kill(child, signal.SIGKILL)
                await until(lambda: not engine.ready)
            for count in (0, 0, 1, 1, 9, 30):  # before the first wave, in it, in a trial, behind the trials
                await until(lambda: engine.ready)
                await streams.grown(count)
                await kill(engine)
            await streams.check()

    async def exact(engine, asked):
        assert await tokens_of(engine, asked) == [expected(asked, 0)]

    async def kill(engine):
        with suppress(TypeError):  # between two children there is nobody to kill
            os.kill(engine.pid, signal.SIGKILL)
        await until(lambda: not engine.ready)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["die 3", "die 12", "hang 3", "hang 7"])
def test_a_poison_is_found_wherever_it_works_and_eight_innocents_get_exactly_their_tokens(how):
    async def main():
        async with started(local(load_poisonable, how), hang_seconds=1.0) as engine:
            streams = Streams(engine, 8)
            await streams.grown(50)
            poison = request(next(NAMES), [POISON, 1, 2], controls=SAMPLED, max_tokens=40)
            with pytest.raises(PoisonError, match="twice"):
                await tokens_of(engine, poison)
            await streams.check()

    asyncio.run(main())


def test_what_asks_the_same_as_a_poison_does_not_reach_the_child_and_others_do():
    async def main():
        async with started(local(load_poisonable, "die 3")) as engine:
            poison = request(next(NAMES), [POISON, 1, 2], controls=SAMPLED)
            with pytest.raises(PoisonError, match="twice"):
                await tokens_of(engine, poison)
            await until(lambda: engine.ready)
            restarts = engine.restarts
            with pytest.raises(PoisonError, match="asks the same"):
                await tokens_of(engine, msgspec.structs.replace(poison, id="again", seeds=(77,), scope="team"))
            good = a_request()
            assert await tokens_of(engine, good) == [expected(good, 0)]
            assert engine.restarts == restarts

    asyncio.run(main())


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("crash", "SIGSEGV"),
        ("exit", "status 1"),
        ("raise", "status 1"),
        ("close", "it went on without its connection"),
        ("garble", "it sent what is no message"),
        ("leave", "its connection outlived it"),
        ("hang", "no answer for"),
    ],
)
def test_however_a_child_fails_it_is_replaced_and_the_log_says_how_it_ended(how, ending, tmp_path, caplog):
    async def main():
        fuse = tmp_path / "fuse"
        fuse.touch()
        async with started(local(load_once_broken, f"{how} {fuse}"), hang_seconds=1) as engine:
            pid = engine.pid
            await Streams(engine, 3, max_tokens=60).check()
            assert engine.restarts == 1
            (line,) = [record.message for record in caplog.records if "ended" in record.message]
            assert f"process {pid} ended ({ending}" in line
            assert "with 3 live requests" in line

    asyncio.run(main())


def test_a_child_that_hangs_while_idle_is_noticed():
    async def main():
        async with started(FAKE, hang_seconds=0.5) as engine:
            os.kill(engine.pid, signal.SIGSTOP)
            await until(lambda: engine.restarts == 1)
            good = a_request()
            assert await tokens_of(engine, good) == [expected(good, 0)]

    asyncio.run(main())


def test_pulses_count_what_was_computed_and_never_fall_when_children_die():
    async def main():
        seen = []
        async with started(WITH_ROOM, hang_seconds=1) as engine:
            watching = asyncio.create_task(note(engine, seen))
            for _ in range(3):
                before = engine.pulse.forwards if engine.pulse else 0
                await Streams(engine, 2, max_tokens=60).check()
                await until(lambda before=before: engine.pulse and engine.pulse.forwards >= before + 60)
                os.kill(engine.pid, signal.SIGKILL)
                await until(lambda: not engine.ready)
                assert (engine.pulse.running, engine.pulse.kv_blocks_used) == (0, 0)
                await until(lambda: engine.ready)
            watching.cancel()
            assert engine.restarts == 3
            assert engine.pulse.prefill_tokens == 3 * 2 * 3
            assert engine.pulse.decode_tokens == 3 * 2 * 59
        for name in ("forwards", "rows", "prefill_tokens", "decode_tokens", "cached_tokens", "preemptions"):
            values = [getattr(pulse, name) for pulse in seen]
            assert values == sorted(values)

    async def note(engine, seen):
        while True:
            if engine.pulse and (not seen or engine.pulse is not seen[-1]):
                seen.append(engine.pulse)
            await asyncio.sleep(0.001)

    asyncio.run(main())


def test_ten_kills_leave_no_zombie_no_descriptor_and_no_task():
    async def main():
        async with started(FAKE) as engine:
            await die(engine)
            before = left()
            for _ in range(10):
                await die(engine)
            assert left() == before
        assert children() == set()

    async def die(engine):
        restarts = engine.restarts
        os.kill(engine.pid, signal.SIGKILL)
        await until(lambda: engine.restarts > restarts)
        good = a_request(max_tokens=2)
        assert await tokens_of(engine, good) == [expected(good, 0)]

    def left():
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return descriptors, len(children()), len(asyncio.all_tasks())

    asyncio.run(main())


def test_a_child_that_never_gets_ready_is_ended_and_the_start_fails_with_a_sentence(tmp_path):
    async def main():
        engine = EngineProcess(local(load_for_ever, str(tmp_path / "missing")), load_seconds=1.0)
        with pytest.raises(EngineError, match="was not ready within 1 s"):
            await engine.start()
        assert children() == set()
        await engine.close()

    asyncio.run(main())


def test_a_child_that_never_gets_ready_at_a_restart_is_ended_and_the_next_one_goes_on(tmp_path):
    async def main():
        allowed = tmp_path / "allowed"
        allowed.touch()
        async with started(local(load_for_ever, str(allowed)), load_seconds=5.0) as engine:
            streams = Streams(engine, 2)
            await streams.grown(20)
            first = engine.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda: children() - {first})
            (stuck,) = children()
            await until(lambda: stuck not in children())
            allowed.touch()
            await streams.check()

    asyncio.run(main())


def test_closing_right_after_the_start_leaves_no_process():
    async def main():
        async with started(FAKE):
            pass
        assert children() == set()

    asyncio.run(main())


def test_closing_does_not_wait_for_a_child_that_hangs_longer_than_its_grace(monkeypatch):
    async def main():
        async with started(FAKE) as engine:
            await tokens_of(engine, a_request())
            os.kill(engine.pid, signal.SIGSTOP)
        assert children() == set()

    monkeypatch.setattr(link, "_GRACE_SECONDS", 0.1)
    asyncio.run(main())
