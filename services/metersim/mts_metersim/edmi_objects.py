"""The survey objects of an EDMI Genius and their files: FI, FS, FR (fact sheet edmi, section 6)."""

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from mts_metersim.edmi_codes import Can, CanCode, Content, Register, external, since_epoch, standard_seconds
from mts_metersim.edmi_registers import volts
from mts_metersim.edmi_survey import SurveyRecord, records, stored
from mts_metersim.history import Event, Happening, history
from mts_metersim.unit import Unit

CAPACITY = 2880
MOST_BYTES = 2048
EXACT, END_OF_FILE, CLOSEST, NO_STAMPS, EMPTY = range(5)
FORWARD = 1
_MISSING, _POWER_FAILED, _INCOMPLETE = 0x0002, 0x0004, 0x0008
_FILE = 0xF008
# The external register behind a channel (fact sheet, section 4.3); E49B and E59B may be the other way round.
SOURCES = {"import": 0xE397, "export": 0xE393, "q1": 0xE49F, "q2": 0xE59F, "q3": 0xE49B, "q4": 0xE59B, "va": 0xE3E7}
_EVENT_TEXTS = {
    Happening.POWER_DOWN: "Power Off",
    Happening.POWER_UP: "Power On",
    Happening.CLOCK_SET: "Clock Changed",
    Happening.SEASON: "Season Changed",
}
_TEXT_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a record in its internal form: `source` the register that it records, `factor` what a count is."""

    source: int
    width: int
    kind: str
    unit: str
    name: str
    factor: float = 1.0


class SurveyObject(ABC):
    """A file of records; channel 0 is a status word of 16 bits. `number` is the upper half of its addresses."""

    def __init__(self, unit: Unit, number: int, name: str, interval: int) -> None:
        self.unit = unit
        self.number = number
        self.name = name
        self.interval = interval
        self.channels = [Channel(0, 2, "H", "N", "Status"), *self._channels()]

    @abstractmethod
    def _channels(self) -> list[Channel]: ...

    @abstractmethod
    def entries(self) -> int:
        """How many records were ever stored."""

    @abstractmethod
    def written(self, first: int, count: int) -> list[bytes]:
        """Those records, which must be there, as they are stored."""

    @property
    def record_size(self) -> int:
        return sum(channel.width for channel in self.channels)

    @property
    def oldest(self) -> int:
        return max(0, self.entries() - CAPACITY)

    def start_time(self) -> int:
        """Standard time of record 0: the END of its period, or with `start_stamps` its start."""
        early = self.unit.meter.options.edmi.start_stamps
        return standard_seconds(self.unit, self.unit.installed) + (0 if early else self.interval)

    def registers(self) -> dict[int, Register]:
        held = {
            0xF012: Register("C", "N", lambda: len(self.channels) - 1),
            0xF013: Register("L", "N", lambda: CAPACITY),
            0xF014: Register("L", "T", lambda: self.interval),
            0xF018: Register("I", "N", lambda: self.record_size),
            0xF020: Register("T", "N", self.start_time),
            0xF021: Register("L", "N", self.entries),
        }
        offset = 0
        for place, channel in enumerate(self.channels):
            held |= _described(place, channel, offset)
            offset += channel.width
        return {self.number << 16 | register: content for register, content in held.items()}

    def info(self) -> bytes:
        """FI: first record, how many, size, type, name."""
        oldest = self.oldest
        head = oldest.to_bytes(4, "big") + (self.entries() - oldest).to_bytes(4, "big")
        return head + self.record_size.to_bytes(2, "big") + b"\0" + self.name.encode("ascii") + b"\0"

    def search(self, start: int, moment: bytes, forward: bool) -> bytes:
        """FS: the record at a time or next to it in a direction, its time, how well it fits. Raises Can."""
        oldest, newest = max(self.oldest, start), self.entries() - 1
        if not self.interval or newest < oldest:
            return start.to_bytes(4, "big") + moment + bytes([EMPTY if self.interval else NO_STAMPS])
        steps, rest = divmod(_seconds(moment) - self.start_time(), self.interval)
        wanted = steps + 1 if rest and forward else steps
        found = min(max(wanted, oldest), newest)
        fit = END_OF_FILE if wanted > newest else EXACT if wanted == found and not rest else CLOSEST
        at = self.start_time() + found * self.interval
        return found.to_bytes(4, "big") + external("T", at) + bytes([fit])

    def read(self, start: int, count: int, offset: int, size: int) -> bytes:
        """FR: part of each of some records, as many as fit, with what is really given. Raises Can."""
        if size == 0 or offset + size > self.record_size:
            raise Can(CanCode.OUT_OF_RANGE)
        start = max(start, self.oldest)
        count = max(0, min(count, MOST_BYTES // size, self.entries() - start))
        head = start.to_bytes(4, "big") + b"".join(part.to_bytes(2, "big") for part in (count, offset, size))
        return head + b"".join(record[offset : offset + size] for record in self.written(start, count))


class LoadSurvey(SurveyObject):
    """Energies of the periods."""

    def __init__(self, unit: Unit, number: int) -> None:
        super().__init__(unit, number, "LS01", unit.period)

    def _channels(self) -> list[Channel]:
        factor = {"house": 1.0, "shop": 0.5}.get(self.unit.meter.load.kind, 0.1)
        units = {"import": "X", "export": "X", "va": "Z"}
        return [
            Channel(SOURCES[name], 4, "O", units.get(name, "Y"), f"{name} energy", factor)
            for name in self.unit.meter.options.channels
        ]

    def entries(self) -> int:
        return stored(self.unit)

    def written(self, first: int, count: int) -> list[bytes]:
        per_watt_hour = round(1 / self.channels[1].factor)
        return [
            struct.pack(">H", _status(record))
            + b"".join((energy * per_watt_hour // 1000).to_bytes(4, "big") for energy in record.milliwatt_hours)
            for record in records(self.unit, first, count)
        ]


class Readings(SurveyObject):
    """Phase A's volts at the end of each period."""

    def __init__(self, unit: Unit, number: int) -> None:
        super().__init__(unit, number, "LS02", unit.period)

    def _channels(self) -> list[Channel]:
        return [Channel(0xE000, 4, "F", "V", "Phase A Voltage")]

    def entries(self) -> int:
        return stored(self.unit)

    def written(self, first: int, count: int) -> list[bytes]:
        shown = volts(self.unit, 0)
        found = records(self.unit, first, count)
        return [struct.pack(">Hf", _status(record), shown if record.present else 0.0) for record in found]


class EventLog(SurveyObject):
    """What happened, with its time and a text."""

    def __init__(self, unit: Unit, number: int) -> None:
        super().__init__(unit, number, "Event Log", 0)

    def _channels(self) -> list[Channel]:
        return [Channel(0xF03D, 4, "T", "N", "Time"), Channel(0, _TEXT_WIDTH, "A", "N", "Event")]

    def entries(self) -> int:
        return len(self._events())

    def written(self, first: int, count: int) -> list[bytes]:
        return [
            b"\0\0" + at.to_bytes(4, "big") + text.encode("ascii").ljust(_TEXT_WIDTH, b"\0")
            for at, text in self._events()[first : first + count]
        ]

    def _events(self) -> list[tuple[int, str]]:
        unit = self.unit
        items = history(unit, unit.installed, unit.clock.now())
        return [(since_epoch(unit, item.at), _EVENT_TEXTS[item.what]) for item in items if isinstance(item, Event)]


def survey_objects(unit: Unit) -> list[SurveyObject]:
    return [LoadSurvey(unit, 0x0305), Readings(unit, 0x0325), EventLog(unit, 0x0345)]


def file_request(objects: dict[int, SurveyObject], operand: bytes) -> bytes:
    """The answer to `F` I, S or R. Raises Can."""
    kind, parameters = operand[:1], operand[5:]
    held = objects.get(int.from_bytes(operand[1:3], "big"))
    if held is None or operand[3:5] != _FILE.to_bytes(2, "big"):
        raise Can(CanCode.NO_REGISTER)
    numbers = int.from_bytes(parameters[:4], "big")
    if kind == b"I" and not parameters:
        return b"F" + operand + held.info()
    if kind == b"S" and len(parameters) == 11:
        return b"F" + operand[:5] + held.search(numbers, parameters[4:10], parameters[10] == FORWARD)
    if kind == b"R" and len(parameters) == 10:
        return b"F" + operand[:5] + held.read(numbers, *struct.unpack(">HHH", parameters[4:]))
    raise Can(CanCode.WRONG_LENGTH if kind in b"ISR" else CanCode.UNIMPLEMENTED)


def _described(place: int, channel: Channel, offset: int) -> dict[int, Register]:
    """What registers E000 to E8FF say of one channel."""
    facts: dict[int, tuple[str, Content]] = {
        0xE000: ("X", channel.source),
        0xE100: ("I", channel.width),
        0xE200: ("C", ord(channel.kind)),
        0xE300: ("C", ord(channel.unit)),
        0xE400: ("A", channel.name),
        0xE500: ("I", offset),
        0xE600: ("C", 0),
        0xE800: ("F", channel.factor),
    }
    return {base + place: Register(kind, "N", partial(_same, fact)) for base, (kind, fact) in facts.items()}


def _same(content: Content) -> Content:
    return content


def _status(record: SurveyRecord) -> int:
    missing = 0 if record.present else _MISSING
    return missing | _POWER_FAILED * record.power_failed | _INCOMPLETE * record.incomplete


def _seconds(moment: bytes) -> int:
    """Standard time of DD MM YY HH MM SS. Raises Can."""
    day, month, year, hour, minute, second = moment
    try:
        return int(datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError as fault:
        raise Can(CanCode.OUT_OF_RANGE) from fault
