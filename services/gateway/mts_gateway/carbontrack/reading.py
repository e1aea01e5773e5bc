"""Connections for what this API reads. At most so many are held that the rest of the gateway always gets one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from mts_common import database
from mts_common.database import Connection, Pool

QUERY_SECONDS = 20.0


class Reading:
    """Runs named statements; one that takes too long ends in a `TimeoutError`."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], turns: asyncio.Semaphore) -> None:
        self._pool = pool
        self._sql = sql
        self._turns = turns

    async def fetch(self, name: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """The rows of one statement."""
        async with self._connection() as connection:
            return await connection.fetch(self._sql[name], *arguments)

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[Snapshot]:
        """Several statements that all see the database as it is now."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield Snapshot(connection, self._sql)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with (
            asyncio.timeout(QUERY_SECONDS),
            self._turns,
            self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection,
        ):
            yield connection


class Snapshot:
    """Runs named statements on one connection."""

    def __init__(self, connection: Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql

    async def fetch(self, name: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """The rows of one statement."""
        return await self._connection.fetch(self._sql[name], *arguments)
