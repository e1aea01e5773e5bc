"""PostgreSQL: a pool that recovers, named statements checked at start, migrations of one schema.

A service's SQL stands in `sql/*.sql` of its package. Each statement begins with `-- name: NAME` and a comment of one
line that says what it is for. Migrations stand in `migrations/NNN_name.sql` and are applied once each, in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import asyncpg
import asyncpg.pool
import simplejson

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:  # generic to the type checker alone
    Pool = asyncpg.Pool
    Connection = asyncpg.pool.PoolConnectionProxy

ACQUIRE_SECONDS = 5.0

_NAME = re.compile(r"^-- name: ([a-z_0-9]+)[ \t]*$", re.MULTILINE)

# What says that the database or its state, not the statement, is at fault: trying again is the answer.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # how asyncpg meets a connection that the server cuts between two of its steps
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class StatementFault(Exception):
    """A named statement is missing, doubled, or not valid for the schema it is meant for."""


class MigrationFault(Exception):
    """An applied migration's text is not the one shipped, or one is missing."""


def to_json(value: object) -> str:
    """JSON text with Decimals written digit for digit."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False)


def from_json(text: str | bytes) -> Any:
    """JSON with every number that is not whole as a Decimal."""
    return json.loads(text, parse_float=Decimal)


@asynccontextmanager
async def open_pool(url: str, name: str, size: int = 10, statement_seconds: float = 30.0) -> AsyncIterator[Pool]:
    """A pool whose connections show `name`, speak jsonb as Python values and end statements that run too long."""
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        command_timeout=statement_seconds,
        timeout=ACQUIRE_SECONDS,
        max_inactive_connection_lifetime=60.0,
        init=_prepare_connection,
        server_settings={"application_name": name, "timezone": "UTC"},
    )
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=5.0)
        except TimeoutError:
            pool.terminate()


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction: committed at the end, rolled back on any error.

    A connection that turns out to be demoted to read-only is thrown away, so that the pool finds the new primary.
    """
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        try:
            async with connection.transaction():
                yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            connection.terminate()
            raise


async def _prepare_connection(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=to_json, decoder=from_json, format="text")


class Statements(Mapping[str, str]):
    """The named statements of a package's `sql` folder. Raises `StatementFault` if one is doubled."""

    def __init__(self, package: str) -> None:
        self._texts: dict[str, str] = {}
        for name, text in _named(resources.files(package) / "sql"):
            if name in self._texts:
                raise StatementFault(f"{package}: statement {name} stands twice")
            self._texts[name] = text

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    async def check(self, pool: Pool) -> None:
        """Prepare every statement once. Raises `StatementFault` naming the first that the schema refuses."""
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            for name, text in self._texts.items():
                try:
                    await connection.prepare(text)
                except (asyncpg.SyntaxOrAccessError, asyncpg.DataError) as error:
                    raise StatementFault(f"statement {name}: {error}") from error


def schema_statements(schema: str) -> dict[str, str]:
    """The statements that every service has over tables of its own schema, such as its outbox."""
    return {name: text.format(schema=schema) for name, text in Statements("mts_common").items()}


def _named(folder: Traversable) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            pieces = _NAME.split(file.read_text("utf-8"))
            yield from zip(pieces[1::2], (text.strip() for text in pieces[2::2]), strict=True)


async def migrate(url: str, schema: str, package: str) -> list[str]:
    """Apply the package's migrations that `schema` has not had yet, each in a transaction; the names applied.

    Safe to run at once from several processes. Raises `MigrationFault` if an applied one has changed since.
    """
    files = sorted(
        (entry for entry in (resources.files(package) / "migrations").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, timeout=ACQUIRE_SECONDS)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"migrate {schema}")
        await connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{schema}".migration '
            "(name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch(f'SELECT name, digest FROM "{schema}".migration')  # noqa: S608
        applied = {row["name"]: row["digest"] for row in rows}
        return [file.name for file in files if await _apply(connection, schema, file, applied)]
    finally:
        await connection.close(timeout=ACQUIRE_SECONDS)


async def _apply(
    connection: asyncpg.Connection[asyncpg.Record], schema: str, file: Traversable, applied: dict[str, str]
) -> bool:
    text = file.read_text("utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if file.name in applied:
        if applied[file.name] != digest:
            raise MigrationFault(f"{file.name} was applied with another text")
        return False
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute(
            f'INSERT INTO "{schema}".migration (name, digest) VALUES ($1, $2)',  # noqa: S608
            file.name,
            digest,
        )
    return True
