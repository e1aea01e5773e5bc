"""A test of a meter, asked for over the MTS API, becomes measurements of a device and moves a contract's due date."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from mts_common.database import open_pool, transaction
from mts_gateway.registry.seed import read_seed
from mts_metersim.load import reading
from mts_metersim.presets import fleet
from mts_stack.seed import load
from mts_stack.testing import StackUnderTest

OWNER = "7d0f1d0e-1111-4a6b-9c1e-000000000001"
CUSTOMER = "7d0f1d0e-3333-4a6b-9c1e-000000000001"
DEVICE = "8796541235874587"
REGISTER = "Active Energy Import"
UNTOUCHED = "2020-01-01"
CONTRACT = "/fscmRestApi/resources/11.13.18.05/assetWarrantyContracts/10"
WAIT_SECONDS = 60.0

PEOPLE = {
    "distributors": [{"id": OWNER, "userName": "sunco"}],
    "timezones": [{"id": 1, "name": "UTC"}],
    "users": [
        {"id": OWNER[:-1] + "2", "userName": "sunco", "password": "s3cret-Sun", "distributor": OWNER},
        {"id": OWNER[:-1] + "3", "userName": "USER", "password": "pw", "roles": ["warranty:read"]},
    ],
    "customers": [{"id": CUSTOMER, "distributor": OWNER, "accountNumber": "ABC123"}],
}
ASSET = {
    "assets": [{"id": 1, "number": "A1", "distributor": OWNER}],
    "meters": [
        {
            "meterId": 7,
            "code": "KWH",
            "uomCode": "KWH",
            "unitOfMeasure": "kWh",
            "asset": "A1",
            "deviceId": DEVICE,
            "register": REGISTER,
            "baseDailyRate": "10",
        }
    ],
    "contracts": [
        {
            "ContractId": 10,
            "ContractNumber": "C10",
            "AssetNumber": "A1",
            "ContractStartDate": "2019-01-01",
            "CreatedBy": "USER",
            "contractMeters": [
                {
                    "ContractMeterId": 11,
                    "MeterId": 7,
                    "MeterIntervalValue": "1000000000",
                    "CalculatedDueDate": UNTOUCHED,
                    "CreatedBy": "USER",
                    "objectVersion": 4,
                }
            ],
        }
    ],
}


def seed(stack: StackUnderTest, meter: dict[str, Any]) -> None:
    device = {
        "deviceId": DEVICE,
        "distributor": OWNER,
        "customer": CUSTOMER,
        "timezone": 1,
        "intervalSeconds": 1800,
        **{name: meter[name] for name in ("meterType", "remoteAddress", "serialNumber")},
    }

    async def replace() -> None:
        found = read_seed(json.dumps({**PEOPLE, **ASSET, "devices": [device]}).encode(), datetime.now(UTC).date())
        async with open_pool(stack.database.admin_url, "test", 2) as pool, transaction(pool) as owner:
            await load(owner, found)

    asyncio.run(replace())


@contextmanager
def origin(stack: StackUnderTest, **headers: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=stack.services.api_url.removesuffix("/MTS"),
        verify=stack.services.trust,
        headers=headers,
        timeout=30.0,
    ) as client:
        yield client


def page(client: httpx.Client, path: str, **asked: Any) -> dict[str, Any]:
    answer = client.post(f"/ctapi/{path}", json=asked, headers={"UserID": "sunco", "Password": "s3cret-Sun"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def get(client: httpx.Client, path: str) -> dict[str, Any]:
    answer = client.get(path, auth=("USER", "pw"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait_for(look: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while not done(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


@pytest.mark.timeout(300)
def test_a_test_ends_as_measurements_and_moves_a_due_date(start_stack: Any) -> None:
    simulated = fleet("healthy")[0]
    stack: StackUnderTest = start_stack([simulated])
    meter = stack.fleet.meters[0]
    seed(stack, meter)
    day = datetime.combine(datetime.now(UTC).date() - timedelta(days=2), datetime.min.time(), UTC)
    test_id = stack.request(meter, surveyDate=f"{day:%Y-%m-%d}", surveyDays=1)
    outcome = stack.outcome(test_id)
    assert outcome["result"] == "SUCCESS"
    with origin(stack) as client:
        asked = {
            "DeviceID": DEVICE,
            "FromUTCDate": f"{day:%Y-%m-%d}",
            "ToUTCDate": f"{day + timedelta(days=2):%Y-%m-%d}",
        }
        shown = wait_for(lambda: page(client, "Measurement", **asked), lambda found: found["Count"] >= 48)
        assert shown["Count"] == 48
        for number, record in enumerate(shown["Measurements"]):
            start = day + number * timedelta(minutes=30)
            used = reading(simulated, "import", start)
            assert used is not None
            assert record["RecordDateTime"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
            assert abs(Decimal(record["PowerUsage"]) - 2 * used) <= Decimal("0.005")
        [device] = page(client, "Device", DeviceID=DEVICE)["Devices"]
        assert device["FirmwareVersion"]
        assert device["DeviceStatusUpdateDateTime"] == outcome["testEndTime"]
        assert device["DeviceDataUpdateDateTime"] == shown["Measurements"][-1]["RecordDateTime"]

        moved = wait_for(
            lambda: get(client, f"{CONTRACT}/child/contractMeters/11"),
            lambda found: found["CalculatedDueDate"] != UNTOUCHED,
        )
        counted = next(each for each in energies(outcome) if each["name"] == REGISTER)
        rest = (Decimal(1_000_000_000) - Decimal(str(counted["value"]))) / 10
        expected = min(date(4712, 12, 31).toordinal(), datetime.now(UTC).date().toordinal() + int(rest))
        assert abs(date.fromisoformat(moved["CalculatedDueDate"]).toordinal() - expected) <= 1
        assert moved["LastUpdatedBy"] == "SYSTEM"
        assert moved["links"][0]["properties"]["changeIndicator"].endswith("0000000578")
        assert get(client, CONTRACT)["CalculatedExpirationDate"] == moved["CalculatedDueDate"]


def energies(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    [found] = [group["registerValues"] for group in outcome["registers"] if group["category"] == "Energy"]
    return list(found)
