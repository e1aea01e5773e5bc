"""Elster A1140: what differs from the A1700 (fact sheet elster-a1700, sections 1, 5, 6 and 7)."""

from datetime import UTC, datetime

from mts_metersim.a1700 import A1700Dialogue
from mts_metersim.a1700_codes import bcd_le, stamp
from mts_metersim.a1700_identities import DEVICES, Identities
from mts_metersim.a1700_profile import PERIOD_CODES, survey, survey_between
from mts_metersim.clock import has_summer_time, wall_seconds
from mts_metersim.fleet import CHANNELS
from mts_metersim.unit import Unit

IDENTIFICATION = "/GEC5090510010100@000"
MAIN_REGISTERS = 16
SUMMER_TIME = 0x80
# The A1140's layout of the billing history is not known.
_UNKNOWN = ("543", "544", "548")


class A1140Identities(Identities):
    """Sixteen main registers, of which the simulator fills those of the A1700; logs of the covers."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit, DEVICES["01404"])
        for identity in _UNKNOWN:
            del self._readers[identity]
        self._readers |= {
            "616": lambda: b"".join((value * 100).to_bytes(4, "big") for value in unit.meter.options.ct),
            "680": self._programming,
            "691": lambda: bytes(14),
            "692": lambda: bytes(14),
            "724": lambda: self._status() + bytes(4),
            "777": lambda: channel_mask(unit),
            "778": lambda: bytes([has_summer_time(unit.zone, unit.clock.now())]),
            "863": lambda: stamp(wall_seconds(unit.zone, unit.clock.now())) + bytes(12),
            "998": lambda: b"MTS-SIM-1140",
        }

    def _totals(self, at: int) -> bytes:
        registers = b"".join(bcd_le(self._unit.total(name, at), 8) for name in CHANNELS)
        return registers.ljust(8 * MAIN_REGISTERS, b"\0")

    def _programming(self) -> bytes:
        """Count, three stamps, three ports (1 = remote), three users."""
        return (
            (3).to_bytes(2, "little") + self._stamps([self._unit.installed] * 3) + b"\x01\x01\x00" + b"INSTALLER   " * 3
        )


class A1140Dialogue(A1700Dialogue):
    """The survey is chosen by days (551, four bytes) or by two stamps (554)."""

    default_identification = IDENTIFICATION
    writable = ("551", "554", "605")

    def _make_identities(self) -> Identities:
        return A1140Identities(self.unit)

    def _selected(self, identity: str, data: bytes) -> bytes | None:
        if identity == "551" and len(data) == 4 and any(data[:2]) and not any(data[2:]):
            return survey(self.unit, int.from_bytes(data[:2], "little"), day_tail)
        if identity == "554" and len(data) == 8:
            first, last = (_instant(self.unit, data[at : at + 4]) for at in (0, 4))
            return survey_between(self.unit, first, min(last, self.unit.clock.now()), day_tail)
        return None


def channel_mask(unit: Unit) -> bytes:
    """Identity 777: the channels, low byte bits 0..7; nothing is known of summer time here."""
    return bytes([0, sum(1 << CHANNELS.index(name) for name in unit.meter.options.channels)])


def day_tail(unit: Unit) -> bytes:
    """What follows E4 and its stamp: the channels, then the period with bit 7 for a clock that keeps summer time."""
    summer_time = SUMMER_TIME if has_summer_time(unit.zone, unit.clock.now()) else 0
    return channel_mask(unit) + bytes([summer_time | PERIOD_CODES.index(unit.meter.options.period_minutes)])


def _instant(unit: Unit, wall_stamp: bytes) -> int:
    """A stamp of wall clock seconds, rounded down to the period."""
    shown = datetime.fromtimestamp(int.from_bytes(wall_stamp, "little"), UTC).replace(tzinfo=unit.zone)
    return int(shown.timestamp()) // unit.period * unit.period
