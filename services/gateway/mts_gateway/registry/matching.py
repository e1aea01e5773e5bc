"""Finding the devices that tests read, when they are accepted (docs/decisions/0050)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mts_common.database import Connection
from mts_common.messages import RegisteredDevice
from mts_gateway.registry.statements import SQL


class Sought(NamedTuple):
    """What a test says of the meter it is for."""

    test_id: int
    client_id: int
    canonical_address: str
    meter_type: str
    outstation_address: str | None
    serial_number: str | None


async def find_devices(connection: Connection, sought: Sequence[Sought]) -> Mapping[int, RegisteredDevice]:
    """The devices of those tests for which there is exactly one, by test id."""
    rows = await connection.fetch(SQL["find_devices"], *map(list, zip(*sought, strict=True)))
    return {
        row["test_id"]: RegisteredDevice(
            device_id=row["device_id"], serial_number=row["serial_number"], zone=row["zone"]
        )
        for row in rows
    }
