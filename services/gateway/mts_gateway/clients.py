"""Clients and their tokens: created, listed, deleted. A token's secret exists only in the answer to its creation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from mts_common import database, security
from mts_common.database import Pool
from mts_common.messages import RunWindow
from mts_gateway.accept import write_windows
from mts_gateway.render import GROUPED, show_client, show_token

SCOPES = ("mts", "admin", "warranty:read", "warranty:write")
DEFAULT_VALID_DAYS = 365
MAX_VALID_DAYS = 3650
MAX_NAME = 100


class UnknownClient(Exception):
    """There is no client with this id."""


class UnknownToken(Exception):
    """There is no token with this id, or no longer."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be made. One for administrators belongs to a client as well: somebody answers for it."""

    client_id: int
    scopes: tuple[str, ...] = ("mts",)
    valid_days: int = DEFAULT_VALID_DAYS
    dialect: str = GROUPED


class Clients:
    """The register of clients and tokens."""

    def __init__(self, pool: Pool, sql: Mapping[str, str]) -> None:
        self._pool = pool
        self._sql = sql

    async def create_client(self, name: str, windows: Sequence[RunWindow] | None = None) -> dict[str, object]:
        """A new client; its own run windows replace the usual ones for its overnight tests."""
        (row,) = await self._fetch("create_client", name, write_windows(windows))
        return show_client(row)

    async def list_clients(self) -> list[dict[str, object]]:
        """Every client."""
        return [show_client(row) for row in await self._fetch("list_clients")]

    async def create_token(self, new: NewToken) -> dict[str, object]:
        """A new token with its secret, which is shown this once. Raises `UnknownClient`."""
        secret, digest = security.new_token()
        rows = await self._fetch("create_token", new.client_id, digest, list(new.scopes), new.dialect, new.valid_days)
        if not rows:
            raise UnknownClient
        return {"token": secret, **show_token(rows[0])}

    async def list_tokens(self) -> list[dict[str, object]]:
        """Every token that has not been deleted."""
        return [show_token(row) for row in await self._fetch("list_tokens")]

    async def delete_token(self, token_id: int) -> None:
        """The token opens nothing from now on. Raises `UnknownToken`."""
        if not await self._fetch("delete_token", token_id):
            raise UnknownToken

    async def _fetch(self, name: str, *arguments: object) -> Sequence[asyncpg.Record]:
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            return await connection.fetch(self._sql[name], *arguments)
