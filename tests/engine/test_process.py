"""The engine in its child process: deaths, failed starts, and nothing left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import uvloop
from engine_helpers import expected, request
from process_helpers import FAKE, NAMES, a_request, local, started, tokens_of

from friendli_endpoint.engine import EngineOptions, EngineProcess
from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.vocabulary import Controls, Finished, Grammar, Prefilled, Sampled
from friendli_endpoint.errors import EngineError, ModelError, RequestError


def refuse(options):
    raise ModelError(f"{options.model} is no model")


def load_and_die_at_13(options):
    """A model that takes its process down whenever a context ends with the token 13."""

    class Mine(FakeStepModel):
        def forward(self, batch):
            if 13 in batch.tokens:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(batch)

    return Mine(blocks=64)


def load_unless_told_not_to(options):
    """A model that cannot be loaded while the file that `options.model` names is there."""
    if Path(options.model).exists():
        raise ModelError("not now")
    return FakeStepModel(blocks=64)


@pytest.fixture(autouse=True)
def child_finds_this_file(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_many_requests_at_once_each_get_their_own_tokens():
    async def main():
        async with started(FAKE) as engine:
            asked = [a_request(seeds=(i, i + 50)) for i in range(40)]
            answers = await asyncio.gather(*(tokens_of(engine, each) for each in asked))
            assert answers == [[expected(each, 0), expected(each, 1)] for each in asked]

    asyncio.run(main())


def test_killing_the_process_at_any_moment_changes_no_token_and_reports_none_twice():
    async def main():
        async with started(FAKE) as engine:
            asked = [a_request(seeds=(i, i + 50), max_tokens=150) for i in range(6)]
            answers = asyncio.gather(*(tokens_of(engine, each) for each in asked))
            for _ in range(3):
                seen = tokens_of(engine, a_request(max_tokens=3))
                await seen  # others have advanced, too
                os.kill(engine.pid, signal.SIGKILL)
            assert await answers == [[expected(each, 0), expected(each, 1)] for each in asked]

    asyncio.run(main())


def test_a_request_that_takes_the_process_down_again_and_again_fails_and_the_engine_goes_on():
    async def main():
        async with started(local(load_and_die_at_13)) as engine:
            with pytest.raises(EngineError, match="ended the engine twice"):
                await tokens_of(engine, request("poison", [1, 13, 2]))
            good = a_request()
            assert await tokens_of(engine, good) == [expected(good, 0)]

    asyncio.run(main())


def test_a_restart_that_fails_for_a_while_is_a_pause(tmp_path, caplog):
    async def main():
        obstacle = tmp_path / "obstacle"
        async with started(local(load_unless_told_not_to, str(obstacle))) as engine:
            asked = a_request(max_tokens=190)
            running = asyncio.create_task(tokens_of(engine, asked))
            await tokens_of(engine, a_request(max_tokens=2))
            obstacle.touch()
            os.kill(engine.pid, signal.SIGKILL)
            async with asyncio.timeout(60):
                while "cannot be restarted" not in caplog.text:  # noqa: ASYNC110 - about another process
                    await asyncio.sleep(0.01)
            late = a_request()
            obstacle.unlink()
            assert await tokens_of(engine, late) == [expected(late, 0)]
            assert await running == [expected(asked, 0)]

    asyncio.run(main())


def test_a_restart_that_fails_for_longer_fails_who_waits_and_is_tried_again_until_it_succeeds(tmp_path):
    async def main():
        obstacle = tmp_path / "obstacle"
        async with started(local(load_unless_told_not_to, str(obstacle)), hold_seconds=0) as engine:
            waiting = asyncio.create_task(tokens_of(engine, a_request(max_tokens=190)))
            await tokens_of(engine, a_request(max_tokens=2))
            obstacle.touch()
            os.kill(engine.pid, signal.SIGKILL)
            with pytest.raises(EngineError, match="cannot be restarted at the moment"):
                await waiting
            assert not engine.ready
            obstacle.unlink()
            good = a_request()
            assert await tokens_of(engine, good) == [expected(good, 0)]

    asyncio.run(main())


def test_leaving_and_coming_right_after_a_death_harms_nobody():
    """Under uvloop, which raises when a closed transport is written to."""

    async def main():
        async with started(FAKE) as engine:
            leaving, staying = engine.submit(a_request(max_tokens=190)), a_request(max_tokens=60)
            stayed = asyncio.create_task(tokens_of(engine, staying))
            await anext(leaving)
            os.kill(engine.pid, signal.SIGKILL)
            for _ in range(3):
                engine.abort("nobody's")
                await asyncio.sleep(0)
            await leaving.aclose()
            coming = a_request()
            assert await tokens_of(engine, coming) == [expected(coming, 0)]
            assert await stayed == [expected(staying, 0)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_a_model_that_cannot_be_loaded_is_a_model_error_with_the_childs_words():
    async def main():
        engine = EngineProcess(local(refuse))
        with pytest.raises(ModelError, match="none is no model"):
            await engine.start()
        assert not engine.ready
        await engine.close()

    asyncio.run(main())


def test_a_child_that_dies_while_loading_is_an_engine_error():
    async def main():
        with pytest.raises(EngineError, match="ended with status"):
            await EngineProcess(EngineOptions("none", loader="test_process:no_such_loader")).start()

    asyncio.run(main())


def test_leaving_a_request_early_frees_its_place():
    async def main():
        async with started(FAKE) as engine:
            for _ in range(30):  # together more than the blocks there are
                async with aclosing(engine.submit(a_request(max_tokens=190))) as events:
                    async for event in events:
                        if isinstance(event, Sampled):
                            break
            last = a_request(max_tokens=190)
            assert await tokens_of(engine, last) == [expected(last, 0)]

    asyncio.run(main())


def test_an_aborted_choice_ends_and_the_others_go_on():
    async def main():
        async with started(FAKE) as engine:
            asked = a_request(seeds=(1, 2), max_tokens=40)
            events = []
            async with aclosing(engine.submit(asked)) as stream:
                async for event in stream:
                    events.append(event)
                    if event == Sampled(asked.id, 0, event.token if isinstance(event, Sampled) else -1):
                        engine.abort(asked.id, 0)
            assert [e.token for e in events if isinstance(e, Sampled) and e.choice == 1] == expected(asked, 1)
            assert len([e for e in events if isinstance(e, Sampled) and e.choice == 0]) == 1
            assert events[-1] == Finished(asked.id, 1, "length")

    asyncio.run(main())


def test_aborting_a_request_from_elsewhere_ends_its_events():
    async def main():
        async with started(FAKE) as engine:
            asked = a_request(max_tokens=190)
            async with aclosing(engine.submit(asked)) as events:
                assert isinstance(await anext(events), Prefilled)
                engine.abort(asked.id)
                rest = [event async for event in events]
            assert not any(isinstance(event, Finished) for event in rest)

    asyncio.run(main())


def test_closing_fails_who_still_waits_and_leaves_no_process():
    async def main():
        engine = EngineProcess(FAKE)
        await engine.start()
        pid = engine.pid
        waiting = asyncio.create_task(tokens_of(engine, a_request(max_tokens=190)))
        await asyncio.sleep(0)
        await engine.close()
        await engine.close()
        with pytest.raises(EngineError):
            await waiting
        with pytest.raises(EngineError, match="not running"):
            await tokens_of(engine, a_request())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(main())


@pytest.mark.parametrize("loading", [False, True], ids=["idle", "loading an adapter that never comes"])
def test_the_child_ends_when_its_parent_is_killed_and_leaves_no_spool(tmp_path, loading):
    program = """
import asyncio, sys
from friendli_endpoint.engine import EngineOptions, EngineProcess
async def main():
    engine = EngineProcess(EngineOptions("none", loader="friendli_endpoint.engine.fake_model:load"))
    await engine.start()
    print(engine.pid, flush=True)
    await engine.add_adapter("a", sys.argv[1])
    await asyncio.sleep(600)
asyncio.run(main())
"""
    adapter, spools = tmp_path / "adapter", tmp_path / "tmp"
    spools.mkdir()
    os.mkfifo(adapter)
    command, environment = [sys.executable, "-c", program, str(adapter)], os.environ | {"TMPDIR": str(spools)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    child = os.pidfd_open(int(parent.stdout.readline()))
    assert len(list(spools.iterdir())) == 1
    writer = adapter.open("w")
    if not loading:
        writer.close()
    parent.kill()
    parent.communicate()
    ended, _, _ = select.select([child], [], [], 20)
    os.close(child)
    writer.close()
    assert ended
    assert list(spools.iterdir()) == []


WITH_WORDS = msgspec.structs.replace(FAKE, vocabulary="friendli_endpoint.engine.fake_model:load_vocabulary")
DIGITS = Controls(grammar=Grammar("regex", "[0-9]{20,}"))


def test_a_grammar_is_compiled_in_the_child_while_it_is_idle_and_holds_through_its_death():
    async def main():
        async with started(WITH_WORDS) as engine:
            whole = await tokens_of(engine, request(next(NAMES), [1, 2], max_tokens=30, controls=DIGITS))
            assert all(chr(32 + token).isdigit() for token in whole[0])
            asked, tokens = request(next(NAMES), [1, 2], max_tokens=30, controls=DIGITS), []
            async with aclosing(engine.submit(asked)) as events:
                async for event in events:
                    if isinstance(event, Sampled):
                        tokens.append(event.token)
                        if len(tokens) == 10:
                            os.kill(engine.pid, signal.SIGKILL)
            assert [tokens] == whole

    asyncio.run(main())


def test_a_request_that_is_itself_to_blame_is_told_which_field():
    async def main():
        async with started(WITH_WORDS) as engine:
            broken = Controls(grammar=Grammar("regex", "(unclosed"))
            with pytest.raises(RequestError) as refused:
                await tokens_of(engine, request(next(NAMES), [1, 2], controls=broken))
            assert (refused.value.status, refused.value.field) == (422, "response_format")

    asyncio.run(main())
