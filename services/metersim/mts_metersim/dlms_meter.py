"""The objects of a simulated DLMS/COSEM meter, with their values (fact sheet dlms-cosem, section 4)."""

from collections.abc import Callable, Iterator
from functools import partial
from math import isqrt

from mts_metersim import axdr
from mts_metersim.clock import is_summer
from mts_metersim.dlms_manners import Manner, keys_of, manner_of, profile_of
from mts_metersim.dlms_objects import (
    ASSOCIATION_LN,
    CLOCK,
    DATA,
    DEMAND_REGISTER,
    EXTENDED_REGISTER,
    REGISTER,
    CosemObject,
    Objects,
    Read,
    obis,
    scaler_unit,
)
from mts_metersim.dlms_profile import CLOCK_NAME, Buffer, Column, clock_column, event_rows, profile, survey_rows
from mts_metersim.dlms_time import NOT_GIVEN, SUMMER, UNKNOWN_DEVIATION, date_time, utc_offset_minutes
from mts_metersim.fleet import CHANNELS
from mts_metersim.unit import Unit

WH, VARH, VAH, W, VAR, VA, VOLT, AMPERE, HERTZ, NO_UNIT = 30, 32, 31, 27, 29, 28, 35, 33, 44, 255
EVENT_LOG = "0.0.99.98.0"
EVENT_CODE = obis("0.0.96.11.0")
PROFILE_STATUS = obis("0.0.96.10.1")
_CHANNELS_OF_C = {
    1: ("import",),
    2: ("export",),
    3: ("q1", "q2"),
    4: ("q3", "q4"),
    5: ("q1",),
    6: ("q2",),
    7: ("q3",),
    8: ("q4",),
    9: ("va",),
}
# What the captured E650 shows of its configuration; the meaning is not known.
_E650_CONSTANTS = {
    "1.0.0.2.1": axdr.visible("B.M4CCPTSCMDO.0479.AT0STvGsarHSPpnagl"),
    "0.0.128.0.0": axdr.octets(bytes.fromhex("02CB0000FF0000043000045000048001048002")),
}
_C = dict(zip(CHANNELS, (1, 2, 5, 6, 7, 8, 9), strict=True))


def objects_of(unit: Unit) -> Objects:
    """Everything that the meter holds, as it is when it is read."""
    found = Objects(_Meter(unit).objects())
    if not manner_of(unit.meter).short_names:
        found.add(CosemObject(ASSOCIATION_LN, obis("0.0.40.0.0"), {2: found.listed}, version=1, public=True))
    return found


class _Meter:
    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._manner: Manner = manner_of(unit.meter)

    def objects(self) -> Iterator[CosemObject]:
        yield from self._identity()
        yield self._clock()
        yield from self._energies()
        yield from self._demands()
        yield from self._instantaneous()
        yield from self._state()
        yield self._survey()
        yield self._event_log()

    def _identity(self) -> Iterator[CosemObject]:
        unit, manner = self._unit, self._manner
        device = f"{manner.flag}{unit.shown_serial}".encode("ascii")[:16]
        yield _data("0.0.42.0.0", lambda: axdr.octets(device.ljust(16, b"\0") if manner.short_names else device), True)
        yield _data("1.0.0.2.0", lambda: axdr.visible(manner.firmware), True)
        if keys_of(unit.meter.password) and not unit.meter.options.dlms.hides_counter:
            yield _data("0.0.43.1.0", lambda: axdr.unsigned(unit.counter_received, 4), True)
        if manner.short_names:
            yield _data("0.0.96.1.0", lambda: axdr.visible(unit.shown_serial), True)
            yield from (_data(name, partial(bytes, value), True) for name, value in _E650_CONSTANTS.items())
        else:
            yield _data("0.0.96.1.0", lambda: axdr.octets(unit.shown_serial.encode("ascii")), True)

    def _clock(self) -> CosemObject:
        unit = self._unit

        def now() -> int:
            return unit.clock.now()

        def zone() -> bytes:
            known = unit.meter.options.dlms.deviation != "unknown"
            standard = utc_offset_minutes(unit, now()) - 60 * is_summer(unit.zone, now())
            return axdr.signed(-standard if known else UNKNOWN_DEVIATION, 2)

        def status() -> bytes:
            given = unit.meter.options.dlms.clock_status
            return axdr.unsigned((SUMMER if is_summer(unit.zone, now()) else 0) if given else NOT_GIVEN, 1)

        attributes = {2: lambda: axdr.octets(date_time(unit, now())), 3: zone, 4: status}
        return CosemObject(CLOCK, CLOCK_NAME, attributes, public=True)

    def _energies(self) -> Iterator[CosemObject]:
        for c, channels in _CHANNELS_OF_C.items():
            yield self._register(f"1.0.{c}.8.0", partial(self._total, channels), c)
        for c, channel in ((1, "import"), (2, "export")):
            for rate, night in ((1, True), (2, False)):
                yield self._register(f"1.0.{c}.8.{rate}", partial(self._rate, channel, night), c)

    def _total(self, channels: tuple[str, ...]) -> int:
        return sum(self._unit.total(channel, self._unit.clock.now()) for channel in channels)

    def _rate(self, channel: str, night: bool) -> int:
        return self._unit.rate(channel, night, self._unit.clock.now())

    def _register(self, name: str, milliwatt_hours: Callable[[], int], c: int) -> CosemObject:
        attributes = {2: lambda: self._energy(milliwatt_hours()), 3: lambda: self._energy_unit(c)}
        return CosemObject(REGISTER, obis(name), attributes)

    def _energy(self, milliwatt_hours: int) -> bytes:
        """In units of 10^scaler Wh, what is less cut off as on a register."""
        scaler, size = self._manner.energy_scaler, self._manner.energy_octets
        return axdr.unsigned(milliwatt_hours // 10 ** (3 + scaler) % 256**size, size)

    def _energy_unit(self, c: int) -> bytes:
        return scaler_unit(self._manner.energy_scaler, {1: WH, 2: WH, 9: VAH}.get(c, VARH))

    def _demands(self) -> Iterator[CosemObject]:
        yield from map(self._maximum, ("import", "export", "va"))
        kinds = {"demand": self._average, "energy": self._interval_energy}
        behind = kinds.get(profile_of(self._unit.meter))
        if behind is not None:
            yield from map(behind, self._unit.meter.options.channels)

    def _maximum(self, channel: str) -> CosemObject:
        """The greatest demand since the last billing reset, and when its interval ended."""
        c = _C[channel]
        attributes: dict[int, Read] = {
            2: lambda: axdr.unsigned(self._greatest(channel)[0] // 1000, 4),
            3: lambda: scaler_unit(0, _power_unit(c)),
            4: lambda: axdr.NULL,
            5: lambda: axdr.octets(date_time(self._unit, self._greatest(channel)[1])),
        }
        return CosemObject(EXTENDED_REGISTER, obis(f"1.0.{c}.6.0"), attributes)

    def _greatest(self, channel: str) -> tuple[int, int]:
        now = self._unit.clock.now()
        begin = max(self._unit.resets(now), default=self._unit.installed)
        best = self._unit.greatest(channel, begin, now)
        return best[0] if best else (0, begin)

    def _average(self, channel: str) -> CosemObject:
        """The demand register behind a survey column: attribute 3 is the last whole period's average."""
        unit = self._unit
        c = _C[channel]
        attributes: dict[int, Read] = {
            2: lambda: axdr.unsigned(unit.power(channel, unit.clock.now()), 4),
            3: lambda: axdr.unsigned(self._last_demand(channel) // 1000, 4),
            4: lambda: scaler_unit(0, _power_unit(c)),
            8: lambda: axdr.unsigned(unit.period, 4),
            9: lambda: axdr.unsigned(1, 2),
        }
        return CosemObject(DEMAND_REGISTER, obis(f"1.1.{c}.4.0"), attributes)

    def _interval_energy(self, channel: str) -> CosemObject:
        """The register behind a survey column: the last whole period's energy."""
        return self._register(
            f"1.0.{_C[channel]}.29.0", lambda: self._last_demand(channel) * self._unit.period // 3600, _C[channel]
        )

    def _last_demand(self, channel: str) -> int:
        """mW, the mean of the last whole period."""
        end = self._unit.clock.now() // self._unit.period * self._unit.period
        found = list(self._unit.demands(channel, end - self._unit.period, end))
        return found[0][0] if found else 0

    def _instantaneous(self) -> Iterator[CosemObject]:
        for phase in range(3):
            yield _measured(f"1.0.{32 + 20 * phase}.7.0", partial(self._volts, phase), 2, -1, VOLT)
            yield _measured(f"1.0.{31 + 20 * phase}.7.0", partial(self._milliamperes, phase), 4, -3, AMPERE)
        for c in (1, 2, 3, 4, 9):
            yield _measured(f"1.0.{c}.7.0", partial(self._power, c), 4, 0, _power_unit(c))
        yield _measured("1.0.13.7.0", self._power_factor, 2, -3, NO_UNIT)
        yield _measured("1.0.14.7.0", lambda: 4997 + self._unit.clock.now() % 7, 2, -2, HERTZ)

    def _power(self, c: int) -> int:
        now = self._unit.clock.now()
        if c == 9:
            active = self._power(1) - self._power(2)
            reactive = self._power(3) - self._power(4)
            return isqrt(active * active + reactive * reactive)
        return sum(self._unit.power(name, now) for name in _CHANNELS_OF_C[c])

    def _power_factor(self) -> int:
        apparent = self._power(9)
        return abs(self._power(1) - self._power(2)) * 1000 // apparent if apparent else 1000

    def _volts(self, phase: int) -> int:
        """Tenths of a volt, different per phase, wandering with the time of day."""
        return 2310 + phase * 6 + self._unit.clock.now() // 600 % 25

    def _milliamperes(self, phase: int) -> int:
        return self._power(9) // 3 * 10_000 // self._volts(phase)

    def _state(self) -> Iterator[CosemObject]:
        options = self._unit.meter.options
        for name, value in zip(("4.2", "4.5"), options.ct, strict=True):
            yield _data(f"1.0.0.{name}", partial(axdr.unsigned, value, 2))
        for name, value in zip(("4.3", "4.6"), options.vt, strict=True):
            yield _data(f"1.0.0.{name}", partial(axdr.unsigned, value, 2))
        yield _data("0.0.97.97.0", lambda: axdr.unsigned(options.status_word, 4))
        yield _data("0.0.96.10.1", lambda: axdr.unsigned(SUMMER >> 4 if self._in_summer() else 0, 1))
        yield _data("0.0.96.14.0", lambda: axdr.unsigned(1 if self._unit.clock.now() % 86_400 < 25_200 else 2, 1))
        yield _data("0.0.96.11.0", self._last_event)
        yield _data("0.0.96.7.21", lambda: axdr.unsigned(len(self._unit.power_cuts(self._unit.clock.now())), 2))

    def _in_summer(self) -> bool:
        return is_summer(self._unit.zone, self._unit.clock.now())

    def _last_event(self) -> bytes:
        rows = event_rows(self._unit, self._unit.installed, self._unit.clock.now())
        return axdr.enumerated(rows[-1].values[0] if rows else 0)

    def _survey(self) -> CosemObject:
        unit = self._unit
        columns = [
            clock_column(unit),
            _status_column(),
            *map(self._survey_column, enumerate(unit.meter.options.channels)),
        ]
        nulls = unit.meter.options.dlms.nulls or self._manner.nulls
        buffer = Buffer(unit, columns, lambda first, last: survey_rows(unit, first, last), unit.period, nulls)
        return profile(self._manner.survey, buffer, columns, unit.period, unit.meter.options.dlms.lifo)

    def _survey_column(self, place: tuple[int, str]) -> Column:
        """The register, its growth in the period, or the period's mean power; see `profile_of`."""
        index, channel = place
        unit, c = self._unit, _C[channel]
        kind = profile_of(unit.meter)
        if kind == "cumulative":
            return Column(REGISTER, obis(f"1.0.{c}.8.0"), 2, lambda row: self._energy(unit.total(channel, row.end)))
        if kind == "energy":
            return Column(
                REGISTER, obis(f"1.0.{c}.29.0"), 2, lambda row: self._energy(row.values[index] * unit.period // 3600)
            )
        return Column(DEMAND_REGISTER, obis(f"1.1.{c}.4.0"), 3, lambda row: axdr.unsigned(row.values[index] // 1000, 4))

    def _event_log(self) -> CosemObject:
        unit = self._unit
        columns = [clock_column(unit), Column(DATA, EVENT_CODE, 2, lambda row: axdr.enumerated(row.values[0]))]
        buffer = Buffer(unit, columns, lambda first, last: event_rows(unit, first, last), 0, "none")
        return profile(EVENT_LOG, buffer, columns, 0, unit.meter.options.dlms.lifo)


def _status_column() -> Column:
    return Column(DATA, PROFILE_STATUS, 2, lambda row: axdr.unsigned(row.status, 1))


def _power_unit(c: int) -> int:
    return {1: W, 2: W, 9: VA}.get(c, VAR)


def _data(name: str, value: Callable[[], bytes], public: bool = False) -> CosemObject:
    return CosemObject(DATA, obis(name), {2: value}, public=public)


def _measured(name: str, value: Callable[[], int], octets: int, scaler: int, unit: int) -> CosemObject:
    return CosemObject(
        REGISTER,
        obis(name),
        {2: lambda: axdr.unsigned(value(), octets), 3: lambda: scaler_unit(scaler, unit)},
    )
