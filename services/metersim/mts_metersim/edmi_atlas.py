"""EDMI Atlas (Mk7, Mk10): registers by 16-bit number, `R`, `I` and `F` (fact sheet edmi, sections 3 to 5)."""

from functools import partial
from typing import NamedTuple

from mts_metersim.edmi_billing import Billing
from mts_metersim.edmi_codes import Can, CanCode, Content, Register, standard_seconds
from mts_metersim.edmi_files import MOST_PERIODS, AtlasFiles
from mts_metersim.edmi_registers import common_registers
from mts_metersim.edmi_session import EdmiSession
from mts_metersim.party import Note
from mts_metersim.unit import Unit

TOTAL, BILLING_TOTAL = 15, 14
ENERGY, DEMAND, DEMAND_TIME = 0, 1, 2
# Scaling 1 and three decimals: how the display shows what the register holds in base units.
_DISPLAY = 1 << 11 | 3 << 13
_RATES = 3 << 8


class Channel(NamedTuple):
    """A billing channel: its code (quantity, function), its unit letters, what it adds up."""

    code: int
    energy_unit: str
    power_unit: str
    channels: tuple[str, ...]


_CHANNELS = (
    Channel(0x13, "X", "W", ("import",)),
    Channel(0x23, "X", "W", ("export",)),
    Channel(0x17, "Y", "R", ("q1", "q2")),
    Channel(0x27, "Y", "R", ("q3", "q4")),
    Channel(0x37, "Y", "R", ("q1",)),
    Channel(0x47, "Y", "R", ("q2",)),
    Channel(0x57, "Y", "R", ("q3",)),
    Channel(0x67, "Y", "R", ("q4",)),
    Channel(0x1B, "Z", "S", ("va",)),
)
_MOST_CHANNELS = 32
_UNUSED = 0x00FF


class AtlasSession(EdmiSession):
    """Two surveys and five event logs, read with `F`."""

    def __init__(self, unit: Unit, note: Note) -> None:
        super().__init__(unit, note)
        self._billing = Billing(unit)
        self._files = AtlasFiles(unit)
        self._registers = common_registers(unit, "Mk10A", serial_kind="A", ratio_kind="L", resets=(0x6200, 0x6400))
        self._registers |= self._files.registers() | _definitions()

    def execute(self, command: bytes) -> bytes:
        letter, operand = command[:1], command[1:]
        if letter == b"F":
            return self._files.read(operand)
        if letter == b"W":
            raise Can(CanCode.ACCESS_DENIED)
        if letter not in (b"R", b"I"):
            raise Can(CanCode.UNIMPLEMENTED)
        if len(operand) != 2:
            raise Can(CanCode.WRONG_LENGTH)
        register = self._find(int.from_bytes(operand, "big"))
        if letter == b"R":
            return command + register.external()
        return command + f"{register.kind}{register.unit}{register.name}".encode("ascii") + b"\0"

    def _find(self, number: int) -> Register:
        register = self._registers.get(number) or self._billed(number)
        if register is None:
            raise Can(CanCode.NO_REGISTER)
        return register

    def _billed(self, number: int) -> Register | None:
        """A billing register by its number `0aab bbbc cccc dddd`: what, period, channel, rate."""
        what, period, place, rate = number >> 13, number >> 9 & 0xF, number >> 4 & 0x1F, number & 0xF
        if place >= len(_CHANNELS):
            return None
        channel = _CHANNELS[place]
        if what == ENERGY:
            return _known("F", channel.energy_unit, self._energy(channel, rate, period))
        if what not in (DEMAND, DEMAND_TIME) or period >= MOST_PERIODS:
            return None
        best = self._billing.greatest(channel.channels, rate, period)
        if best is None:
            return None
        if what == DEMAND:
            return _known("F", channel.power_unit, best[0])
        return Register("T", "N", partial(standard_seconds, self.unit, best[1]))

    def _energy(self, channel: Channel, rate: int, period: int) -> int | None:
        if period == TOTAL:
            return self._billing.total(channel.channels, rate)
        if period == BILLING_TOTAL:
            return self._billing.billing_total(channel.channels, rate)
        return self._billing.energy(channel.channels, rate, period)


def _known(kind: str, unit: str, thousandths: int | None) -> Register | None:
    """A register in base units from thousandths of them."""

    def content() -> Content:
        return 0 if thousandths is None else thousandths / 1000

    return None if thousandths is None else Register(kind, unit, content)


def _definitions() -> dict[int, Register]:
    """D880+c: what each billing channel measures."""
    found = {}
    for place in range(_MOST_CHANNELS):
        code = _UNUSED
        if place < len(_CHANNELS):
            rates = _RATES if _CHANNELS[place].code in (0x13, 0x23) else 0
            code = _CHANNELS[place].code | rates | _DISPLAY
        found[0xD880 + place] = Register("I", "N", partial(int, code))
    return found
