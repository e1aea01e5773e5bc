"""HTTP to the stack's own servers on loopback."""

from __future__ import annotations

import ssl

import httpx

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `http://`: trusts nobody. By default httpx loads all public authorities for each client, which takes it 30 ms."""


def says_well(url: str, seconds: float, trust: ssl.SSLContext = PLAIN) -> bool:
    """Whether a GET is answered with 2xx."""
    try:
        return httpx.get(url, verify=trust, timeout=seconds).is_success
    except httpx.TransportError:
        return False
