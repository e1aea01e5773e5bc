"""What a test has read of the registry's device that it was for (docs/decisions/0051). Pure but for the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from mts_common.database import Connection
from mts_common.messages import (
    CumulativeReading,
    MeterData,
    Outcome,
    RegisterCategory,
    RegisteredDevice,
    SurveyChannel,
)
from mts_common.outbox import Outbox
from mts_results.history import History
from mts_results.merge import merge_reports
from mts_results.statements import SQL

OUTBOX = Outbox("results")
CUMULATIVE = " (total)"

_READ = (Outcome.SUCCESS, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """What a test, whose last report was made at `read_at`, has read of a device."""

    device_id: str
    read_at: datetime
    data: MeterData


def reading_of(history: History) -> DeviceReading | None:
    """What the test has read of its device; None if it has none, is not complete, failed, or read another meter."""
    device = history.request.device if history.request else None
    reports = [attempt.report for attempt in history.attempts if attempt.report is not None]
    if device is None or history.cancelled or not history.with_data or not history.completed or not reports:
        return None
    if history.finished is None or history.finished.outcome not in _READ:
        return None
    data = merge_reports(reports).data
    if _is_another(device, data.serial_number):
        return None
    return DeviceReading(device.device_id, max(report.times.ended_at for report in reports), data)


def readings_of(histories: Iterable[History]) -> list[DeviceReading]:
    """What the tests have read of their devices, in the order of reading."""
    found = (reading_of(history) for history in histories)
    return sorted((each for each in found if each is not None), key=lambda each: each.read_at)


def cumulative_readings(data: MeterData) -> Iterator[CumulativeReading]:
    """The energy registers, and what the cumulative survey channels showed at the ends of their periods.

    What the meter flags as suspect is left out, and so are channels in which no two readings tell how long a period is.
    """
    for register in data.registers:
        if register.category is RegisterCategory.ENERGY and register.number is not None:
            yield CumulativeReading(register.name, register.read_at, register.number)
    for channel in data.survey:
        if channel.name.endswith(CUMULATIVE):
            yield from _at_the_ends(channel)


def _at_the_ends(channel: SurveyChannel) -> Iterator[CumulativeReading]:
    starts = sorted(_utc(reading.start) for reading in channel.readings)
    gaps = [later - earlier for earlier, later in pairwise(starts) if later > earlier]
    if not gaps:
        return
    period: timedelta = min(gaps)
    for reading in channel.readings:
        if not reading.status:
            yield CumulativeReading(channel.name, _utc(reading.start) + period, reading.value)


def survey_rows(data: MeterData) -> dict[tuple[datetime, str], tuple[Decimal, tuple[str, ...]]]:
    """Value and status by start and channel."""
    return {
        (_utc(reading.start), channel.name): (reading.value, reading.status)
        for channel in data.survey
        for reading in channel.readings
    }


def _utc(moment: datetime) -> datetime:
    """A moment without a zone is UTC already (messages.SurveyReading)."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _is_another(device: RegisteredDevice, found: str | None) -> bool:
    """Whether the meter said another serial number than the registered one."""
    registered = (device.serial_number or "").strip().casefold()
    return bool(registered) and found is not None and found.strip().casefold() != registered


async def lock_devices(connection: Connection, device_ids: Iterable[str]) -> None:
    """Hold the rows of these devices, made if need be, until the caller's transaction ends."""
    wanted: Sequence[str] = sorted(set(device_ids))
    await connection.execute(SQL["make_devices"], wanted)
    await connection.execute(SQL["lock_devices"], wanted)
