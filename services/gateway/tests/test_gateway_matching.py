"""Which device of the registry an accepted test reads: exactly one that fits, of the client's own, or none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import pytest

from mts_common.database import Pool, migrate, open_pool
from mts_common.messages import RegisteredDevice
from mts_common.topology import RESULTS_REQUESTS, SCHEDULER_REQUESTS
from mts_gateway.registry.matching import Sought, find_devices
from mts_gateway.testing import Credentials, Listener, Neighbours, RunningGateway, Store

SUNCO, WINDCO, NOBODY = 1, 2, 3
OWNERS = {SUNCO: "7d0f1d0e-1111-4a6b-9c1e-000000000001", WINDCO: "7d0f1d0e-1111-4a6b-9c1e-000000000002"}
ADDRESS = "meter.example:1153"
DEVICE = "8796541235874587"


class Database(Protocol):
    def url(self, role: str) -> str: ...


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """A registry with two distributors and no device; a third client is no distributor."""
    url = database.url("gateway")
    await migrate(url, "gateway", "mts_gateway")
    async with open_pool(url, "test", 2) as pool:
        for name in ("sunco", "windco", "the platform"):
            await pool.execute("INSERT INTO gateway.client (name) VALUES ($1)", name)
        for client, owner in OWNERS.items():
            await pool.execute("INSERT INTO gateway.distributor VALUES ($1, $2, 'a distributor')", owner, client)
        await pool.execute("INSERT INTO gateway.timezone VALUES (1, 'Europe/London')")
        yield pool


async def register(pool: Pool, device_id: str = DEVICE, client: int = SUNCO, **columns: Any) -> None:
    row = {"device_id": device_id, "distributor_id": OWNERS[client], "remote_address": ADDRESS, **columns}
    row.setdefault("canonical_address", row["remote_address"])
    names, places = ", ".join(row), ", ".join(f"${place + 1}" for place in range(len(row)))
    await pool.execute(f"INSERT INTO gateway.device ({names}) VALUES ({places})", *row.values())  # noqa: S608


async def found(pool: Pool, client: int = SUNCO, **asked: Any) -> str | None:
    sought = Sought(1, client, ADDRESS, "ELSTERA1700", None, None)._replace(**asked)
    async with pool.acquire() as connection:
        device = (await find_devices(connection, [sought])).get(1)
    return None if device is None else device.device_id


@pytest.mark.parametrize(
    ("device", "asked", "fits"),
    [
        ({}, {}, True),
        ({}, {"canonical_address": "meter.example:1154"}, False),
        ({"meter_type": "ELSTERA1700"}, {}, True),
        ({"meter_type": "ELSTERA1140"}, {}, False),
        ({"outstation_address": "1"}, {"outstation_address": "1"}, True),
        ({"outstation_address": "1"}, {"outstation_address": "2"}, False),
        ({"outstation_address": "1"}, {}, True),
        ({}, {"outstation_address": "2"}, True),
        ({"serial_number": "K04"}, {"serial_number": " k04"}, True),
        ({"serial_number": "K04"}, {"serial_number": "K05"}, False),
        ({"serial_number": "K04"}, {}, True),
        ({}, {"serial_number": "K05"}, True),
        ({"registered": False}, {}, True),
    ],
)
async def test_a_device_fits_where_both_say_the_same(
    pool: Pool, device: dict[str, Any], asked: dict[str, Any], fits: bool
) -> None:
    await register(pool, **device)
    assert await found(pool, **asked) == (DEVICE if fits else None)


async def test_the_device_that_is_left_of_several_is_the_one(pool: Pool) -> None:
    await register(pool, outstation_address="1")
    await register(pool, DEVICE[:-1] + "8", outstation_address="2")
    assert await found(pool, outstation_address="2") == DEVICE[:-1] + "8"
    assert await found(pool) is None


async def test_a_distributor_finds_its_own_devices_and_the_platform_all(pool: Pool) -> None:
    await register(pool, client=WINDCO)
    assert await found(pool, SUNCO) is None
    assert await found(pool, WINDCO) == DEVICE
    assert await found(pool, NOBODY) == DEVICE
    await register(pool, DEVICE[:-1] + "8", client=SUNCO)
    assert await found(pool, WINDCO) == DEVICE
    assert await found(pool, NOBODY) is None


async def test_many_tests_are_matched_at_once(pool: Pool) -> None:
    await register(pool, serial_number="K04", timezone_id=1)
    sought = [Sought(n, SUNCO, ADDRESS if n % 2 else "elsewhere:1", "ELSTERA1700", None, None) for n in range(6)]
    async with pool.acquire() as connection:
        devices = await find_devices(connection, sought)
    device = RegisteredDevice(device_id=DEVICE, serial_number="K04", zone="Europe/London")
    assert devices == dict.fromkeys((1, 3, 5), device)


OWN = "7d0f1d0e-9999-4a6b-9c1e-000000000001"
OWN_DEVICE = "8796541235879990"


@pytest.fixture
def client(store: Store) -> Iterator[Credentials]:
    """A distributor with a device."""
    client = store.new_client()
    store.run("INSERT INTO gateway.distributor VALUES ($1, $2, 'own')", OWN, client.client_id)
    store.run(
        "INSERT INTO gateway.device (device_id, distributor_id, remote_address, canonical_address, serial_number)"
        " VALUES ($1, $2, '07777 999999', '+447777999999', 'K04')",
        OWN_DEVICE,
        OWN,
    )
    yield client
    for table in ("device", "distributor"):
        store.run(f"DELETE FROM gateway.{table} WHERE distributor_id = $1", OWN)  # noqa: S608


def request(gateway: RunningGateway, client: Credentials) -> int:
    with gateway.http(client.token) as api:
        body = {"meterType": "ELSTERA1700", "remoteAddress": "07777999999"}
        return int(api.post("/MTS/test-request", json=body).json()["testId"])


def test_an_accepted_test_is_told_with_its_device(
    store: Store, gateway: RunningGateway, client: Credentials, listener: Listener
) -> None:
    test_id = request(gateway, client)
    for queue in (SCHEDULER_REQUESTS, RESULTS_REQUESTS):
        assert listener.wait_for(queue, test_id).device == RegisteredDevice(device_id=OWN_DEVICE, serial_number="K04")
    [row] = store.run("SELECT device_id FROM gateway.test WHERE test_id = $1", test_id)
    assert row["device_id"] == OWN_DEVICE


def test_a_test_that_is_told_again_still_has_its_device(
    store: Store, start_gateway: Any, client: Credentials, neighbours: Neighbours, listener: Listener
) -> None:
    (row,) = store.run("SELECT last_value FROM gateway.test_id")
    lost = set(range(row["last_value"], row["last_value"] + 50))
    neighbours.lost_by_results |= lost
    try:
        test_id = request(start_gateway(settle_after_seconds=0.3), client)
        first = listener.wait_for(RESULTS_REQUESTS, test_id)
        again = listener.wait_for(RESULTS_REQUESTS, test_id, times=2)
    finally:
        neighbours.lost_by_results -= lost
    assert again == first
    assert again.device == RegisteredDevice(device_id=OWN_DEVICE, serial_number="K04")
