"""TLS: what a certificate and a key have to be, and that a server speaks it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx2
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from server_kit import body, deployment_of, service_with

from friendli_endpoint.config import ServerSettings
from friendli_endpoint.engine.fake import FakeEngine
from friendli_endpoint.errors import ConfigError
from friendli_endpoint.server.app import COMPLETIONS_PATH
from friendli_endpoint.server.host import Stop, host
from friendli_endpoint.server.listen import base_url, listen
from friendli_endpoint.server.tls import tls_context, unencrypted

if TYPE_CHECKING:
    from pathlib import Path

CA = trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for loopback with its key; the key of another one; the key under a password; and no PEM."""
    folder = tmp_path_factory.mktemp("tls")
    mine, other = CA.issue_cert("127.0.0.1", "localhost"), CA.issue_cert("other.example")
    for blob in mine.cert_chain_pems:
        blob.write_to_path(folder / "certificate.pem", append=True)
    mine.private_key_pem.write_to_path(folder / "key.pem")
    other.private_key_pem.write_to_path(folder / "other.pem")
    key = load_pem_private_key(mine.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "encrypted.pem").write_bytes(encrypted)
    (folder / "text.pem").write_text("what is this")
    (folder / "torn.pem").write_bytes((folder / "certificate.pem").read_bytes()[:200])
    return folder


def with_files(folder: Path, certificate: str | None, key: str | None, **more: str) -> ServerSettings:
    names = {"certificate": certificate, "certificate_key": key}
    return ServerSettings(**{name: str(folder / file) if file else None for name, file in names.items()}, **more)


def test_without_files_there_is_no_tls() -> None:
    assert tls_context(ServerSettings()) is None


def test_nothing_below_tls_1_2_is_spoken(files: Path) -> None:
    context = tls_context(with_files(files, "certificate.pem", "key.pem"))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.options & ssl.OP_ALL & ssl.OP_NO_TLSv1_3


@pytest.mark.parametrize(
    ("certificate", "key", "sentence"),
    [
        ("certificate.pem", None, "go together"),
        (None, "key.pem", "go together"),
        ("absent.pem", "key.pem", r"server\.certificate: .*absent\.pem cannot be read: No such file"),
        ("certificate.pem", "absent.pem", r"server\.certificate_key: .*absent\.pem cannot be read"),
        (".", "key.pem", "cannot be read: Is a directory"),
        ("text.pem", "key.pem", r"server\.certificate: .* should be a certificate in PEM format"),
        ("key.pem", "key.pem", r"server\.certificate: .* should be a certificate in PEM format"),
        ("certificate.pem", "certificate.pem", r"server\.certificate_key: .* should be a private key in PEM format"),
        ("torn.pem", "key.pem", "cannot be used for TLS"),
        ("certificate.pem", "other.pem", r"other\.pem is not the key of the certificate"),
        ("certificate.pem", "encrypted.pem", "encrypted with a password"),
    ],
)
def test_files_that_cannot_serve_are_told_apart(
    files: Path, certificate: str | None, key: str | None, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        tls_context(with_files(files, certificate, key))


@pytest.fixture
def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def test_a_server_with_a_certificate_speaks_tls_and_nothing_else(files: Path, trusting: ssl.SSLContext) -> None:
    settings = with_files(files, "certificate.pem", "key.pem")

    async def main() -> None:
        service, stop, ready = service_with(deployment_of(FakeEngine()), settings), Stop(), asyncio.Event()
        with listen("127.0.0.1", 0) as listener:
            url = base_url(listener, secure=True)
            hosting = asyncio.create_task(host(service, listener, stop, ready.set, tls_context(settings)))
            try:
                await ready.wait()
                async with httpx2.AsyncClient(base_url=url, verify=trusting) as client:
                    assert (await client.post(COMPLETIONS_PATH, json=body())).status_code == 200
                async with httpx2.AsyncClient(base_url=url.replace("https", "http")) as client:
                    with pytest.raises(httpx2.TransportError):
                        await client.get("/health")
            finally:
                stop.ask()
                await hosting

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "certificate", "warned"),
    [("127.0.0.1", None, False), ("0.0.0.0", None, True), ("10.0.0.1", None, True), ("0.0.0.0", "a.pem", False)],  # noqa: S104
)
def test_who_lets_others_in_without_tls_is_told_so(host: str, certificate: str | None, warned: bool) -> None:
    sentence = unencrypted(ServerSettings(host=host, certificate=certificate))
    assert (sentence is not None) == warned
    assert sentence is None or (host in sentence and "server.certificate" in sentence)
