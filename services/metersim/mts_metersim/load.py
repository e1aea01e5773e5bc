"""The load of a site: a pure function of (seed, kind, channel, instant), in integers.

The load is laid out in slots of 15 minutes on the UTC clock as the meter reckons it. Each slot's power is a multiple of
12 W (factory: 120 W), so that the mean over 15, 30 or 60 minutes is whole watts, a cut on a five-minute mark keeps it
so, and every period's energy is whole watt hours.
"""

from array import array
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import shake_128
from math import isqrt

from mts_metersim.clock import DAY
from mts_metersim.fleet import CHANNELS, LoadSpec, Meter, Rule

SLOT = 900
SLOTS = DAY // SLOT
WINTER, SUMMER = 1250, 800

# Watts at each hour of the day before season and noise, in the unit given: (working day, Saturday, Sunday).
_TABLES = {
    "house": (
        10,
        "18 16 15 15 16 24 62 95 60 32 29 31 42 36 31 38 72 150 190 170 130 95 56 28",
        "20 17 16 15 16 18 30 65 95 100 85 80 105 85 70 75 95 140 180 160 130 110 80 40",
        "22 18 16 15 16 17 25 50 95 115 125 140 150 100 75 75 95 140 175 150 120 90 55 26",
    ),
    "shop": (
        100,
        "28 27 27 27 28 42 90 160 230 260 270 280 285 280 275 270 265 260 230 170 80 42 32 29",
        "28 27 27 27 28 40 80 150 240 280 300 310 310 305 300 290 270 240 150 70 40 33 30 29",
        "27 27 26 26 26 27 28 35 60 140 190 200 200 200 195 180 90 45 35 32 30 29 28 28",
    ),
    "factory": (
        1000,
        "78 76 75 76 92 190 330 385 400 395 405 398 350 392 400 396 372 345 338 330 310 240 120 86",
        "80 76 75 75 80 110 160 190 195 190 185 170 120 92 86 84 82 81 80 80 79 78 78 77",
        "76 75 74 74 74 74 75 76 77 78 78 78 78 78 78 77 77 76 76 76 77 79 82 84",
    ),
}
_CURVES = {
    kind: tuple([int(watts) * unit for watts in hours.split()] for hours in days)
    for kind, (unit, *days) in _TABLES.items()
}
_SUN = (0, 0, 0, 0, 0, 60, 250, 700, 1400, 2200, 2900, 3300, 3400, 3200, 2800, 2100, 1300, 650, 220, 50, 0, 0, 0, 0)
_REACTIVE = {"house": 180, "shop": 330, "factory": 480}  # reactive power, per mille of active


def reading(meter: Meter, channel: str, start: datetime, installed: int | None = None) -> Decimal | None:
    """The expected energy of one survey period: kWh (import, export), kvarh (q1..q4), kVAh (va), exact.

    `start` is the aware start of a period by the meter's own clock turned into UTC (where the clock is an hour fast:
    the time that the meter's stamps give). None where the meter records nothing: wholly inside a power cut, touched
    by a gap, or before `installed` (instant; left out = not looked at).
    """
    begin = int(start.timestamp())
    end = begin + meter.options.period_minutes * 60
    whole = installed is None or begin >= installed
    if not whole or any(True for _ in interruptions(meter.options.gaps, begin, end)):
        return None
    parts = list(powered(meter.options.power_cuts, begin, end))
    if not parts:
        return None
    joules = sum(energy(meter.load, a, b)[CHANNELS.index(channel)] for a, b in parts)
    return Decimal(joules // 3600).scaleb(-3)


def energy(site: LoadSpec, begin: int, end: int) -> tuple[int, ...]:
    """Watt seconds (var, VA seconds) of each of CHANNELS between two instants, power cuts not counted."""
    sums = [0] * len(CHANNELS)
    at = begin
    while at < end:
        day, second = divmod(at, DAY)
        until = min(end, at - at % SLOT + SLOT)
        curves = watts_of_day(site, day)
        for index, curve in enumerate(curves):
            sums[index] += curve[second // SLOT] * (until - at)
        at = until
    return tuple(sums)


def powered(cuts: Rule | None, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of [begin, end) in which the meter has its supply."""
    at = begin
    for cut, back in interruptions(cuts, begin, end):
        if cut > at:
            yield at, cut
        at = back
    if at < end:
        yield at, end


def interruptions(rule: Rule | None, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The interruptions [from, to) by that rule that overlap [begin, end), in order."""
    if rule is None:
        return
    first = (begin - rule.minutes * 60) // DAY - rule.start_minute // 1440
    for day in range(first, end // DAY + 1):
        start = day * DAY + rule.start_minute * 60
        if day % rule.every_days == 0 and start < end and start + rule.minutes * 60 > begin:
            yield start, start + rule.minutes * 60


@lru_cache(maxsize=4096)
def watts_of_day(site: LoadSpec, day: int) -> tuple["array[int]", ...]:
    """The power of each of CHANNELS in each slot of a UTC day (`day` = days since 1970-01-01)."""
    noise = shake_128(f"{site.seed}:{site.kind}:{day}".encode()).digest(2 * SLOTS)
    step = 120 if site.kind == "factory" else 12
    curves = tuple(array("i", bytes(4 * SLOTS)) for _ in CHANNELS)
    for slot in range(SLOTS):
        net = _active(site, day, slot, noise)
        reactive = abs(net) * (_REACTIVE[site.kind] + noise[SLOTS + slot] // 4) // 1000
        inductive = noise[SLOTS + slot] < 230
        quadrant = ("q1" if inductive else "q4") if net >= 0 else ("q2" if inductive else "q3")
        found = {
            "import": max(net, 0),
            "export": max(-net, 0),
            quadrant: reactive,
            "va": isqrt(net * net + reactive * reactive),
        }
        for name, value in found.items():
            curves[CHANNELS.index(name)][slot] = value - value % step
    return curves


def _active(site: LoadSpec, day: int, slot: int, noise: bytes) -> int:
    """Watts drawn (negative: delivered) in one slot: the curve, the season, the weather and some noise."""
    curve = _CURVES[site.kind][{5: 1, 6: 2}.get((day + 3) % 7, 0)]  # day 0 was a Thursday
    hour, quarter = divmod(slot, 4)
    smooth = (curve[hour] * (4 - quarter) + curve[(hour + 1) % 24] * quarter) // 4
    season = _season(day)
    size = 800 + site.seed * 37 % 500
    load = smooth * season // 1000 * size // 1000 * (850 + noise[slot] * 300 // 255) // 1000
    if site.kind != "house":
        return load
    if noise[slot] > 242 and 5 < hour < 23:
        load += 900 + noise[SLOTS + slot] * 6
    if site.seed % 2 == 0:
        cloud = 300 + noise[0] * 700 // 255
        load -= _SUN[hour] * cloud // 1000 * (2250 - season) // 1450
    return load


def _season(day: int) -> int:
    """Per mille: most in January, least in July, straight lines between."""
    from_winter = abs((day - 14) % 365 - 182)  # 182 in mid January, 0 in mid July
    return SUMMER + (WINTER - SUMMER) * from_winter // 182
