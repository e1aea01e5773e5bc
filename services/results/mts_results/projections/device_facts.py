"""Projection device_facts: when a device was last tested, and what the newest test that could has told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mts_common.database import Connection
from mts_common.messages import MeterData
from mts_results.devices import lock_devices, reading_of
from mts_results.history import History
from mts_results.merge import merge_times
from mts_results.statements import SQL

# What drivers and lines call them among the meter's properties.
FIRMWARE = "Firmware"
SIGNAL_STRENGTH = "Signal strength"


async def apply(connection: Connection, histories: Sequence[History]) -> None:
    """Every completed test of a device counts as tested, whatever came of it."""
    rows = [_row(history) for history in histories]
    told = sorted((row for row in rows if row is not None), key=lambda row: row[1])
    if told:
        await lock_devices(connection, (row[0] for row in told))
        await connection.executemany(SQL["put_facts"], told)


def _row(history: History) -> tuple[str, datetime, str | None, str | None] | None:
    device = history.request.device if history.request else None
    if device is None or history.cancelled or not history.completed or history.finished is None:
        return None
    ended_at = merge_times(history.attempts).test_ended_at or history.finished.finished_at
    reading = reading_of(history)
    data = reading.data if reading else MeterData()
    return device.device_id, ended_at, _property(data, FIRMWARE), _property(data, SIGNAL_STRENGTH)


def _property(data: MeterData, name: str) -> str | None:
    found = (entry.value for entry in data.properties if entry.name == name)
    return next(found, None) or None
