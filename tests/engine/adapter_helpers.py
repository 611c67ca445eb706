"""What the tests of adapters share: a core whose adapters are files in a folder."""

from __future__ import annotations

import threading

from engine_helpers import core_on, run

from friendli_endpoint.engine.fake_model import FakeStepModel
from friendli_endpoint.engine.vocabulary import AdapterAdded, AdapterRefused, AddAdapter, Failed


class Engine:
    """A core whose adapters are files in a folder, and everything that it has reported."""

    def __init__(self, folder, model=None, **more):
        self.folder = folder
        self.woken = threading.Event()
        self.model = model or FakeStepModel(adapters=2)
        self.core = core_on(self.model, wake=self.woken.set, **more)
        self.events = []

    def tell(self, *messages):
        for message in messages:
            self.core.receive(message)

    def begin_to_add(self, key, text):
        (self.folder / text).write_text(text)
        self.tell(AddAdapter(key, str(self.folder / text)))

    def add(self, key, text):
        self.begin_to_add(key, text)
        self.run_until(lambda: self.fate_of(key))

    def fate_of(self, key):
        return [e for e in self.events if isinstance(e, AdapterAdded | AdapterRefused) and e.key == key]

    def run(self):
        """Until there is nothing to do at the moment; the events of it."""
        events = run(self.core)
        self.events += events
        return events

    def run_until(self, done):
        """Steps, and waits for what threads bring when there are none to make."""
        while not done():
            self.woken.clear()
            if not self.run():
                assert done() or self.core.busy or self.woken.wait(60)

    def failures(self):
        return {event.request_id: event.message for event in self.events if isinstance(event, Failed)}
