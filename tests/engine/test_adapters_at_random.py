"""Adapters that are added, replaced and dropped at random while random requests use them."""

from adapter_helpers import Engine
from engine_helpers import expected, request, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.vocabulary import Abort, AddAdapter, Controls, DropAdapter, Submit

SAMPLED = Controls(temperature=1.3, top_p=0.9)
MISSING = 0
"""The text of adapters whose file is not there."""

work = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"),
            st.integers(0, 7),  # which of the adapters so far; beyond them the base
            st.integers(1, 20),  # prompt length
            st.integers(1, 12),  # max_tokens
            st.integers(1, 3),  # n
            st.one_of(st.none(), st.integers(0, 12)),  # abort it so many steps later
        ),
        st.tuples(st.just("add"), st.integers(MISSING, 4)),
        st.tuples(st.just("drop"), st.integers(0, 7)),
        st.tuples(st.just("replace"), st.integers(0, 7), st.integers(1, 4)),
        st.tuples(st.just("step"), st.integers(1, 6)),
        st.tuples(st.just("hold_loads"), st.booleans()),
    ),
    min_size=5,
    max_size=40,
)


class Player:
    """Plays random work on an engine and knows what has to come of it. An adapter's key is its number."""

    def __init__(self, engine):
        self.engine = engine
        self.texts = []
        self.dropped = set()
        self.asked = {}
        self.too_late = set()
        """Requests whose adapter had been dropped before they came."""
        self.aborts = {}

    def ask(self, which, length, max_tokens, n, abort_after):
        name, adapter = f"r{len(self.asked)}", str(which) if which < len(self.texts) else None
        more = {"max_tokens": max_tokens, "seeds": tuple(range(n)), "controls": SAMPLED, "adapter": adapter}
        self.asked[name] = request(name, list(range(length)), **more)
        self.engine.tell(Submit(self.asked[name]))
        if adapter is not None and which in self.dropped:
            self.too_late.add(name)
        if abort_after is not None:
            self.aborts[name] = abort_after

    def add(self, text):
        self.engine.tell(AddAdapter(str(len(self.texts)), str(self.engine.folder / str(text))))
        self.texts.append(text)

    def drop(self, which):
        if which < len(self.texts):
            self.dropped.add(which)
            self.engine.tell(DropAdapter(str(which)))

    def replace(self, which, text):
        self.add(text)
        self.drop(which)

    def step(self, count):
        for _ in range(count):
            self.engine.events += self.engine.core.step()
            for name in [name for name, left in self.aborts.items() if left == 0]:
                self.engine.tell(Abort(name))
            self.aborts = {name: left - 1 for name, left in self.aborts.items()}

    def hold_loads(self, hold):
        (self.engine.model.adding.clear if hold else self.engine.model.adding.set)()

    def finish(self):
        """Drop every adapter and run to the end."""
        for which in range(len(self.texts)):
            self.drop(which)
        self.hold_loads(False)
        keys = [str(which) for which in range(len(self.texts))]
        self.engine.run_until(lambda: all(map(self.engine.fate_of, keys)) and not self.engine.core.busy)
        self.engine.core.close()

    def check(self):
        reported, failures = tokens_of(self.engine.events), self.engine.failures().keys()
        unserved = {name for name, asked in self.asked.items() if self.text_of(asked) == str(MISSING)}
        assert self.too_late <= failures <= self.too_late | unserved
        assert unserved <= failures | self.aborts.keys()
        for name, asked in self.asked.items():
            for choice in range(len(asked.seeds)):
                got, whole = reported.get((name, choice), []), expected(asked, choice, self.text_of(asked))
                if name in failures | self.aborts.keys():
                    assert got == ([] if name in failures | unserved else whole[: len(got)])
                else:
                    assert got == whole

    def text_of(self, asked):
        return None if asked.adapter is None else str(self.texts[int(asked.adapter)])


@given(work=work, adapters=st.integers(1, 3), blocks=st.integers(12, 40), max_rows=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_any_mix_of_requests_and_changes_of_adapters_gives_each_its_own_tokens(
    tmp_path_factory, work, adapters, blocks, max_rows
):
    """Few slots, rows and blocks; at the end every block and every adapter has been given back."""
    folder = tmp_path_factory.getbasetemp()
    for text in range(1, 5):
        (folder / str(text)).write_text(str(text))
    player = Player(Engine(folder, FakeStepModel(blocks=blocks, adapters=adapters), max_rows=max_rows))
    for action, *values in work:
        getattr(player, action)(*values)
    player.finish()
    player.check()
    assert player.engine.model.salts == {}
