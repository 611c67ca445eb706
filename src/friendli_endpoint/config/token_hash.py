"""A bearer token as the server keeps it."""

from __future__ import annotations

import hashlib
import hmac
import re

_TOKEN = re.compile(r"[!-~]+")
_TOKEN_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class TokenHash:
    """A bearer token of which only the SHA-256 is kept, so that neither memory dumps nor `repr` give it away."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    @classmethod
    def parse(cls, text: str) -> TokenHash:
        """From `sha256:<64 hex digits>` or a token in clear; `ValueError` when it could not be sent in a header."""
        if hashed := _TOKEN_HASH.fullmatch(text):
            return cls(bytes.fromhex(hashed[1]))
        if text.startswith("sha256:"):
            raise ValueError("sha256: is followed by 64 hexadecimal digits")
        if not _TOKEN.fullmatch(text):
            raise ValueError("a token is one or more visible ASCII characters, without spaces")
        return cls(hashlib.sha256(text.encode()).digest())

    def matches(self, digest: bytes) -> bool:
        """Whether `digest` is this token's SHA-256, in time that does not depend on where they differ."""
        return hmac.compare_digest(self._digest, digest)

    def __repr__(self) -> str:
        return "TokenHash(...)"
