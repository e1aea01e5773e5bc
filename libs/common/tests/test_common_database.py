"""Migrations, named statements, the pool and the outbox over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest

from mts_common import database, outbox
from mts_common.database import MigrationFault, Pool, StatementFault, Statements, migrate, open_pool, transaction
from mts_common.messages import Message, TestCancelled
from mts_common.outbox import Outbox, Relay
from mts_common.publisher import BrokerUnreachable, Publisher, PublishRefused

OUTBOX = """
CREATE TABLE gateway.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    item text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON gateway.outbox (not_before, id);
"""


class Database(Protocol):
    admin_url: str

    def url(self, role: str) -> str: ...


Package = Callable[[dict[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Makes an importable package of the given files; calling it again changes them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"package_{tmp_path.name.replace('-', '_')}"

    def make(files: dict[str, str]) -> str:
        for folder in ("sql", "migrations"):
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        for path, text in files.items():
            (tmp_path / name / path).write_text(text)
        sys.modules.pop(name, None)
        return name

    return make


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(database.url("gateway"), "test") as pool:
        yield pool


async def test_each_migration_is_applied_once_in_order(database: Database, package: Package) -> None:
    files = {
        "migrations/002_b.sql": "ALTER TABLE gateway.a ADD COLUMN b int;",
        "migrations/001_a.sql": "CREATE TABLE gateway.a ();",
    }
    name, url = package(files), database.url("gateway")
    applied = await asyncio.gather(*(migrate(url, "gateway", name) for _ in range(3)))
    assert sorted(applied) == [[], [], ["001_a.sql", "002_b.sql"]]


async def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(database: Database, package: Package) -> None:
    name = package({"migrations/001_a.sql": "CREATE TABLE gateway.a (); SELECT 1 / 0;"})
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database.url("gateway"), "gateway", name)
    package({"migrations/001_a.sql": "CREATE TABLE gateway.a ();"})
    assert await migrate(database.url("gateway"), "gateway", name) == ["001_a.sql"]


async def test_an_applied_migration_must_not_change(database: Database, package: Package) -> None:
    name = package({"migrations/001_a.sql": "CREATE TABLE gateway.a ();"})
    await migrate(database.url("gateway"), "gateway", name)
    package({"migrations/001_a.sql": "CREATE TABLE gateway.other ();"})
    with pytest.raises(MigrationFault, match=r"001_a\.sql"):
        await migrate(database.url("gateway"), "gateway", name)


async def test_statements_are_found_by_name_and_checked_against_the_schema(pool: Pool, package: Package) -> None:
    text = "-- name: one\n-- A number.\nSELECT 1\n\n-- name: lost\n-- No such table.\nSELECT * FROM gateway.nowhere"
    statements = Statements(package({"sql/some.sql": text}))
    assert set(statements) == {"one", "lost"}
    with pytest.raises(StatementFault, match=r"lost.*nowhere"):
        await statements.check(pool)


def test_a_statement_that_stands_twice_is_a_fault(package: Package) -> None:
    name = package({"sql/a.sql": "-- name: one\nSELECT 1", "sql/b.sql": "-- name: one\nSELECT 2"})
    with pytest.raises(StatementFault, match="twice"):
        Statements(name)


async def test_decimals_pass_through_jsonb_digit_for_digit(pool: Pool) -> None:
    values = [Decimal("0.00000"), Decimal("102.280"), Decimal("12345678901234567890.123456789"), Decimal("1E-9")]
    async with transaction(pool) as connection:
        back = await connection.fetchval("SELECT $1::jsonb", values)
    assert [format(value, "f") for value in back] == [format(value, "f") for value in values]


async def test_a_pool_recovers_when_its_connections_are_cut(database: Database, pool: Pool) -> None:
    async with transaction(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'")
    await admin.close()
    async with asyncio.timeout(20):
        while True:
            try:
                async with transaction(pool) as connection:
                    assert await connection.fetchval("SELECT 1") == 1
                return
            except database_away():
                continue


def database_away() -> tuple[type[BaseException], ...]:
    return database.UNAVAILABLE


class FakePublisher(Publisher):
    """Remembers bodies; refuses those that name a poisoned test, and everything while it is away."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.poison = b"no such"
        self.away = False

    async def publish_body(self, kind: str, body: bytes, timeout: float = 0) -> None:  # noqa: ASYNC109
        if self.away:
            raise BrokerUnreachable(kind)
        if self.poison in body:
            raise PublishRefused(kind)
        self.bodies.append(body)


def cancelled(test_id: int) -> Message:
    return TestCancelled(test_id=test_id, cancelled_at=datetime(2026, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def relaying(pool: Pool, publisher: Publisher, count: int = 1) -> AsyncIterator[Relay]:
    relays = [Relay(pool, Outbox("gateway"), publisher) for _ in range(count)]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield relays[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def put(pool: Pool, items: list[Message]) -> None:
    async with transaction(pool) as connection:
        await Outbox("gateway").put(connection, items)


async def rows(pool: Pool) -> int:
    async with transaction(pool) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM gateway.outbox"))


async def until_rows(pool: Pool, count: int) -> None:
    async with asyncio.timeout(20):
        while await rows(pool) != count:
            await asyncio.sleep(0.01)


@pytest.fixture
async def outbox_pool(pool: Pool) -> Pool:
    async with transaction(pool) as connection:
        await connection.execute(OUTBOX)
    return pool


def test_the_documented_table_is_the_tested_one() -> None:
    documented = (outbox.__doc__ or "").replace("SCHEMA", "gateway")
    assert " ".join(OUTBOX.split()) in " ".join(documented.split())


async def test_what_is_committed_is_told_in_few_messages_and_forgotten(outbox_pool: Pool) -> None:
    publisher = FakePublisher()
    await put(outbox_pool, [cancelled(number) for number in range(450)])
    async with relaying(outbox_pool, publisher):
        await until_rows(outbox_pool, 0)
    assert len(publisher.bodies) == 3
    assert sum(body.count(b'"test_id"') for body in publisher.bodies) == 450


async def test_what_is_rolled_back_is_never_told(outbox_pool: Pool) -> None:
    with pytest.raises(KeyError):
        async with transaction(outbox_pool) as connection:
            await Outbox("gateway").put(connection, [cancelled(1)])
            raise KeyError
    assert await rows(outbox_pool) == 0


async def test_a_refused_row_waits_alone_and_blocks_nobody(outbox_pool: Pool) -> None:
    publisher = FakePublisher()
    publisher.poison = b'"test_id":5,'
    await put(outbox_pool, [cancelled(number) for number in range(10)])
    async with relaying(outbox_pool, publisher):
        await until_rows(outbox_pool, 1)
        assert not any(publisher.poison in body for body in publisher.bodies)
        publisher.poison = b"no such"
        await until_rows(outbox_pool, 0)


async def test_while_the_broker_is_away_rows_wait_unchanged(outbox_pool: Pool) -> None:
    publisher = FakePublisher()
    publisher.away = True
    await put(outbox_pool, [cancelled(1)])
    async with relaying(outbox_pool, publisher) as relay:
        relay.wake()
        await asyncio.wait([asyncio.create_task(until_rows(outbox_pool, 0))], timeout=0.5)
        async with transaction(outbox_pool) as connection:
            assert await connection.fetchval("SELECT tries FROM gateway.outbox") == 0
        publisher.away = False
        await until_rows(outbox_pool, 0)
    assert len(publisher.bodies) == 1


async def test_relays_side_by_side_tell_each_row_once(outbox_pool: Pool) -> None:
    publisher = FakePublisher()
    await put(outbox_pool, [cancelled(number) for number in range(5000)])
    async with relaying(outbox_pool, publisher, count=3):
        await until_rows(outbox_pool, 0)
    assert sum(body.count(b'"test_id"') for body in publisher.bodies) == 5000
