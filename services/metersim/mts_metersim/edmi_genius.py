"""EDMI Genius (Mk6): registers by 32-bit number, `M`, `O` and `F` (fact sheet edmi, sections 3, 4.3 and 6)."""

from functools import partial

from mts_metersim.edmi_billing import UNIFIED, Billing
from mts_metersim.edmi_codes import Can, CanCode, Register, standard_seconds, text
from mts_metersim.edmi_objects import SOURCES, file_request, survey_objects
from mts_metersim.edmi_registers import common_registers
from mts_metersim.edmi_session import EdmiSession
from mts_metersim.party import Note
from mts_metersim.unit import Unit

ENERGY, DEMAND, DEMAND_TIME = 0, 1, 8
BILLING_TOTAL, TOTAL = 4, 6
_PERIODS = {0: 0, 2: 1}  # the nibble of the current and of the previous billing period
MULTI_READ = 0x0000FFF1
_ALL_RATES = 9
_EXTENSIONS, _EXTENSION_IDS, _EXTENSION_COUNT = 0x00020000, 0x00021000, 0x0002F001
_EXTENSION_BASE = 0x0005

# The billing channels: register behind it, unit letters, what it adds up.
_CHANNELS = (
    (SOURCES["import"], "X", "W", ("import",)),
    (SOURCES["export"], "X", "W", ("export",)),
    (0xE39F, "Y", "R", ("q1", "q2")),
    (0xE39B, "Y", "R", ("q3", "q4")),
    (SOURCES["q1"], "Y", "R", ("q1",)),
    (SOURCES["q2"], "Y", "R", ("q2",)),
    (SOURCES["va"], "Z", "S", ("va",)),
)
_MOST_CHANNELS = 12


class GeniusSession(EdmiSession):
    """Two surveys and an event log, as objects whose records are read in their internal form."""

    def __init__(self, unit: Unit, note: Note) -> None:
        super().__init__(unit, note)
        self._billing = Billing(unit)
        self._objects = {held.number: held for held in survey_objects(unit)}
        self._registers = common_registers(unit, "Mk6E", serial_kind="G", ratio_kind="F", resets=(0xFC00, 0xFC01))
        for held in self._objects.values():
            self._registers |= held.registers()
        self._registers |= self._extensions() | _definitions()

    def execute(self, command: bytes) -> bytes:
        letter, operand = command[:1], command[1:]
        if letter == b"F":
            return file_request(self._objects, operand)
        if letter == b"N":
            raise Can(CanCode.ACCESS_DENIED)
        if letter not in (b"M", b"O"):
            raise Can(CanCode.UNIMPLEMENTED)
        if len(operand) < 4 or len(operand) % 4:
            raise Can(CanCode.WRONG_LENGTH)
        numbers = [int.from_bytes(operand[at : at + 4], "big") for at in range(0, len(operand), 4)]
        if letter == b"M" and numbers[0] == MULTI_READ:
            return command[:5] + b"".join(map(self._tried, numbers[1:]))
        if len(numbers) > 1:
            raise Can(CanCode.WRONG_LENGTH)
        register = self._find(numbers[0])
        if letter == b"M":
            return command + register.external()
        return command + f"{register.kind}{register.unit}{register.name}".encode("ascii") + b"\0"

    def _tried(self, number: int) -> bytes:
        """One value of a multi-read behind its error code, which is all there is of one that cannot be read."""
        try:
            return b"\0" + self._find(number).external()
        except Can as refused:
            return bytes([refused.code])

    def _find(self, number: int) -> Register:
        register = self._registers.get(number) or self._billed(number)
        if register is None:
            raise Can(CanCode.NO_REGISTER)
        return register

    def _extensions(self) -> dict[int, Register]:
        """The table in which the survey objects are found by name."""
        held = list(self._objects.values())
        found = {_EXTENSION_COUNT: Register("I", "N", lambda: len(held))}
        for place, entry in enumerate(held):
            found[_EXTENSIONS + place] = text(entry.name)
            found[_EXTENSION_IDS + place] = Register("H", "N", partial(int, entry.number - _EXTENSION_BASE))
        return found

    def _billed(self, number: int) -> Register | None:
        """A billing register by its nibbles: what, channel, period, rate."""
        what, place, period, nibble = (number >> shift & 0xF for shift in (12, 8, 4, 0))
        if number > 0xFFFF or place >= len(_CHANNELS) or 2 <= nibble != _ALL_RATES:
            return None
        _, energy_unit, power_unit, channels = _CHANNELS[place]
        rate = UNIFIED if nibble == _ALL_RATES else nibble + 1
        if what == ENERGY:
            energy = self._energy(channels, rate, period)
            return None if energy is None else Register("U", energy_unit, lambda: energy / 1000)
        best = self._billing.greatest(channels, rate, _PERIODS[period]) if period in _PERIODS else None
        if best is None or what not in (DEMAND, DEMAND_TIME):
            return None
        if what == DEMAND:
            return Register("F", power_unit, lambda: best[0] / 1000)
        return Register("T", "N", lambda: standard_seconds(self.unit, best[1]))

    def _energy(self, channels: tuple[str, ...], rate: int, period: int) -> int | None:
        if period == TOTAL:
            return self._billing.total(channels, rate)
        if period == BILLING_TOTAL:
            return self._billing.billing_total(channels, rate)
        return self._billing.energy(channels, rate, _PERIODS[period]) if period in _PERIODS else None


def _definitions() -> dict[int, Register]:
    """F780+c: the register behind each billing channel, 0 for one that is not used."""
    sources = [source for source, *_ in _CHANNELS] + [0] * (_MOST_CHANNELS - len(_CHANNELS))
    return {0xF780 + place: Register("X", "N", partial(int, source)) for place, source in enumerate(sources)}
