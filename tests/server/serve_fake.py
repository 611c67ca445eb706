"""A program that serves the fake engine on a free port; for tests that need a process to signal.

`serve_fake.py [CERTIFICATE KEY]`: with TLS if there are files for it.
"""

from __future__ import annotations

import sys

from server_kit import byte_tokenizer, says

from friendli_endpoint.config import load_settings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.server.deployment import Deployment
from friendli_endpoint.server.run import serve

if __name__ == "__main__":
    engine = FakeEngine(script=says("x" * 400), step_seconds=0.005)
    tls = dict(zip(("certificate", "certificate_key"), sys.argv[1:], strict=False))
    serve(
        load_settings(server={"port": 0, **tls}),
        load=lambda settings, progress: (Deployment(settings.endpoint[0], engine, byte_tokenizer()),),
    )
