"""HTTP with and without TLS: what is not known to the authorities is refused, whoever asked before."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fpin.errors import Unavailable
from fpin.http import Http


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Hello)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def unknown(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody but itself has signed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        yield f"https://127.0.0.1:{port}/"


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_certificate_that_no_authority_signed_is_refused(plain: str, unknown: str, scheme: str) -> None:
    with Http() as http:
        assert http.request("GET", plain).body == b"hello"
        with pytest.raises(Unavailable, match="certificate verify failed"):
            http.request("GET", unknown.replace("https", scheme))
        assert http.request("GET", plain.replace("http", "HTTP")).body == b"hello"


def test_every_address_is_shown_to_the_guard_first(plain: str, unknown: str) -> None:
    seen: list[str] = []

    def guard(url: str) -> None:
        seen.append(url)
        raise Unavailable("refused")

    with Http(guard=guard) as http:
        for url in (plain, unknown):
            with pytest.raises(Unavailable, match="refused"):
                http.request("GET", url)
    assert seen == [plain, unknown]
