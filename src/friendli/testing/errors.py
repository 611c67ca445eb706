"""What a test did wrong. None of these is an `SDKError`: the client lets them pass, unretried and unwrapped."""

from __future__ import annotations

from friendli._transport.exchange import EndlessWaitError

__all__ = ["EndlessWaitError", "UnscriptedRequestError", "UnusedRepliesError"]


class UnscriptedRequestError(AssertionError):
    """A request came for which nothing was scripted, and there is no default."""


class UnusedRepliesError(AssertionError):
    """Scripted replies were not asked for."""
