"""The registry that the acceptance examples of carbontrack.md (9) assume, and what more its tests need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from mts_common.database import Statements
from mts_gateway.testing import RunningGateway, Store
from mts_gateway.users import Passwords

D1 = "7d0f1d0e-1111-4a6b-9c1e-000000000001"
D2 = "7d0f1d0e-1111-4a6b-9c1e-000000000002"
SUNCO = ("sunco", "s3cret-Sun")
WINDCO = ("windco", "w1nd-Pass")
ADMIN = ("overseer", "s33s-All")
WARRANTY_ONLY = ("warrantor", "n0t-Here")
ADA_DEVICE = "8796541235874587"
IDLE_DEVICE = "8796541235874588"
BULK_DEVICE = "8796541235874589"
WIND_DEVICE = "8796541235879999"
POLYPHASE_DEVICE = "8796541235879998"
LINKED_USER = "ada"

_USERS = (
    (*SUNCO, D1, ["read", "write"]),
    (*WINDCO, D2, ["read", "write"]),
    (*ADMIN, None, ["admin"]),
    (*WARRANTY_ONLY, D1, ["warranty:read"]),
    (LINKED_USER, "ch4rles-B", D1, ["read"]),
)
_CUSTOMER = {"timezone_id": 1, "metric": True}
_DEVICE = {
    "distributor_id": D1,
    "meter_type": "ELSTERA1700",
    "phases": 1,
    "registered": True,
    "interval_seconds": 1800,
    "channels": [],
    "relays": [],
}

Row = Mapping[str, Any]


def identity(name: str) -> str:
    """A UUID for a thing of these data."""
    return str(uuid5(UUID(D1), name))


def readings(device_id: str, rows: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Values of channels by the start of their interval."""
    return [
        {"device_id": device_id, "starts_at": starts_at, "channel": channel, "value": value}
        for starts_at, values in rows.items()
        for channel, value in values.items()
    ]


def bearer(gateway: RunningGateway, user_name: str, password: str) -> dict[str, str]:
    """The header that a user sends, with a token that is asked for."""
    asked = {"grant_type": "password", "username": user_name, "password": password}
    with gateway.neighbour() as client:
        answer = client.post("/oauth/token", data=asked).raise_for_status().json()
    return {"Authorization": f"Bearer {answer['access_token']}"}


def load(store: Store) -> None:
    """Put all of it into a database that has none of it."""
    statements = Statements("mts_gateway.testing")

    def fill(name: str, rows: Iterable[Row]) -> None:
        store.run(statements[name], list(rows))

    distributors = [(D1, "sunco"), (D2, "windco")]
    fill(
        "fill_distributors",
        [
            {"distributor_id": d, "client_id": store.new_client().client_id, "user_name": name}
            for d, name in distributors
        ],
    )
    fill("fill_timezones", [{"timezone_id": 1, "name": "Australia/Brisbane"}, {"timezone_id": 2, "name": "UTC"}])
    fill("fill_users", asyncio.run(_users()))
    fill("fill_customers", _customers())
    fill("fill_devices", _devices())
    fill("fill_measurements", _measurements())
    fill("fill_facts", _facts())


async def _users() -> Sequence[Row]:
    passwords = Passwords()
    return [
        {
            "user_id": identity(name),
            "user_name": name,
            "password": await passwords.hash(password),
            "distributor_id": distributor,
            "roles": roles,
        }
        for name, password, distributor, roles in _USERS
    ]


def _customers() -> list[Row]:
    ada = {
        "account_number": "ABC123",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "user_name": LINKED_USER,
        "mobile": "+61 400 111 222",
        "location": "12 Analytical St, Brisbane QLD 4000",
    }
    others = [{"account_number": account} for account in ("XYZ789", *(f"BULK{n:04}" for n in range(1, 119)))]
    return [
        {**_CUSTOMER, "customer_id": identity(customer["account_number"]), "distributor_id": distributor, **customer}
        for distributor, customers in ((D1, [ada, *others]), (D2, [{"account_number": "WIND01"}]))
        for customer in customers
    ]


def _devices() -> list[Row]:
    ada: Row = {
        "device_id": ADA_DEVICE,
        "customer_id": identity("ABC123"),
        "label": "Ada's meter",
        "serial_number": "12345678",
        "remote_address": "10.0.0.7:4059",
        "canonical_address": "10.0.0.7:4059",
        "timezone_id": 2,
        "channels": ["kWh Import", "kWh Export", "kWh Generation", "kvarh Import"],
        "latitude": "-27.4705",
        "longitude": "153.0260",
        "relays": [{"controlId": 1, "controlType": "Hot water", "isSwitchEnabled": True, "status": False}],
    }
    wind = {"distributor_id": D2, "customer_id": identity("WIND01")}
    return [
        {**_DEVICE, **ada},
        {
            **_DEVICE,
            "device_id": IDLE_DEVICE,
            "customer_id": identity("ABC123"),
            "registered": False,
            "serial_number": "87654321",
            "interval_seconds": None,
        },
        {**_DEVICE, "device_id": BULK_DEVICE, "customer_id": identity("XYZ789"), "channels": ["kWh Import"]},
        {**_DEVICE, **wind, "device_id": WIND_DEVICE},
        {**_DEVICE, **wind, "device_id": POLYPHASE_DEVICE, "phases": 3, "interval_seconds": 3600},
    ]


def _measurements() -> list[Row]:
    ada = {
        "2024-01-01T00:00:00Z": {"kWh Import": ".625"},
        "2024-01-01T00:30:00Z": {
            "kWh Import": ".6",
            "kWh Export": ".1",
            "kWh Generation": ".25",
            "kvarh Import": ".8",
        },
        "2024-01-01T01:00:00Z": {"kWh Import": "0", "kWh Export": "1.5", "kWh Generation": "1.75"},
        "2024-01-01T01:30:00Z": {"kWh Import": ".0025"},
    }
    start = datetime.fromisoformat("2024-02-01T00:00:00Z")
    bulk = {(start + n * timedelta(minutes=30)).isoformat(): {"kWh Import": ".5"} for n in range(1200)}
    polyphase = {
        "2024-03-01T00:00:00Z": {"kWh Import (total)": "100", "kWh Import L1": "3", "kvarh Import L1": "4"},
        "2024-03-01T01:00:00Z": {
            "kWh Import (total)": "101.5",
            "kWh Import L2": "1",
            "kWh Export L3": "2.005",
            "Signal Strength": "1234.565",
            "Temperature7": "-0.004",
        },
        "2024-03-01T02:00:00Z": {"kWh Import (total)": "101"},
        "2024-03-01T04:00:00Z": {"kWh Import (total)": "107"},
    }
    found = ((ADA_DEVICE, ada), (BULK_DEVICE, bulk), (POLYPHASE_DEVICE, polyphase))
    return [row for device_id, rows in found for row in readings(device_id, rows)]


def _facts() -> list[Row]:
    return [
        {
            "device_id": ADA_DEVICE,
            "firmware": "A1700-3.1",
            "last_test_end": "2024-01-02T03:04:05Z",
            "newest_reading_at": "2024-01-01T01:30:00Z",
        }
    ]
