"""Projection measurements: the survey readings of devices, by channel and start of the period."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mts_common.database import Connection, to_json
from mts_common.messages import ReadingsStored
from mts_common.vocabulary import about
from mts_results.devices import OUTBOX, DeviceReading, lock_devices, readings_of, survey_rows
from mts_results.history import History
from mts_results.months import ensure_months
from mts_results.statements import SQL

_log = logging.getLogger(__name__)


async def apply(connection: Connection, histories: Sequence[History]) -> None:
    """Where surveys overlap, what was read later stands; a difference is logged. What is new is told."""
    readings = [reading for reading in readings_of(histories) if reading.data.survey]
    if readings:
        await lock_devices(connection, (reading.device_id for reading in readings))
        told = [await _store(connection, reading) for reading in readings]
        await OUTBOX.put(connection, [each for each in told if each is not None])


async def _store(connection: Connection, reading: DeviceReading) -> ReadingsStored | None:
    floor = await connection.fetchval(SQL["reading_floor"])
    rows = [
        (start, channel, value, to_json(status) if status else None)
        for (start, channel), (value, status) in survey_rows(reading.data).items()
        if start >= floor
    ]
    if not rows:
        return None
    await ensure_months(connection, "measurement", (start for start, _, _, _ in rows))
    columns = map(list, zip(*rows, strict=True))
    found = await connection.fetchrow(SQL["put_measurements"], reading.device_id, *columns, reading.read_at)
    if found is None:
        return None
    if found["differing"]:
        _log.warning(
            "device %s: %d of %d readings differ from those of another survey, the later read stand",
            reading.device_id,
            found["differing"],
            len(rows),
            extra=about("readings-differ"),
        )
    if not found["stored"]:
        return None
    await connection.execute(SQL["count_periods"], reading.device_id, found["first_start"], found["last_start"])
    await connection.execute(SQL["note_newest_reading"], reading.device_id, found["last_start"])
    return ReadingsStored(
        device_id=reading.device_id, first_measurement=found["first_start"], last_measurement=found["last_start"]
    )
