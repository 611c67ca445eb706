"""What the engine's process logs of its own failures says where they came from, and quotes nothing."""

from __future__ import annotations

from concurrent.futures import Future

from adapter_helpers import Engine
from engine_helpers import request

from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.vocabulary import Controls, Failed, Grammar, Submit

SECRET = "the words of a caller"


def test_an_adapter_that_fails_by_a_bug_of_ours_is_logged_without_what_the_error_quotes(tmp_path, caplog):
    class Broken(FakeStepModel):
        def add_adapter(self, key, path):
            raise ValueError(SECRET)

    engine = Engine(tmp_path, Broken(adapters=2))
    engine.add("key", "pirate")
    assert SECRET not in caplog.text
    assert "builtins.ValueError" in caplog.text
    assert "in add_adapter" in caplog.text


def test_a_grammar_that_fails_by_a_bug_of_ours_is_logged_without_what_the_error_quotes(tmp_path, caplog):
    class Broken:
        def compile(self, grammar, eos_tokens):
            failed = Future()
            failed.set_exception(ValueError(SECRET))
            return failed

        def close(self):
            pass

    engine = Engine(tmp_path, grammars=Broken())
    engine.tell(Submit(request("one", [1, 2], controls=Controls(grammar=Grammar("regex", SECRET)))))
    (failed,) = engine.run()
    assert isinstance(failed, Failed)
    assert failed.message == "response_format: the grammar cannot be compiled."
    assert SECRET not in caplog.text
    assert "builtins.ValueError" in caplog.text
