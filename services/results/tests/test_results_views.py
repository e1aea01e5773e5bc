"""The published views: what they show, and to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import asyncpg
import pytest

from mts_common.database import Pool, open_pool
from mts_results.statements import SQL

VIEWS = {
    "test_status": """test_id bigint, completed boolean, result_summary text,
        test_started_at timestamp with time zone, test_ended_at timestamp with time zone,
        connection_started_at timestamp with time zone, connection_ended_at timestamp with time zone,
        completed_at timestamp with time zone, serial_number text, meter_time text, status_events jsonb,
        meter_properties jsonb, profile_configuration jsonb, registers jsonb, survey jsonb""",
    "test_search": """test_id bigint, client_id bigint, batch_id bigint, request_reference text, meter_type text,
        remote_address text, received_at timestamp with time zone, completed_at timestamp with time zone,
        result_summary text""",
    "wire_trace": """test_id bigint, attempt integer, started_at timestamp with time zone,
        ended_at timestamp with time zone, outcome text, detail text, frames bytea""",
    "measurement": """device_id text, starts_at timestamp with time zone, channel text, value numeric,
        status ARRAY""",
    "period_count": "device_id text, day timestamp with time zone, periods integer",
    "register_reading": "device_id text, register text, read_at timestamp with time zone, value numeric",
    "device_fact": """device_id text, firmware text, last_test_end timestamp with time zone, signal_strength text,
        newest_reading_at timestamp with time zone""",
}


class Database(Protocol):
    def url(self, role: str) -> str: ...


@pytest.fixture
async def gateway(pool: Pool, database: Database) -> AsyncIterator[Pool]:
    """The gateway's own connections to the migrated database."""
    async with open_pool(database.url("gateway"), "test") as gateway:
        yield gateway


@pytest.mark.parametrize("view", VIEWS)
async def test_a_view_has_its_published_columns(pool: Pool, view: str) -> None:
    columns = await pool.fetch(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'results_v1' AND table_name = $1 ORDER BY ordinal_position",
        view,
    )
    shown = ", ".join(f"{name} {kind}" for name, kind in columns)
    assert shown == " ".join(VIEWS[view].split())


async def test_the_gateway_may_read_the_views_and_nothing_else(pool: Pool, gateway: Pool) -> None:
    await pool.execute("SELECT results.ensure_partition(1, 1000)")
    for view in VIEWS:
        assert await gateway.fetch(f"SELECT * FROM results_v1.{view}") == []  # noqa: S608
    granted = await pool.fetch(
        "SELECT relname, privilege FROM pg_class,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege"
        " WHERE relnamespace IN ('results'::regnamespace, 'results_v1'::regnamespace) AND relkind IN ('r', 'p', 'v')"
        " AND has_table_privilege('mts_gateway', oid, privilege) ORDER BY relname"
    )
    assert [tuple(row) for row in granted] == [(view, "SELECT") for view in sorted(VIEWS)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.execute("SELECT results.ensure_partition(2000, 1000)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.execute("CREATE VIEW results_v1.other AS SELECT 1")


async def test_one_tests_status_is_read_from_its_partition_alone(pool: Pool, gateway: Pool) -> None:
    for first in (0, 1000, 2000):
        await pool.execute("SELECT results.ensure_partition($1, 1000)", first)
    plan = "\n".join(
        row[0] for row in await pool.fetch("EXPLAIN SELECT * FROM results_v1.test_status WHERE test_id = 1500")
    )
    assert "status_1000" in plan
    assert "status_data_1000" in plan
    assert "_2000" not in plan
    assert "_0 " not in plan


async def test_every_statement_is_valid(pool: Pool) -> None:
    await SQL.check(pool)
