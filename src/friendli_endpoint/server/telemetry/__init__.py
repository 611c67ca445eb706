"""To see it: a record of each request, the metrics made of them, the lines of the log (docs/observability.md)."""

from friendli_endpoint.server.telemetry.figures import EndpointFigures, Figures
from friendli_endpoint.server.telemetry.metrics import Metrics, MetricsRoute
from friendli_endpoint.server.telemetry.record import Outcome, RequestRecord
from friendli_endpoint.server.telemetry.recorded import Recorded, Telemetry, record_of
from friendli_endpoint.server.telemetry.sink import Sink, configured_logging

__all__ = [
    "EndpointFigures",
    "Figures",
    "Metrics",
    "MetricsRoute",
    "Outcome",
    "Recorded",
    "RequestRecord",
    "Sink",
    "Telemetry",
    "configured_logging",
    "record_of",
]
