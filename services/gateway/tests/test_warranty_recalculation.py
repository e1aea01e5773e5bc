"""Due dates follow the readings, within the transaction that brings them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mts_common.database import Connection, Pool, migrate, open_pool, transaction
from mts_gateway.testing.contract_seed import contract_seed, load_into
from mts_gateway.warranty.due_date import due_date
from mts_gateway.warranty.recalculation import Terms, due_dates, recalculate
from mts_stack.postgres import RoleUrls

EXAMPLE = Path(__file__).parents[3] / "examples" / "registry-seed.json"
A, B, C = 300100566813039, 300100568132822, 300100568132826
METER_B = 300100568130911
CONTRACT = 300100568130910


@pytest.fixture
async def pool(database: RoleUrls) -> AsyncIterator[Pool]:
    await migrate(database.url("gateway"), "gateway", "mts_gateway")
    async with open_pool(database.url("gateway"), "test", 4) as pool:
        await load_into(pool, contract_seed(EXAMPLE))
        yield pool


async def read(connection: Connection, meter_id: int, day: date, value: int) -> None:
    await connection.execute(
        "INSERT INTO gateway.meter_reading VALUES ($1, $2, $3)",
        meter_id,
        datetime(day.year, day.month, day.day, tzinfo=UTC),
        Decimal(value),
    )


async def contract_meter(pool: Pool, contract_meter_id: int = METER_B) -> Any:
    return await pool.fetchrow("SELECT * FROM gateway.contract_meter WHERE contract_meter_id = $1", contract_meter_id)


async def contract(pool: Pool) -> Any:
    return await pool.fetchrow("SELECT * FROM gateway.warranty_contract WHERE contract_id = $1", CONTRACT)


async def test_the_seed_has_the_due_dates_of_the_contract(pool: Pool) -> None:
    rows = await pool.fetch("SELECT calculated_due_date AS due FROM gateway.contract_meter ORDER BY contract_meter_id")
    assert [row["due"] for row in rows][:3] == [date(2022, 10, 16), date(2028, 4, 19), date(2028, 4, 19)]
    assert (await contract(pool))["calculated_expiration_date"] == date(2028, 4, 19)


async def test_a_changed_due_date_is_one_version_more_by_the_system(pool: Pool) -> None:
    before, parent = await contract_meter(pool), await contract(pool)
    async with transaction(pool) as connection:
        await read(connection, B, date(2022, 11, 27), 50000)
        await recalculate(connection, [B])
    after = await contract_meter(pool)
    assert after["calculated_due_date"] == date(2022, 12, 27)
    assert (after["object_version"], after["last_updated_by"]) == (before["object_version"] + 1, "SYSTEM")
    assert after["last_update_date"] > before["last_update_date"]
    assert await contract(pool) == parent


async def test_a_contracts_expiration_is_the_latest_due_date_of_its_enabled_meters(pool: Pool) -> None:
    before = await contract(pool)
    await pool.execute(
        "UPDATE gateway.contract_meter SET active_end_date = current_date WHERE meter_id = $1 AND contract_id = $2",
        C,
        CONTRACT,
    )
    async with transaction(pool) as connection:
        await read(connection, B, date(2022, 11, 27), 50000)
        await read(connection, C, date(2022, 11, 27), 1)
        await recalculate(connection, [C, B, B])
    after = await contract(pool)
    assert after["calculated_expiration_date"] == date(2022, 12, 27)
    assert (after["object_version"], after["last_updated_by"]) == (before["object_version"] + 1, "SYSTEM")
    disabled = await contract_meter(pool, 300100568130912)
    assert (disabled["calculated_due_date"], disabled["object_version"]) == (date(2028, 4, 19), 1)


async def test_nothing_is_stored_where_nothing_changes(pool: Pool) -> None:
    before = await contract_meter(pool), await contract(pool)
    async with transaction(pool) as connection:
        await recalculate(connection, [A, B, C, 1])
        await recalculate(connection, [])
    assert (await contract_meter(pool), await contract(pool)) == before


async def test_it_is_undone_with_the_callers_transaction(pool: Pool) -> None:
    before = await contract_meter(pool)
    with pytest.raises(ZeroDivisionError):
        async with transaction(pool) as connection:
            await read(connection, B, date(2022, 11, 27), 50000)
            await recalculate(connection, [B])
            raise ZeroDivisionError
    assert await contract_meter(pool) == before


async def test_the_readings_that_tell_tell_what_all_of_them_do(pool: Pool) -> None:
    """Counters that fall, stand still, are read hourly or never: the formula over all readings agrees."""
    chance = Random(57)  # noqa: S311
    for _ in range(40):
        readings, value = [], Decimal(0)
        pace = timedelta(hours=chance.choice([1, 12, 30, 24 * 40, 24 * 200]))
        for number in range(chance.randrange(12)):
            value += Decimal(chance.choice(["0", "1", "5", "50", "0.25", "-7", "-39"]))
            readings.append((datetime(2015, 1, 1, tzinfo=UTC) + pace * number, value))
        terms = [
            Terms(B, Decimal(start), Decimal(interval), rate, date(2014, 1, 1))
            for start, interval, rate in ((0, 30, None), (-5, 0, Decimal(3)), (1, 400, None), (2, 77, Decimal("0.1")))
        ]
        async with transaction(pool) as connection:
            await connection.execute("DELETE FROM gateway.meter_reading WHERE meter_id = $1", B)
            await connection.executemany(
                "INSERT INTO gateway.meter_reading VALUES ($1, $2, $3)", [(B, at, value) for at, value in readings]
            )
            assert await due_dates(connection, terms) == [
                due_date(readings, each.start, each.interval, each.base_daily_rate, each.contract_start)
                for each in terms
            ]


async def test_readings_that_come_at_once_are_all_in_the_due_date(pool: Pool) -> None:
    async def bring(meter_ids: list[int], day: date, value: int) -> None:
        async with transaction(pool) as connection:
            for meter_id in meter_ids:
                await read(connection, meter_id, day, value)
            await recalculate(connection, meter_ids)

    await asyncio.gather(
        *(
            bring([B, C] if number % 2 else [C, B], date(2022, 11, number + 1), 1000 * (number + 1))
            for number in range(12)
        )
    )
    assert {(await contract_meter(pool, each))["calculated_due_date"] for each in (METER_B, METER_B + 1)} == {
        date(2023, 3, 2)
    }
