"""One running meter: its description, its clock, its registers and what its faults have done so far."""

import time
from collections.abc import Iterator

from mts_metersim.clock import DAY, MeterClock, Nanoseconds, month_start, utc
from mts_metersim.fleet import CHANNELS, FaultKind, Meter
from mts_metersim.load import energy, interruptions, powered, reading, watts_of_day

NIGHT_ENDS = 7 * 3600
KEPT_DEMANDS = 64

_Sums = tuple[int, ...]


class Unit:
    """A meter at work. Energies are in mWh (mvarh, mVAh), powers in watts."""

    def __init__(self, meter: Meter, true_time: Nanoseconds = time.time_ns) -> None:
        self.meter = meter
        self.zone = meter.zone
        self.clock = MeterClock(meter.clock, true_time)
        self.installed = self.clock.now() // DAY * DAY - meter.installed_days_ago * DAY
        self.spoilt_checks = 0
        self.dropped = False
        self.late_answers = 0
        self.counter_received = meter.options.dlms.last_counter
        self.counter_sent = 0
        self._greatest: dict[tuple[str, int, int, int], list[tuple[int, int]]] = {}
        self._last_sums: tuple[int, tuple[_Sums, _Sums]] = (-1, ((), ()))
        self._day_starts: list[tuple[_Sums, _Sums]] = [((0,) * len(CHANNELS), (0,) * len(CHANNELS))]

    @property
    def period(self) -> int:
        """Seconds of one survey period."""
        return self.meter.options.period_minutes * 60

    @property
    def shown_serial(self) -> str:
        """The serial number that the meter itself gives."""
        serial = self.meter.serial_number
        if self.meter.fault(FaultKind.WRONG_SERIAL) is None:
            return serial
        return serial[:-1] + ("0" if serial[-1] != "0" else "1")

    def base(self, channel: str) -> int:
        """mWh on the register when the meter was installed: whole watt hours, most on what the site draws."""
        share = {"import": 100, "q1": 40, "va": 110}.get(channel, CHANNELS.index(channel))
        return (self.meter.load.seed * 7919 % 100_000 + 1_000) * share * 1_000

    def total(self, channel: str, at: int) -> int:
        """The cumulative register at an instant: base + every period's energy since the installation."""
        index = CHANNELS.index(channel)
        return self.base(channel) + self._sums(at)[0][index] * 1000 // 3600

    def rate(self, channel: str, night: bool, at: int) -> int:
        """The part of `total` that ran up from 00:00 to 07:00 UTC (night), or the rest."""
        whole, in_night = (sums[CHANNELS.index(channel)] * 1000 // 3600 for sums in self._sums(at))
        base = self.base(channel)
        first = in_night + base // 4
        return first if night else whole + base - first

    def power(self, channel: str, at: int) -> int:
        """Watts (var, VA) at an instant."""
        day, second = divmod(at, DAY)
        return watts_of_day(self.meter.load, day)[CHANNELS.index(channel)][second // 900]

    def demands(self, channel: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """(mean power in mW, end) of each whole survey period recorded in [begin, end)."""
        start = max(begin, self.installed) // self.period * self.period
        for at in range(start, end - self.period + 1, self.period):
            found = reading(self.meter, channel, utc(at), self.installed)
            if found is not None:
                yield int(found.scaleb(6)) * 3600 // self.period, at + self.period

    def greatest(self, channel: str, begin: int, end: int, count: int = 1) -> list[tuple[int, int]]:
        """The greatest demands of [begin, end) as (mW, end of the period), greatest first."""
        end -= end % self.period
        key = (channel, begin, end, count)
        if key not in self._greatest:
            if len(self._greatest) >= KEPT_DEMANDS:
                self._greatest.clear()
            self._greatest[key] = sorted(self.demands(channel, begin, end), key=lambda d: (-d[0], d[1]))[:count]
        return self._greatest[key]

    def resets(self, at: int) -> list[int]:
        """The billing resets (month starts in the meter's zone) since the installation, newest first."""
        found = []
        reset = month_start(self.zone, at)
        while reset >= self.installed:
            found.append(reset)
            reset = month_start(self.zone, reset, 1)
        return found

    def power_cuts(self, at: int) -> list[tuple[int, int]]:
        """The power cuts (down, up) that ended between the installation and `at`, oldest first."""
        cuts = interruptions(self.meter.options.power_cuts, self.installed, at)
        return [(down, up) for down, up in cuts if self.installed <= down and up <= at]

    def _sums(self, at: int) -> tuple[_Sums, _Sums]:
        """Watt seconds since the installation: (all day, night alone) of each channel. The last answer is kept: all
        channels are asked for at one instant."""
        if self._last_sums[0] != at:
            self._last_sums = (at, self._sums_at(at))
        return self._last_sums[1]

    def _sums_at(self, at: int) -> tuple[_Sums, _Sums]:
        days, second = divmod(max(at, self.installed) - self.installed, DAY)
        while len(self._day_starts) <= days:
            begin = self.installed + (len(self._day_starts) - 1) * DAY
            self._day_starts.append(_plus(self._day_starts[-1], self._span(begin, begin + DAY)))
        begin = self.installed + days * DAY
        return _plus(self._day_starts[days], self._span(begin, begin + second))

    def _span(self, begin: int, end: int) -> tuple[_Sums, _Sums]:
        """Watt seconds within one UTC day."""
        dawn = min(begin + NIGHT_ENDS, end)
        night = self._powered_energy(begin, dawn)
        day = self._powered_energy(dawn, end)
        return tuple(map(sum, zip(night, day, strict=True))), night

    def _powered_energy(self, begin: int, end: int) -> _Sums:
        parts = [energy(self.meter.load, a, b) for a, b in powered(self.meter.options.power_cuts, begin, end)]
        return tuple(map(sum, zip(*parts, strict=True))) if parts else (0,) * len(CHANNELS)


def _plus(left: tuple[_Sums, _Sums], right: tuple[_Sums, _Sums]) -> tuple[_Sums, _Sums]:
    whole, night = ([a + b for a, b in zip(x, y, strict=True)] for x, y in zip(left, right, strict=True))
    return tuple(whole), tuple(night)
