"""Readings that results has stored move due dates: through the broker, and in any order and number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from mts_common.broker import Broker
from mts_common.consumer import MAX_DEAD_IN_A_ROW
from mts_common.database import Pool, migrate, open_pool
from mts_common.messages import CumulativeReading, ReadingsStored
from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract_api import CONTRACT, METERS, B, client_of
from mts_gateway.testing.contract_seed import contract_seed, load_into
from mts_gateway.warranty.readings import Intake, IntakeStopped
from mts_stack.postgres import RoleUrls

EXAMPLE = Path(__file__).parents[3] / "examples" / "registry-seed.json"
DEVICE = "8796541235874587"
START = datetime(2022, 10, 28, tzinfo=UTC)
PATIENCE = 20.0


def told(*readings: tuple[str, float, int], device_id: str = DEVICE) -> ReadingsStored:
    """Readings as (register, days after the first reading, value)."""
    return ReadingsStored(
        device_id=device_id,
        registers=tuple(
            CumulativeReading(name, START + timedelta(days=days), Decimal(value)) for name, days, value in readings
        ),
    )


def publish(amqp_url: str, *items: ReadingsStored) -> None:
    async def send() -> None:
        async with Broker(amqp_url, "results") as broker:
            await broker.publisher.publish(items)

    asyncio.run(send())


def wait_for_change(client: httpx.Client, url: str, name: str, before: object) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        body = client.get(url).json()
        if body[name] != before:
            return body
    raise TimeoutError(f"{name} stays {before}")


@pytest.fixture
async def pool(database: RoleUrls) -> AsyncIterator[Pool]:
    await migrate(database.url("gateway"), "gateway", "mts_gateway")
    async with open_pool(database.url("gateway"), "test", 4) as pool:
        await load_into(pool, contract_seed(EXAMPLE))
        yield pool


async def state(pool: Pool) -> list[Any]:
    readings = await pool.fetch("SELECT * FROM gateway.meter_reading ORDER BY meter_id, read_at")
    due = await pool.fetch(
        "SELECT contract_meter_id, calculated_due_date FROM gateway.contract_meter ORDER BY contract_meter_id"
    )
    return [tuple(row) for row in (*readings, *due)]


def test_38_a_new_reading_moves_the_due_date(changing: httpx.Client, contract_gateway: RunningGateway) -> None:
    amqp_url = contract_gateway.settings.amqp_url.get_secret_value()
    parent = changing.get(CONTRACT).json()
    publish(amqp_url, told(("Counter B", 30, 50000)))
    after = wait_for_change(changing, f"{METERS}/{B}", "CalculatedDueDate", "2028-04-19")
    assert (after["CalculatedDueDate"], after["LastUpdatedBy"]) == ("2022-12-27", "SYSTEM")
    assert after["LastUpdateDate"] > "2022-10-28T16:12:03+00:00"
    assert changing.get(f"{METERS}/{B}").headers["ETag"].endswith('0000000278"')
    assert changing.get(CONTRACT).json() == parent


def test_a_client_sees_what_has_changed_since_it_last_looked(
    changing: httpx.Client, contract_gateway: RunningGateway
) -> None:
    publish(contract_gateway.settings.amqp_url.get_secret_value(), told(("Counter B", 30, 50000)))
    wait_for_change(changing, f"{METERS}/{B}", "CalculatedDueDate", "2028-04-19")
    changed = changing.get(METERS, params={"q": "LastUpdateDate>2022-10-28T16:12:03+00:00"}).json()
    assert [item["ContractMeterId"] for item in changed["items"]] == [B]


async def well(intake: Intake) -> bool:
    try:
        await intake.check()
    except IntakeStopped:
        return False
    return True


async def test_any_order_and_number_of_deliveries_come_to_the_same(pool: Pool) -> None:
    items = [told((f"Counter {name}", days, days * 1000)) for name in "AB" for days in range(1, 8)]
    items.append(told(("Counter C", 3, 7), ("Nothing", 1, 1)))
    await Intake(pool).take(items)
    expected = await state(pool)
    for step in (2, 3, 5):
        await load_into(pool, contract_seed(EXAMPLE))
        backwards = [*items, *items][::-1]
        await asyncio.gather(*(Intake(pool).take(backwards[start::step]) for start in range(step)))
        assert await state(pool) == expected


async def test_a_repeated_reading_makes_no_version(pool: Pool) -> None:
    intake = Intake(pool)
    await intake.take([told(("Counter B", 30, 50000))])
    versions = await pool.fetch("SELECT object_version FROM gateway.contract_meter ORDER BY contract_meter_id")
    await intake.take([told(("Counter B", 30, 50000))])
    assert await pool.fetch("SELECT object_version FROM gateway.contract_meter ORDER BY contract_meter_id") == versions


async def test_a_corrected_reading_replaces_the_one_it_corrects(pool: Pool) -> None:
    intake = Intake(pool)
    await intake.take([told(("Counter B", 30, 1))])
    await intake.take([told(("Counter B", 30, 50000))])
    due = await pool.fetchval("SELECT calculated_due_date FROM gateway.contract_meter WHERE contract_meter_id = $1", B)
    assert due.isoformat() == "2022-12-27"


async def test_what_no_contract_meter_counts_is_left_out(pool: Pool) -> None:
    before = await state(pool)
    await Intake(pool).take([told(("Unknown", 1, 1)), told(("Counter B", 1, 1), device_id="100000000000009"), told()])
    assert await state(pool) == before


async def test_an_intake_that_can_handle_nothing_stops_alone_and_says_so(pool: Pool, amqp_url: str) -> None:
    intake = Intake(pool)
    await intake.check()
    await pool.execute("DROP TABLE gateway.meter_reading")
    async with Broker(amqp_url, "gateway") as broker:
        for number in range(MAX_DEAD_IN_A_ROW):
            await broker.publisher.publish([told(("Counter B", number, number))])
        task = asyncio.create_task(intake.run(broker))
        async with asyncio.timeout(PATIENCE):
            while await well(intake):
                await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


def test_contracts_are_served_while_the_broker_is_down(contract_site: Any, changeable: None) -> None:
    with contract_site.gateway(amqp_url="amqp://127.0.0.1:1/") as gateway, client_of(gateway) as client:
        assert client.get(METERS).json()["count"] == 3
        assert client.patch(f"{METERS}/{B}", json={"MeterIntervalValue": 1000}).status_code == 200
