"""TLS: what a certificate and a key have to be, and that a server speaks it."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
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
    from collections.abc import Iterator

CA = trustme.CA()
PROGRAM = Path(__file__).with_name("serve_fake.py")


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


@pytest.fixture
def renewing(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A server process with TLS, its port, and the folder of its files."""
    _issue(tmp_path)
    command = [sys.executable, str(PROGRAM), str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        try:
            yield process, port, tmp_path
        finally:
            process.terminate()
            process.communicate()


def _issue(folder: Path) -> None:
    cert = CA.issue_cert("127.0.0.1")
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in cert.cert_chain_pems))
    cert.private_key_pem.write_to_path(folder / "key.pem")


def _shown(port: int, trusting: ssl.SSLContext) -> bytes | None:
    """The certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        trusting.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True)


def _said(process: subprocess.Popen[str], words: str) -> None:
    """Return once the server has written such a line to standard error."""
    assert process.stderr is not None
    assert any(words in line for line in process.stderr)


def test_a_hangup_signal_has_the_certificate_read_again_without_an_end(
    renewing: tuple[subprocess.Popen[str], int, Path], trusting: ssl.SSLContext
) -> None:
    process, port, folder = renewing
    first = _shown(port, trusting)
    assert _shown(port, trusting) == first
    _issue(folder)
    assert _shown(port, trusting) == first
    process.send_signal(signal.SIGHUP)
    _said(process, "the certificate has been read again")
    second = _shown(port, trusting)
    assert second != first
    (folder / "key.pem").write_text("what is this")
    process.send_signal(signal.SIGHUP)
    _said(process, "key.pem should be a private key in PEM format")
    assert _shown(port, trusting) == second
    assert process.poll() is None


@pytest.mark.parametrize(
    ("host", "certificate", "warned"),
    [("127.0.0.1", None, False), ("0.0.0.0", None, True), ("10.0.0.1", None, True), ("0.0.0.0", "a.pem", False)],  # noqa: S104
)
def test_who_lets_others_in_without_tls_is_told_so(host: str, certificate: str | None, warned: bool) -> None:
    sentence = unencrypted(ServerSettings(host=host, certificate=certificate))
    assert (sentence is not None) == warned
    assert sentence is None or (host in sentence and "server.certificate" in sentence)
