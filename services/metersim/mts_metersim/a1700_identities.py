"""Elster A1700 identities: what each holds, from the meter's state (fact sheet elster-a1700, sections 5 to 7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mts_metersim import a1700_profile
from mts_metersim.a1700_codes import bcd_le, clock_bytes, stamp
from mts_metersim.clock import wall_seconds
from mts_metersim.fleet import CHANNELS
from mts_metersim.unit import Unit

BLOCK = 64
BILLING_SETS = 12
MD_SOURCES = (1, 2, 7)
MD_REGISTERS = 8


@dataclass(frozen=True, slots=True)
class Device:
    """What the device number of the identification means for the layout (meter types 0, 1 and 2 of the sheet)."""

    rates: int
    cdr_sources: int
    coincident: int
    extra: int
    long_logs: bool


DEVICES = {
    "01404": Device(16, 6, 0, 0, False),
    "01004": Device(32, 6, 0, 124, False),
    "02602": Device(32, 15, 120, 124, True),
}
DEFAULT_IDENTIFICATION = "/GEC5090100140400@000"


def device_of(identification: str) -> Device:
    """The layout that goes with an identification `/GEC` Z MM PPP DDD II ...; unknown ones as type 0."""
    return DEVICES.get(identification[10:15], DEVICES["01404"])


class Identities:
    """Reads by identity: bytes now, or for arrays one bytes object per set."""

    def __init__(self, unit: Unit, device: Device) -> None:
        self._unit = unit
        self._device = device
        self._readers: dict[str, Callable[[], bytes]] = {
            "507": lambda: self._totals(self._now),
            "508": lambda: self._rates(self._now),
            "509": self._cumulative_demands,
            "510": lambda: self._greatest(self._now, 0),
            "516": lambda: bytes(32),
            "543": lambda: self._sets(self._billing),
            "544": lambda: self._sets(lambda _now, _begin, _count: bytes(66)),
            "546": self._battery,
            "548": lambda: self._sets(lambda _now, _begin, _count: self._set_sources()),
            "614": lambda: _ratio(unit.meter.options.vt, 3),
            "616": lambda: _ratio(unit.meter.options.ct, 2),
            "667": self._rate_sources,
            "668": self._demand_sources,
            "680": lambda: (3).to_bytes(2, "little") + self._stamps([unit.installed] * 3),
            "691": lambda: bytes(4),
            "693": lambda: bytes(63 if device.long_logs else 17),
            "694": lambda: bytes(46 if device.long_logs else 14),
            "695": self._power_downs,
            "724": self._status,
            "777": lambda: a1700_profile.mask(unit),
            "778": lambda: bytes([a1700_profile.mask(unit)[1] >> 7]),
            "795": lambda: b"MTS-SIM-SCHEME-1",
            "798": lambda: unit.shown_serial.rjust(16, "-").encode("ascii"),
            "861": lambda: clock_bytes(unit),
            "878": lambda: bytes.fromhex(f"{unit.meter.options.period_minutes:02d}{1:02d}{1:02d}"),
        }
        if device.coincident:
            self._readers["511"] = lambda: bytes(device.coincident)

    def read(self, identity: str) -> bytes | None:
        """All bytes of an identity; sets begin on a new packet of 64; None = the meter does not know it."""
        reader = self._readers.get(identity)
        return None if reader is None else reader()

    @property
    def _now(self) -> int:
        return self._unit.clock.now()

    def _totals(self, at: int) -> bytes:
        return b"".join(bcd_le(self._unit.total(name, at), 8) for name in CHANNELS) + bytes(3 * 8)

    def _rates(self, at: int) -> bytes:
        values = [self._unit.rate(name, night, at) for name in ("import", "export") for night in (True, False)]
        return b"".join(bcd_le(value, 8) for value in values).ljust(8 * self._device.rates, b"\0")

    def _rate_sources(self) -> bytes:
        return bytes((1, 1, 2, 2)).ljust(self._device.rates, b"\0")

    def _demand_sources(self) -> bytes:
        return bytes(MD_SOURCES).ljust(MD_REGISTERS, b"\0")

    def _cumulative_demands(self) -> bytes:
        """Each demand register's sum of the greatest demands at the billing resets."""
        found = b""
        for source in (*MD_SOURCES, *[0] * (MD_REGISTERS - len(MD_SOURCES))):
            billed = sum(self._billed_demand(source, reset) for reset in self._unit.resets(self._now)) if source else 0
            found += bcd_le(billed, 8) + bytes([source])
        return found

    def _billed_demand(self, source: int, reset: int) -> int:
        begin = max((other for other in self._unit.resets(reset - 1)), default=self._unit.installed)
        best = self._unit.greatest(CHANNELS[source - 1], begin, reset)
        return best[0][0] if best else 0

    def _greatest(self, at: int, begin: int) -> bytes:
        """24 x (stamp, source, value): the three best of each register since `begin`, not sorted."""
        since = begin or max(self._unit.resets(at), default=self._unit.installed)
        found = b""
        for source in MD_SOURCES:
            best = self._unit.greatest(CHANNELS[source - 1], since, at, 3)
            for milliwatts, end in (best[1:] + best[:1]) if best else []:
                found += stamp(wall_seconds(self._unit.zone, end)) + bytes([source]) + bcd_le(milliwatts, 7)
            found += bytes(12 * (3 - len(best)))
        return found.ljust(12 * 3 * MD_REGISTERS, b"\0")

    def _billing(self, at: int, begin: int, count: int) -> bytes:
        """One set of identity 543: the registers at a billing reset and what closed the period."""
        registers = self._totals(at) + self._rates(at) + bytes(32) + self._cumulative_demands()
        demands = self._greatest(at, begin) + bytes(self._device.coincident)
        info = count.to_bytes(2, "little") + self._stamps([begin, at]) + b"\x01" + self._stamps([at])
        return registers + demands + info

    def _set_sources(self) -> bytes:
        size = 30 + self._device.rates + self._device.extra
        sources = bytes(16 + self._device.cdr_sources) + self._rate_sources() + self._demand_sources()
        return sources.ljust(size, b"\0")

    def _sets(self, reader: Callable[[int, int, int], bytes]) -> bytes:
        """Twelve sets, newest first, each filled to whole packets; a period before the installation is all zero."""
        edges = self._unit.resets(self._now)
        found = b""
        size = 0
        for index, edge in enumerate(edges[:BILLING_SETS]):
            begin = edges[index + 1] if index + 1 < len(edges) else self._unit.installed
            one = reader(edge, begin, len(edges) - index)
            size = -(-len(one) // BLOCK) * BLOCK
            found += one.ljust(size, b"\0")
        size = size or -(-len(reader(self._unit.installed, self._unit.installed, 0)) // BLOCK) * BLOCK
        return found.ljust(size * BILLING_SETS, b"\0")

    def _battery(self) -> bytes:
        years = 365 * 86_400
        return self._stamps([self._unit.installed]) + stamp(9 * years) + stamp(3 * years)

    def _power_downs(self) -> bytes:
        cuts = self._unit.power_cuts(self._now)
        newest = [down for down, _ in reversed(cuts)]
        kept = 5 if self._device.long_logs else 3
        return len(cuts).to_bytes(2, "little") + self._stamps(newest[:kept]).ljust(4 * kept, b"\0")

    def _status(self) -> bytes:
        power_down = 1 << 26 if self._unit.power_cuts(self._now) else 0
        return (self._unit.meter.options.status_word | power_down).to_bytes(4, "little")

    def _stamps(self, instants: Sequence[int]) -> bytes:
        return b"".join(stamp(wall_seconds(self._unit.zone, at)) for at in instants)


def _ratio(pair: Sequence[int], secondary_bytes: int) -> bytes:
    """Primary and secondary in hundredths, 4 and 2 or 3 bytes."""
    primary, secondary = pair
    return bcd_le(primary * 100, 4) + bcd_le(secondary * 100, secondary_bytes)
