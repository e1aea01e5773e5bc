"""The contract meters API as its clients know it: over TLS, with a user's name and password."""

from __future__ import annotations

import ssl

import httpx

from mts_gateway.testing import RunningGateway

CONTRACTS = "/fscmRestApi/resources/11.13.18.05/assetWarrantyContracts"
CONTRACT = f"{CONTRACTS}/300100568130910"
METERS = f"{CONTRACT}/child/contractMeters"
A, B, C = 100100907385960, 300100568130911, 300100568130912
OTHER_CONTRACT = f"{CONTRACTS}/300100568130920"
OTHER_METER = f"{OTHER_CONTRACT}/child/contractMeters/300100568130921"


def client_of(gateway: RunningGateway, user: str | None = "USER", **headers: str) -> httpx.Client:
    """A connection pool of a user whose password is the seed's. `headers`: "_" stands for "-" in their names."""
    verify: ssl.SSLContext | bool = False
    if gateway.settings.tls_cert is not None:
        verify = ssl.create_default_context(cafile=gateway.settings.tls_cert)
    client = httpx.Client(
        base_url=f"{gateway.scheme}://127.0.0.1:{gateway.port}",
        verify=verify,
        auth=None if user is None else (user, "pw"),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        timeout=30.0,
    )
    del client.headers["Accept"]
    return client
