"""Projection register_readings: the cumulative readings of devices, by register and time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from mts_common.database import Connection
from mts_common.messages import CumulativeReading, ReadingsStored
from mts_common.vocabulary import about
from mts_results.devices import OUTBOX, DeviceReading, cumulative_readings, lock_devices, readings_of
from mts_results.history import History
from mts_results.months import ensure_months
from mts_results.statements import SQL

TOLD_AT_ONCE = 200  # readings in one message

_log = logging.getLogger(__name__)


async def apply(connection: Connection, histories: Sequence[History]) -> None:
    """Of two readings of one time that differ, the one brought later stands. What is new is told."""
    readings = [(reading, list(cumulative_readings(reading.data))) for reading in readings_of(histories)]
    if any(registers for _, registers in readings):
        await lock_devices(connection, (reading.device_id for reading, _ in readings))
        for reading, registers in readings:
            stored = await _store(connection, reading, registers)
            await OUTBOX.put(connection, list(_told(reading.device_id, stored)))


async def _store(
    connection: Connection, reading: DeviceReading, registers: Sequence[CumulativeReading]
) -> list[CumulativeReading]:
    floor = await connection.fetchval(SQL["reading_floor"])
    rows = {(each.name, each.read_at): each.value for each in registers if each.read_at >= floor}
    if not rows:
        return []
    await ensure_months(connection, "register_reading", (read_at for _, read_at in rows))
    names, moments = map(list, zip(*rows, strict=True))
    found = await connection.fetch(
        SQL["put_register_readings"], reading.device_id, names, moments, list(rows.values()), reading.read_at
    )
    if differing := sum(row["differs"] for row in found):
        _log.warning(
            "device %s: %d cumulative readings differ from earlier ones of the same time, the later brought stand",
            reading.device_id,
            differing,
            extra=about("readings-differ"),
        )
    return [CumulativeReading(row["register"], row["read_at"], row["value"]) for row in found]


def _told(device_id: str, stored: Sequence[CumulativeReading]) -> Iterator[ReadingsStored]:
    for start in range(0, len(stored), TOLD_AT_ONCE):
        yield ReadingsStored(device_id=device_id, registers=tuple(stored[start : start + TOLD_AT_ONCE]))
