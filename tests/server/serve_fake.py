"""A program that serves the fake engine on a free port; for tests that need a process to signal."""

from __future__ import annotations

from server_kit import byte_tokenizer, says

from friendli_endpoint.config import load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.run import serve

if __name__ == "__main__":
    engine = FakeEngine(script=says("x" * 400), step_seconds=0.005)
    serve(
        load_settings(server={"port": 0}),
        load=lambda settings, progress: (Deployment(settings.endpoint[0], engine, byte_tokenizer()),),
    )
