"""What requests used, counted exactly once: a journal of what runs, a database of what has ended."""

from friendli_endpoint.usage.ledger import Entry, Ledger
from friendli_endpoint.usage.questions import PARAMETERS, query_of
from friendli_endpoint.usage.reading import stored_totals
from friendli_endpoint.usage.records import KEYS, Key, Outcome, Query, UsageReport, UsageTotal, Who, report

__all__ = [
    "KEYS",
    "PARAMETERS",
    "Entry",
    "Key",
    "Ledger",
    "Outcome",
    "Query",
    "UsageReport",
    "UsageTotal",
    "Who",
    "query_of",
    "report",
    "stored_totals",
]
