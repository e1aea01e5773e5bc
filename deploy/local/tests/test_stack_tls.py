"""The stack's certificates are accepted by a strict client, for loopback alone."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from mts_stack.tls import make_tls


def _shake_hands(directory: Path, name: str) -> None:
    """A TLS handshake in memory, as strict as Python's defaults plus X.509 strictness."""
    tls = make_tls(directory)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tls.certificate, tls.key)
    client_context = ssl.create_default_context(cafile=tls.ca)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert waiting == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_is_trusted(tmp_path: Path, name: str) -> None:
    _shake_hands(tmp_path, name)


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(tmp_path, "mts.example")


def test_the_key_is_for_the_owner_alone(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"ca.pem", "server.pem", "server.key"}
