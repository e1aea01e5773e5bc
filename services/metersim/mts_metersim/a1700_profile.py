"""Elster A1700 load survey: the stream of identity 550 (fact sheet elster-a1700, section 6)."""

from collections.abc import Callable

from mts_metersim.a1700_codes import demand, stamp
from mts_metersim.clock import has_summer_time, midnight, wall, wall_seconds
from mts_metersim.fleet import CHANNELS
from mts_metersim.history import Event, Happening, Record, history
from mts_metersim.unit import Unit

Tail = Callable[[Unit], bytes]

BLOCK = 64
PERIOD_CODES = (1, 2, 3, 4, 5, 6, 10, 15, 20, 30, 60)
_MARKERS = {
    Happening.POWER_UP: 0xE5,
    Happening.POWER_DOWN: 0xE6,
    Happening.CLOCK_SET: 0xEA,
    Happening.SEASON: 0xED,
}
_TIME_SYNC = 0x02


def mask(unit: Unit) -> bytes:
    """Identity 777: the channels, low byte bits 0..6, and in bit 7 whether the clock keeps summer time."""
    bits = sum(1 << CHANNELS.index(name) for name in unit.meter.options.channels)
    return bytes([0, bits | (0x80 if has_summer_time(unit.zone, unit.clock.now()) else 0)])


def day_tail(unit: Unit) -> bytes:
    """What follows E4 and its stamp: mask and period byte."""
    options = unit.meter.options
    return mask(unit) + bytes([options.period_nibble << 4 | PERIOD_CODES.index(options.period_minutes)])


def day_header(unit: Unit, instant: int, tail: Tail = day_tail) -> bytes:
    """E4, stamp, mask, period byte."""
    return b"\xe4" + stamp(wall_seconds(unit.zone, instant)) + tail(unit)


def survey(unit: Unit, days: int, tail: Tail = day_tail) -> bytes:
    """The stored survey of the last `days` calendar days of the meter, today included, FF to the block's end."""
    now = unit.clock.now()
    first = midnight(unit.zone, now, days - 1) if days * 86_400 < now else unit.installed
    return survey_between(unit, first, now, tail)


def survey_between(unit: Unit, first: int, last: int, tail: Tail) -> bytes:
    """The stored survey from the period that starts at `first` to the one that ends by `last`."""
    return padded(b"".join(_elements(unit, max(first, unit.installed), last, tail)))


def padded(stream: bytes) -> bytes:
    """The stream with at least one FF, filled with FF to whole blocks; nothing stored is no block."""
    return stream + b"\xff" * (BLOCK - len(stream) % BLOCK) if stream else b""


def block_counts(stream: bytes) -> bytes:
    """Identity 551 as read: blocks of 64 and of 256 bytes, 2 bytes each, most significant first."""
    return b"".join((-(-len(stream) // size)).to_bytes(2, "big") for size in (64, 256))


def data_record(status: int, milliwatts: tuple[int, ...]) -> bytes:
    return bytes([status]) + b"".join(map(demand, milliwatts))


def _elements(unit: Unit, first: int, last: int, tail: Tail) -> list[bytes]:
    """A day's header stands before the first thing of that day; after a gap the header is repeated.

    The part interval before a power cut stands AFTER its E6, the others where they were stored.
    """
    found: list[bytes] = []
    shown = previous_end = None
    status = 0
    for item in history(unit, first, last):
        at = item.at if isinstance(item, Event) else item.begin
        day = wall(unit.zone, at).date()
        if day != shown or (isinstance(item, Record) and previous_end != at):
            found.append(day_header(unit, at, tail))
            shown = day
        if isinstance(item, Record):
            found.append(data_record(status, item.milliwatts))
            status, previous_end = 0, item.end
            continue
        marker = bytes([_MARKERS[item.what]]) + stamp(wall_seconds(unit.zone, at))
        part_before = item.what is Happening.POWER_DOWN and previous_end == at and at % unit.period
        found.insert(len(found) - 1 if part_before else len(found), marker)
        status = _TIME_SYNC if item.what is Happening.CLOCK_SET else 0
        previous_end = at if item.what is Happening.POWER_UP else previous_end
    return found
