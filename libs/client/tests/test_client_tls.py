"""Over real TLS on loopback: whose certificates are trusted."""

from __future__ import annotations

import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mts_client import ConnectFailed, NotConfigured, RetryPolicy

ONE_TRY = RetryPolicy(tries=1)


class Service(http.server.BaseHTTPRequestHandler):
    """Answers everything as service-status does."""

    def do_GET(self) -> None:
        body = json.dumps({"serviceVersion": "1.0.0", "status": "OK"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA's certificate; beside it `server.pem`, a key and certificate for 127.0.0.1 that the CA signed."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    authority = _certificate(ca_name, ca_key, ca_name, ca_key, constraints)
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    server = _certificate(server_name, server_key, ca_name, ca_key, names)
    secret = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(secret + server.public_bytes(serialization.Encoding.PEM))
    return folder / "ca.pem"


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    return builder.add_extension(extension, critical=True).sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def url(ca: Path) -> Iterator[str]:
    """A service on loopback with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca.with_name("server.pem"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/MTS"
        server.shutdown()
        thread.join()


async def test_a_server_of_the_configured_ca_is_trusted(make_client: Any, url: str, ca: Path) -> None:
    service = await make_client(url=url, transport=None, trust=ca).service_status()
    assert service.status == "OK"


async def test_a_server_of_an_unknown_ca_gets_no_request(make_client: Any, url: str) -> None:
    with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await make_client(url=url, transport=None, retries=ONE_TRY).service_status()


async def test_a_callers_own_context_decides(make_client: Any, url: str, ca: Path) -> None:
    context = ssl.create_default_context(cafile=ca)
    service = await make_client(url=url, transport=None, trust=context).service_status()
    assert service.status == "OK"


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(make_client: Any, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NotConfigured, match=r"ca\.pem"):
        make_client(transport=None, trust=path)


async def test_this_machine_is_reached_past_a_proxy(
    make_client: Any, url: str, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    service = await make_client(url=url, transport=None, trust=ca, retries=ONE_TRY).service_status()
    assert service.status == "OK"


async def test_nobody_listening_is_a_failed_connection(make_client: Any, ca: Path) -> None:
    with pytest.raises(ConnectFailed):
        await make_client(url="https://127.0.0.1:1", transport=None, trust=ca, retries=ONE_TRY).service_status()
