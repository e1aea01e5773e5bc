"""Surveys and event logs of an EDMI Atlas, read with `F` (fact sheet edmi, section 5)."""

from functools import partial

from mts_metersim.edmi_codes import Can, CanCode, Register, since_epoch, standard_seconds
from mts_metersim.edmi_registers import NOMINAL_HERTZ, volts
from mts_metersim.edmi_survey import SurveyRecord, counts, energy_resolution, records, stored
from mts_metersim.history import Event, Happening, history
from mts_metersim.unit import Unit

MOST_BYTES = 2048
MOST_PERIODS = 14
MOST_CHANNELS = 32
LOGS = range(5)
SYSTEM_LOG, BILLING_LOG = 0, 2
BILLING_RESET = 0x5000
_FIRST_LOG = 2
_PRESENT, _INCOMPLETE, _POWER_FAILED = 0x01, 0x02, 0x04
_UNUSED = 0x00FF
_ENERGY_CODES = {"import": 0x13, "export": 0x23, "q1": 0x37, "q2": 0x47, "q3": 0x57, "q4": 0x67, "va": 0x1B}
# The second survey: five-cycle readings of phase A's volts and of the frequency.
_READINGS = (0x83, 0x8F)
# Scale registers of volts, amperes, powers, angles and frequencies.
_SCALES = (0.1, 0.01, 1.0, 0.1, 0.01)
_EVENT_CODES = {Happening.POWER_DOWN: 0x1000, Happening.POWER_UP: 0x1010, Happening.CLOCK_SET: 0x20CF}


class AtlasFiles:
    """Record k of a survey, counted from 1, holds the period that ENDS at start time + k x interval; with
    `start_stamps` the one that begins there."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._energies = unit.meter.options.channels

    def registers(self) -> dict[int, Register]:
        found: dict[int, Register] = {}
        for survey, codes in enumerate((self._energy_definitions(), _READINGS)):
            found |= self._survey_registers(survey, list(codes))
        found |= {0xD808 + place: Register("F", "N", partial(float, scale)) for place, scale in enumerate(_SCALES)}
        for log in LOGS:
            found[0xD815 + log] = Register("L", "N", lambda: 0)
            found[0xD81A + log] = Register("L", "N", partial(self._log_length, log))
        return found

    def read(self, operand: bytes) -> bytes:
        """The answer to `F`: as much as fits of what was asked for. Raises Can."""
        if len(operand) != 8:
            raise Can(CanCode.WRONG_LENGTH)
        log = operand[0] - 0x30
        start, count = int.from_bytes(operand[2:6], "big"), int.from_bytes(operand[6:8], "big")
        if log in (0, 1):
            start, data, size = self._survey(log, start, count)
        elif log - _FIRST_LOG in LOGS:
            start, data, size = self._log(log - _FIRST_LOG, start, count)
        else:
            raise Can(CanCode.OUT_OF_RANGE)
        given = len(data) // size
        return b"F" + operand[:2] + start.to_bytes(4, "big") + given.to_bytes(2, "big") + data

    def _survey_registers(self, survey: int, codes: list[int]) -> dict[int, Register]:
        unit = self._unit
        shape = len(codes) | unit.meter.options.period_minutes << 6
        base = 0xD840 + 0x20 * survey
        padded = codes + [_UNUSED] * (MOST_CHANNELS - len(codes))
        return {
            0xD802 + survey: Register("L", "N", lambda: 1),
            0xD804 + survey: Register("L", "N", lambda: stored(unit) + 1),
            0xD806 + survey: Register("I", "N", lambda: shape),
            0xD8B0 + survey: Register("T", "N", self._start_time),
            **{base + place: Register("I", "N", partial(int, code)) for place, code in enumerate(padded)},
        }

    def _start_time(self) -> int:
        early = self._unit.period if self._unit.meter.options.edmi.start_stamps else 0
        return standard_seconds(self._unit, self._unit.installed) - early

    def _energy_definitions(self) -> list[int]:
        scaling, decimals = energy_resolution(self._unit)
        return [_ENERGY_CODES[name] | scaling << 10 | decimals << 12 for name in self._energies]

    def _survey(self, survey: int, start: int, count: int) -> tuple[int, bytes, int]:
        """Actual start, data and the size of a record."""
        size = 2 * (len(_READINGS) if survey else len(self._energies)) + 1
        start = max(start, 1)
        count = max(0, min(count, MOST_BYTES // size, stored(self._unit) + 1 - start))
        found = records(self._unit, start - 1, count)
        data = b"".join(self._record(survey, start + place, record) for place, record in enumerate(found))
        return start, data, size

    def _record(self, survey: int, number: int, record: SurveyRecord) -> bytes:
        values = self._readings(number, record) if survey else self._counted(record)
        status = _PRESENT * record.present | _INCOMPLETE * record.incomplete | _POWER_FAILED * record.power_failed
        return b"".join(value.to_bytes(2, "little") for value in values) + bytes([status])

    def _counted(self, record: SurveyRecord) -> list[int]:
        return [counts(self._unit, energy) for energy in record.milliwatt_hours]

    def _readings(self, number: int, record: SurveyRecord) -> list[int]:
        """Counts of the scale registers; a period that was not recorded is zero."""
        tenths = round(volts(self._unit, 0) * 10) + number % 5
        return [tenths, round(NOMINAL_HERTZ * 100) - number % 3] if record.present else [0, 0]

    def _log_length(self, log: int) -> int:
        return len(self._events(log))

    def _log(self, log: int, start: int, count: int) -> tuple[int, bytes, int]:
        entries = self._events(log)[start : start + min(count, MOST_BYTES // 6)]
        return start, b"".join(code.to_bytes(2, "little") + at.to_bytes(4, "little") for code, at in entries), 6

    def _events(self, log: int) -> list[tuple[int, int]]:
        """(code, seconds since 1996), oldest first."""
        unit, now = self._unit, self._unit.clock.now()
        found: list[tuple[int, int]] = []
        if log == BILLING_LOG:
            found = [(BILLING_RESET, reset) for reset in reversed(unit.resets(now))]
        if log == SYSTEM_LOG:
            events = [item for item in history(unit, unit.installed, now) if isinstance(item, Event)]
            found = [(_EVENT_CODES[event.what], event.at) for event in events if event.what in _EVENT_CODES]
        return [(code, since_epoch(unit, at)) for code, at in found]
