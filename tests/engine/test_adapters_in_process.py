"""Adapters in an engine of its own process: what a death takes away comes back, and nothing stays behind."""

import asyncio
import os
import select
import signal
import stat
import tempfile
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from engine_helpers import expected
from process_helpers import FAKE, a_request, local, started, tokens_of

from friendli_endpoint.engine import EngineProcess
from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.registry import MOST_DEATHS, AdapterRegistry
from friendli_endpoint.engine.vocabulary import AdapterAdded, AdapterCard, Sampled
from friendli_endpoint.errors import AdapterError, EngineError, ModelError


def refuse(options):
    raise ModelError("no model")


def load_and_die_of_poison(options):
    """A model that takes its process down as soon as it is to load an adapter from a file called "poison"."""

    class Mine(FakeStepModel):
        def add_adapter(self, key, path):
            if Path(path).name == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().add_adapter(key, path)

    return Mine(blocks=64, adapters=4)


def load_and_tell_of_drops(options):
    """A model that writes what it drops to the pipe that `options.model` names."""

    class Mine(FakeStepModel):
        def drop_adapter(self, key):
            super().drop_adapter(key)
            Path(options.model).write_text(key)

    return Mine(blocks=64, adapters=4)


@pytest.fixture(autouse=True)
def child_finds_this_file(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for adapters; temporary ones of the engine lie in its `tmp`."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name in ("pirate", "telegram", "poison"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def pipe(folder):
    """What is written there by one process is read by another, and each waits for the other."""
    path = folder / "pipe"
    os.mkfifo(path)
    return path


async def reading(pipe):
    """Waits until a child has begun to read the pipe; what is written then is all that it reads."""
    return await asyncio.to_thread(pipe.open, "w")


async def kill(engine):
    """Returns when the child is dead and has let go of its files."""
    child = os.pidfd_open(engine.pid)
    os.kill(engine.pid, signal.SIGKILL)
    await asyncio.to_thread(select.select, [child], [], [])
    os.close(child)


@contextmanager
def spools(folder):
    """The spools that are left at the end are none."""
    yield lambda: list((folder / "tmp").iterdir())
    assert list((folder / "tmp").iterdir()) == []


def test_an_adapter_is_added_used_and_dropped(folder):
    async def main():
        async with started(FAKE) as engine:
            assert await engine.add_adapter("a", str(folder / "pirate")) == AdapterCard(1, ("q",), len("pirate"))
            asked = a_request(adapter="a")
            assert await tokens_of(engine, asked) == [expected(asked, 0, "pirate")]
            engine.drop_adapter("a")
            engine.drop_adapter("a")
            engine.drop_adapter("never seen")
            with pytest.raises(EngineError, match="adapter 'a' is not loaded"):
                await tokens_of(engine, a_request(adapter="a"))

    asyncio.run(main())


def test_an_engine_that_was_closed_and_started_again_has_its_adapters_and_its_counts(folder):
    async def main():
        async with started(FAKE) as engine:
            await engine.add_adapter("p", str(folder / "pirate"))
            asked = [a_request(adapter="p"), a_request()]
            before = [await tokens_of(engine, each) for each in asked]
            await engine.close()
            assert engine.pid is None
            await engine.start()
            again = [a_request(adapter="p", seeds=asked[0].seeds), a_request(seeds=asked[1].seeds)]
            assert [await tokens_of(engine, each) for each in again] == before
            assert engine.restarts == 0
            await engine.close()
        assert not list((folder / "tmp").iterdir())

    asyncio.run(main())


def test_an_adapter_that_is_refused_is_an_adapter_error_with_the_childs_words(folder):
    async def main():
        async with started(FAKE) as engine:
            with pytest.raises(AdapterError, match="cannot be read: No such file"):
                await engine.add_adapter("a", str(folder / "missing"))
            with pytest.raises(EngineError, match="not loaded"):
                await tokens_of(engine, a_request(adapter="a"))
            good = a_request()
            assert await tokens_of(engine, good) == [expected(good, 0)]

    asyncio.run(main())


def test_a_key_in_use_is_refused_and_so_is_an_engine_that_does_not_run(folder):
    async def main():
        async with started(FAKE) as engine:
            await engine.add_adapter("a", str(folder / "pirate"))
            with pytest.raises(ValueError, match="'a' is in use"):
                await engine.add_adapter("a", str(folder / "telegram"))
        with pytest.raises(EngineError, match="not running"):
            await engine.add_adapter("b", str(folder / "pirate"))

    asyncio.run(main())


def test_killing_the_process_changes_no_token_with_an_adapter_in_use_a_dropped_one_and_the_base(folder):
    async def main():
        async with started(FAKE) as engine:
            for key, text in (("kept", "pirate"), ("dropped", "telegram"), ("unused", "poison")):
                await engine.add_adapter(key, str(folder / text))
            texts = {None: None, "kept": "pirate", "dropped": "telegram"}
            asked = [a_request(seeds=(i, i + 50), max_tokens=150, adapter=key) for i, key in enumerate(texts)]
            answers = asyncio.gather(*(tokens_of(engine, each) for each in asked))
            await tokens_of(engine, a_request(max_tokens=3, adapter="dropped"))
            engine.drop_adapter("dropped")
            engine.drop_adapter("unused")
            for _ in range(3):
                await tokens_of(engine, a_request(max_tokens=3, adapter="kept"))  # others have advanced, too
                os.kill(engine.pid, signal.SIGKILL)
            whole = [[expected(each, choice, texts[each.adapter]) for choice in (0, 1)] for each in asked]
            assert await answers == whole
            with pytest.raises(EngineError, match="not loaded"):
                await tokens_of(engine, a_request(adapter="dropped"))
            last = a_request(adapter="kept")
            assert await tokens_of(engine, last) == [expected(last, 0, "pirate")]

    asyncio.run(main())


def test_what_is_dropped_but_in_use_is_dropped_again_by_the_next_child_when_its_requests_have_ended(folder, pipe):
    async def main():
        async with started(local(load_and_tell_of_drops, str(pipe))) as engine:
            await engine.add_adapter("a", str(folder / "pirate"))
            asked, tokens = a_request(max_tokens=60, adapter="a"), []
            async with aclosing(engine.submit(asked)) as events:
                async for event in events:
                    if isinstance(event, Sampled):
                        tokens.append(event.token)
                        if len(tokens) == 10:
                            engine.drop_adapter("a")
                            os.kill(engine.pid, signal.SIGKILL)
            assert tokens == expected(asked, 0, "pirate")
            assert await asyncio.to_thread(pipe.read_text) == "a"

    asyncio.run(main())


def test_a_death_during_an_add_is_not_noticed_by_who_waits_for_it(folder, pipe):
    async def main():
        async with started(FAKE) as engine:
            adding = asyncio.create_task(engine.add_adapter("a", str(pipe)))
            with await reading(pipe):
                await kill(engine)
            with await reading(pipe) as writer:
                writer.write("pirate")
            assert await adding == AdapterCard(1, ("q",), len("pirate"))

    asyncio.run(main())


def test_an_adapter_that_takes_the_process_down_again_and_again_fails_and_the_others_stay(folder):
    async def main():
        async with started(local(load_and_die_of_poison)) as engine:
            await engine.add_adapter("a", str(folder / "pirate"))
            poison = engine.add_adapter("b", str(folder / "poison"))
            innocent = engine.add_adapter("c", str(folder / "telegram"))
            failure, card = await asyncio.gather(poison, innocent, return_exceptions=True)
            assert isinstance(failure, EngineError)
            assert str(failure) == "the engine ended again and again while loading this adapter"
            assert card == AdapterCard(1, ("q",), len("telegram"))
            for key, text in (("a", "pirate"), ("c", "telegram")):
                asked = a_request(adapter=key)
                assert await tokens_of(engine, asked) == [expected(asked, 0, text)]

    asyncio.run(main())


def test_an_adapters_deaths_are_counted_anew_once_it_has_been_loaded():
    async def main():
        registry = AdapterRegistry()
        registry.open("a", "path")
        for _ in range(2):
            for _ in range(MOST_DEATHS - 1):
                registry.count_death()
            registry.book(AdapterAdded("a", AdapterCard(1, ("q",), 1)))
            registry.count_death()
        assert registry.takes("a")

    asyncio.run(main())


def test_an_adapter_that_cannot_be_loaded_again_fails_its_requests_and_is_gone(folder, caplog):
    async def main():
        async with started(FAKE) as engine:
            await engine.add_adapter("a", str(folder / "pirate"))
            running = asyncio.create_task(tokens_of(engine, a_request(max_tokens=190, adapter="a")))
            await tokens_of(engine, a_request(max_tokens=2, adapter="a"))
            (folder / "pirate").unlink()
            os.kill(engine.pid, signal.SIGKILL)
            # The new child may refuse the adapter before it is told of the request, or after.
            with pytest.raises(EngineError, match=r"'a' (could not be|is not) loaded"):
                await running
            with pytest.raises(EngineError, match="'a' is not loaded"):
                await tokens_of(engine, a_request(adapter="a"))
            assert "adapter a is lost" in caplog.text

    asyncio.run(main())


def test_an_adapter_whose_caller_has_gone_is_dropped(folder, pipe):
    async def main():
        drops = folder / "drops"
        os.mkfifo(drops)
        async with started(local(load_and_tell_of_drops, str(drops))) as engine:
            adding = asyncio.create_task(engine.add_adapter("a", str(pipe)))
            with await reading(pipe):
                adding.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await adding
            assert await asyncio.to_thread(drops.read_text) == "a"

    asyncio.run(main())


def test_an_adapter_that_is_dropped_while_somebody_waits_for_it_is_answered_all_the_same(folder, pipe):
    async def main():
        async with started(FAKE) as engine:
            adding = asyncio.create_task(engine.add_adapter("a", str(pipe)))
            with await reading(pipe) as writer:
                engine.drop_adapter("a")
                writer.write("pirate")
            async with asyncio.timeout(20):
                assert await adding == AdapterCard(1, ("q",), len("pirate"))

    asyncio.run(main())


def test_closing_fails_who_waits_for_an_adapter(folder, pipe):
    async def main():
        engine = EngineProcess(FAKE)
        await engine.start()
        adding = asyncio.create_task(engine.add_adapter("a", str(pipe)))
        with await reading(pipe):
            closing = asyncio.create_task(engine.close())
        await closing
        with pytest.raises(EngineError, match="stopping"):
            await adding

    with spools(folder):
        asyncio.run(main())


def test_the_spool_is_for_this_user_alone_outlives_the_child_and_goes_with_the_engine(folder):
    async def main():
        async with started(FAKE) as engine:
            (spool,) = left()
            assert stat.S_IMODE(spool.stat().st_mode) == 0o700
            for key in ("kept@1", "dropped@2"):
                await engine.add_adapter(key, str(folder / "pirate"))
                (spool / f"{key}.weights").write_text("packed")
            os.kill(engine.pid, signal.SIGKILL)
            engine.drop_adapter("dropped@2")  # there is no child any more to be told
            await tokens_of(engine, a_request(adapter="kept@1"))
            assert [file.name for file in spool.iterdir()] == ["kept@1.weights"]

    with spools(folder) as left:
        asyncio.run(main())


def test_an_engine_without_a_place_for_a_spool_serves_the_base_model(folder, monkeypatch, caplog):
    async def main():
        async with started(FAKE) as engine:
            asked = a_request()
            assert await tokens_of(engine, asked) == [expected(asked, 0)]

    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))
    asyncio.run(main())
    assert "there can be no adapters" in caplog.text


def test_an_engine_that_does_not_start_leaves_no_spool(folder):
    async def main():
        with pytest.raises(ModelError):
            await EngineProcess(local(refuse)).start()

    with spools(folder):
        asyncio.run(main())
