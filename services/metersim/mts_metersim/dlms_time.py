"""COSEM date-times of twelve octets: how the meter writes and reads them (fact sheet dlms-cosem, section 4)."""

from datetime import UTC, datetime

from mts_metersim.clock import is_summer, wall
from mts_metersim.dlms_manners import manner_of
from mts_metersim.unit import Unit

UNKNOWN_DEVIATION = -0x8000
NOT_GIVEN = 0xFF
SUMMER = 0x80


class BadTime(ValueError):
    """The octets are no time, or one in a form that this meter refuses."""


def date_time(unit: Unit, instant: int) -> bytes:
    """The wall clock with deviation and status as `options.dlms` has it."""
    options = unit.meter.options.dlms
    shown = wall(unit.zone, instant)
    status = NOT_GIVEN if not options.clock_status else SUMMER if is_summer(unit.zone, instant) else 0
    return (
        shown.year.to_bytes(2, "big")
        + bytes([shown.month, shown.day, shown.isoweekday(), shown.hour, shown.minute, shown.second])
        + bytes([manner_of(unit.meter).hundredths])
        + _deviation(unit, instant).to_bytes(2, "big", signed=True)
        + bytes([status])
    )


def _deviation(unit: Unit, instant: int) -> int:
    """UTC minus local in minutes, the other sign where the meter has it wrong, or unknown."""
    manner = unit.meter.options.dlms.deviation
    if manner == "unknown":
        return UNKNOWN_DEVIATION
    minutes = utc_offset_minutes(unit, instant)
    return minutes if manner == "inverted" else -minutes


def utc_offset_minutes(unit: Unit, instant: int) -> int:
    """Local minus UTC."""
    offset = wall(unit.zone, instant).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


def instant_of(unit: Unit, octets: object) -> int:
    """The instant that a host means; parts of the time of day that are not given count as 0.

    Without a deviation, or where the meter ignores it, the wall clock counts. Raises BadTime.
    """
    if not isinstance(octets, bytes) or len(octets) != 12:
        raise BadTime("not a date-time")
    hour, minute, second = (0 if part == NOT_GIVEN else part for part in octets[5:8])
    try:
        shown = datetime(int.from_bytes(octets[:2], "big"), octets[2], octets[3], hour, minute, second, tzinfo=UTC)
    except ValueError as fault:
        raise BadTime("not a date") from fault
    deviation = int.from_bytes(octets[9:11], "big", signed=True)
    given = deviation != UNKNOWN_DEVIATION
    wanted = unit.meter.options.dlms.range_deviation
    if wanted == ("refused" if given else "required"):
        raise BadTime("a deviation is not wanted" if given else "no deviation")
    if not given or wanted == "ignored":
        return int(shown.replace(tzinfo=unit.zone).timestamp())
    inverted = unit.meter.options.dlms.deviation == "inverted"
    return int(shown.timestamp()) + 60 * (-deviation if inverted else deviation)
