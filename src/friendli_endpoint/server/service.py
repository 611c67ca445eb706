"""What the routes of one server share."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.access import TokenStore
from friendli_endpoint.config import check_reach
from friendli_endpoint.server.admission import Admission
from friendli_endpoint.server.credentials import Credentials
from friendli_endpoint.server.endpoint import Endpoint
from friendli_endpoint.server.endpoints import Endpoints
from friendli_endpoint.server.errors import StoppingError
from friendli_endpoint.server.idempotency import Answers
from friendli_endpoint.server.telemetry import EndpointFigures, Telemetry
from friendli_endpoint.usage import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from friendli_endpoint.config import Settings
    from friendli_endpoint.server.deployment import Deployment


@dataclass(frozen=True, eq=False)
class Service:
    """Everything that outlives a request."""

    settings: Settings
    endpoints: Endpoints
    admission: Admission
    answers: Answers
    ledger: Ledger
    telemetry: Telemetry
    tokens: TokenStore | None
    """Those that were created; None when the server keeps nothing."""

    def check_open(self) -> None:
        """Raises `StoppingError` once the server is about to stop."""
        if self.admission.closing:
            raise StoppingError

    def figures(self) -> Iterator[EndpointFigures]:
        """What the metrics tell of the endpoints."""
        for endpoint in self.endpoints:
            engine = endpoint.deployment.engine
            yield EndpointFigures(id=endpoint.id, state=endpoint.status, pulse=engine.pulse, restarts=engine.restarts)

    @property
    def guarded(self) -> bool:
        """Whether a token is needed."""
        return Credentials(self.settings.server, self.tokens).needed

    def close(self) -> None:
        """Write what is to be kept."""
        self.ledger.close()
        if self.tokens is not None:
            self.tokens.close()


def open_service(
    deployments: Iterable[Deployment], settings: Settings, *, dropped: Callable[[], int] = lambda: 0
) -> Service:
    """The service of those deployments; nothing of it has started. `dropped` counts lines that its log has lost.

    Raises `EndpointError` when state cannot be kept, or when others could come in without a token.
    """
    server = settings.server
    state = None if server.state is None else Path(server.state)
    with ExitStack() as undo:
        tokens = None if state is None else undo.enter_context(closing(TokenStore.open(state)))
        check_reach(server, guarded=Credentials(server, tokens).needed)
        service = Service(
            settings=settings,
            endpoints=Endpoints(
                Endpoint(each, settings.endpoints.get(each.id), queue_seconds=server.queue_seconds)
                for each in deployments
            ),
            admission=Admission(server.max_requests, settings.team),
            answers=Answers(server.idempotency_seconds, server.idempotency_bytes),
            ledger=Ledger.open(state),
            telemetry=Telemetry(dropped=dropped),
            tokens=tokens,
        )
        undo.pop_all()
    return service
