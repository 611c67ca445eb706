"""TLS from a certificate and its key, checked before they are used; they can be renewed while the server runs."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from friendli_endpoint.config import is_loopback
from friendli_endpoint.errors import ConfigError

if TYPE_CHECKING:
    from friendli_endpoint.config import ServerSettings


def tls_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """What the server speaks TLS with; None without a certificate. Raises `ConfigError`."""
    certificate, key = settings.certificate, settings.certificate_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("server.certificate and server.certificate_key go together; set both, or neither.")
    _check_pem(certificate, "server.certificate", b"-----BEGIN CERTIFICATE-----", "a certificate")
    _check_pem(key, "server.certificate_key", b"PRIVATE KEY-----", "a private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _use(context, certificate, key)
    return context


def renew(context: ssl.SSLContext, settings: ServerSettings) -> None:
    """Use what the settings' files hold by now, for connections that begin later.

    Raises `ConfigError` when they cannot be used, and goes on with what it had.
    """
    if tls_context(settings) is not None and settings.certificate and settings.certificate_key:
        _use(context, settings.certificate, settings.certificate_key)


def unencrypted(settings: ServerSettings) -> str | None:
    """A sentence for whoever starts a server that sends tokens and texts in clear to other machines; None if not."""
    if settings.certificate is not None or is_loopback(settings.host):
        return None
    return (
        f"Tokens and texts go over the network in clear: {settings.host} is listened on without TLS. Set "
        "server.certificate and server.certificate_key, or put a proxy in front that speaks TLS."
    )


def _check_pem(path: str, setting: str, mark: bytes, what: str) -> None:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error.strerror or error}.") from error
    if mark not in content:
        raise ConfigError(f"{setting}: {path} should be {what} in PEM format, with a line that has {mark.decode()}.")


def _use(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise ConfigError(_sentence(error, certificate, key)) from error


def _no_password() -> str:
    # Asked for only when the key is encrypted; without this, OpenSSL would ask on the terminal.
    raise ConfigError("server.certificate_key is encrypted with a password; give one that is not.")


def _sentence(error: ssl.SSLError, certificate: str, key: str) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"server.certificate_key: {key} is not the key of the certificate {certificate}."
    return f"{certificate} and {key} cannot be used for TLS: {error.reason or error}."
