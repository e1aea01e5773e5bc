"""The registry seed file (registry-seed.md): read and checked whole, then loaded in place of what there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from mts_common.database import Connection
from mts_gateway.registry.due_dates import date_contracts, date_meters, undated
from mts_gateway.registry.items import Item, Items, RegistryFaults, check_required, read_items
from mts_gateway.registry.kinds import READINGS, REGISTRY
from mts_gateway.registry.references import check_references
from mts_gateway.registry.store import clear, put, put_contracts
from mts_gateway.users import Passwords
from mts_gateway.warranty.due_date import Reading, due_date


class SeedMeasurement(NamedTuple):
    """A survey reading of a device."""

    device_id: str
    starts_at: datetime
    channel: str
    value: Decimal


class SeedRegisterReading(NamedTuple):
    """A cumulative reading of a device's register."""

    device_id: str
    register: str
    read_at: datetime
    value: Decimal


class SeedFact(NamedTuple):
    """What a test has told of a device."""

    device_id: str
    firmware: str | None
    last_test_end: datetime | None


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed file without a fault."""

    items: Items

    def measurements(self) -> Iterator[SeedMeasurement]:
        """All survey readings."""
        for item in self.items["measurements"]:
            values: Any = item.values["values"]
            for channel, value in values.items():
                yield SeedMeasurement(str(item.values["deviceId"]), _moment(item, "timestamp"), channel, value)

    def register_readings(self) -> Iterator[SeedRegisterReading]:
        """The cumulative readings of those meters that are registers of devices."""
        registers = {
            item.values["meterId"]: (str(item.values["deviceId"]), str(item.values["register"]))
            for item in self.items["meters"]
            if item.values["deviceId"] is not None and item.values["register"] is not None
        }
        for item in self.items["registerReadings"]:
            if found := registers.get(item.values["meterId"]):
                yield SeedRegisterReading(*found, _moment(item, "timestamp"), _decimal(item, "value"))

    def facts(self) -> Iterator[SeedFact]:
        """What is known of devices by itself."""
        for item in self.items["devices"]:
            firmware: Any = item.values["firmware"]
            ended = None if item.values["lastTestEnd"] is None else _moment(item, "lastTestEnd")
            if firmware is not None or ended is not None:
                yield SeedFact(str(item.values["deviceId"]), firmware, ended)


def read_seed(body: bytes, today: date) -> Seed:
    """The seed in a file, its due dates calculated where it gives none. Raises `RegistryFaults`."""
    faults: list[str] = []
    kinds = {**REGISTRY, **READINGS}
    items = read_items(body, kinds, faults)
    for kind, keys in kinds.items():
        check_required(items[kind], keys, faults)
    check_references(items, faults)
    if faults:
        raise RegistryFaults(faults)
    _calculate(items, today)
    return Seed(items)


async def load_seed(connection: Connection, seed: Seed, passwords: Passwords, country_code: str) -> None:
    """Replace the registry and the cumulative readings in the caller's transaction. Tests, clients and tokens stay."""
    for user in seed.items["users"]:
        user.values["password"] = await passwords.hash(str(user.values["password"]))
    await clear(connection, seed.items)
    await put(connection, seed.items, country_code)
    await put_contracts(connection, seed.items["contracts"])
    await connection.copy_records_to_table(
        "meter_reading",
        schema_name="gateway",
        columns=("meter_id", "read_at", "value"),
        records=(
            (item.values["meterId"], _moment(item, "timestamp"), _decimal(item, "value"))
            for item in seed.items["registerReadings"]
        ),
    )


def _calculate(items: Items, today: date) -> None:
    readings: dict[object, list[Reading]] = defaultdict(list)
    for item in items["registerReadings"]:
        readings[item.values["meterId"]].append((_moment(item, "timestamp"), _decimal(item, "value")))
    found = undated(items["contracts"], items["meters"])
    dates = [
        due_date(readings[terms.meter_id], terms.start, terms.interval, terms.base_daily_rate, terms.contract_start)
        for _, terms in found
    ]
    date_meters(found, dates)
    date_contracts(items["contracts"], today)


def _moment(item: Item, name: str) -> datetime:
    return datetime.fromisoformat(str(item.values[name])).astimezone(UTC)


def _decimal(item: Item, name: str) -> Decimal:
    return Decimal(str(item.values[name]))
