"""The contract meters API as its clients know it: over TLS, with a user's name and password."""

from __future__ import annotations

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
    client = gateway.neighbour(**{name.replace("_", "-"): value for name, value in headers.items()})
    del client.headers["Accept"]
    if user is not None:
        client.auth = httpx.BasicAuth(user, "pw")
    return client
