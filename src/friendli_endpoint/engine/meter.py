"""What the forwards of a core add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendli_endpoint.engine.plan import Plan


@dataclass(slots=True)
class Meter:
    """Counters since the core began, as `Pulse` names them."""

    forwards: int = 0
    rows: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0

    def count(self, plan: Plan) -> None:
        """Add the forward of a plan that has not been booked yet."""
        self.forwards += 1
        self.rows += len(plan.rows)
        for row in plan.rows:
            if row.sequence.prefilling:
                self.prefill_tokens += row.count
            else:
                self.decode_tokens += row.count
