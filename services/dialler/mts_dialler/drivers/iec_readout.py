"""From the data sets of a readout to the parts of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mts_common.messages import MeterClock, NameValue, RegisterCategory, RegisterReading
from mts_dialler.drivers.meter_clock import meter_clock
from mts_dialler.drivers.obis import Definition, Form, define
from mts_dialler.drivers.survey import shown
from mts_dialler.protocols.iec62056_21.data_sets import Code, DataSet, Value, parse_code
from mts_dialler.protocols.iec62056_21.messages import Identification
from mts_dialler.protocols.iec62056_21.stamps import Stamp, parse_clock, parse_date_time, parse_stamp
from mts_dialler.protocols.wall_clock import nearest

_SERIAL_NUMBERS = ("C.1.0", "96.1.0", "0.0.0", "0.0.1", "0.0")
_CLOCK = {"0.9.1", "0.9.2", "1.0.0"}
_PREFIXES = "kMG"


class Readout:
    """The data sets of one list."""

    def __init__(self, sets: Sequence[DataSet]) -> None:
        self._sets = [(data_set, parse_code(data_set.code)) for data_set in sets]

    def text(self, short: str) -> str:
        """The first current value of a code `c.d.e`, "" if there is none."""
        return next((values[0].text.strip() for values in self._current(short) if values[0].text.strip()), "")

    def serial_number(self) -> str | None:
        """The first there is of the codes that makers use for it."""
        return next(filter(None, map(self.text, _SERIAL_NUMBERS)), None)

    def clock(self, zone: ZoneInfo, arrived: datetime, delay: timedelta) -> MeterClock | None:
        """The meter's clock, which arrived at `arrived` (UTC) over a line of that delay."""
        stamp = parse_clock(self.text("0.9.1"), self.text("0.9.2")) or parse_date_time(self.text("1.0.0"))
        if stamp is None:
            return None
        time = nearest(stamp.wall, zone, arrived) if stamp.season is None else stamp.to_utc(zone)
        return meter_clock(time, arrived, delay)

    def properties(self, identification: Identification) -> Iterator[NameValue]:
        yield NameValue(name="Identification", value=str(identification))
        for short, name in (("0.2.0", "Firmware"), ("0.2.1", "Parameter set"), ("0.2.2", "Tariff program")):
            if text := self.text(short):
                yield NameValue(name=name, value=text)
        if ratios := self._ratios():
            yield NameValue(name="CT\\VT ratios", value=ratios)

    def error_events(self, bits: Mapping[int, str]) -> Iterator[str]:
        """The error register F.F, if it is not zero: its bits in words where the maker's are known."""
        for text in {values[0].text.strip() for values in self._current("F.F")}:
            if not text.strip("0"):
                continue
            words = _bit_words(text, bits)
            yield f"Error register {text}" + (f": {', '.join(words)}" if words else "")

    def registers(self, zone: ZoneInfo, read_at: datetime) -> Iterator[RegisterReading]:
        """Every data set that holds a value, in order; a name that comes again is numbered."""
        seen: Counter[str] = Counter()
        for data_set, code in self._sets:
            if not data_set.code or (code is not None and code.short in _CLOCK):
                continue
            for register in _register(data_set, code, zone, read_at):
                seen[register.name] += 1
                count = seen[register.name]
                yield register if count == 1 else register.model_copy(update={"name": f"{register.name} ({count})"})

    def _current(self, short: str) -> Iterator[tuple[Value, ...]]:
        for data_set, code in self._sets:
            if code is not None and code.short == short and code.reset is None:
                yield data_set.values

    def _ratios(self) -> str:
        """Primary to secondary, from 0.4.2 and 0.4.5 (current), 0.4.3 and 0.4.6 (voltage); a ratio alone is to one."""
        current, voltage = self.text("0.4.2"), self.text("0.4.3")
        if not current and not voltage:
            return ""
        return f"CT: {_ratio(current, self.text('0.4.5'))} VT: {_ratio(voltage, self.text('0.4.6'))}"


def _ratio(primary: str, secondary: str) -> str:
    numbers = [Value(text or "1").number for text in (primary, secondary)]
    return ":".join("?" if number is None else plain(number) for number in numbers)


def plain(number: Decimal) -> str:
    """Without the zeros that a meter fills its fields with."""
    return f"{number.normalize():f}"


def _bit_words(text: str, bits: Mapping[int, str]) -> list[str]:
    try:
        register = int(text, 16)
    except ValueError:
        return []
    return [word for bit, word in bits.items() if register >> bit & 1]


def _register(data_set: DataSet, code: Code | None, zone: ZoneInfo, read_at: datetime) -> Iterator[RegisterReading]:
    """The value, and when it was reached if the meter says so in a second pair of parentheses."""
    value = data_set.values[0]
    if not value.text.strip():
        return
    definition = define(code) if code is not None else None
    if definition is None or not _fits(definition, value):
        form = Form.NUMBER if value.unit else Form.TEXT
        definition = Definition(data_set.code, RegisterCategory.MISCELLANEOUS, form)
    yield _reading(definition, value, read_at)
    if stamp := _reached(data_set.values):
        reached = shown(stamp.to_utc(zone))
        yield RegisterReading(
            category=definition.category, name=f"{definition.name} Time", text=reached, read_at=read_at
        )


def _fits(definition: Definition, value: Value) -> bool:
    """May a register of that name hold such a value?"""
    if definition.form is Form.TEXT:
        return True
    if value.number is None:
        return False
    if not value.unit:
        return definition.form is Form.NUMBER
    return not definition.units or value.unit.lstrip(_PREFIXES) in definition.units


def _reading(definition: Definition, value: Value, read_at: datetime) -> RegisterReading:
    number = None if definition.form is Form.TEXT else value.number
    return RegisterReading(
        category=definition.category,
        name=definition.name,
        number=number,
        text=value.text.strip() if number is None else None,
        units=value.unit,
        read_at=read_at,
    )


def _reached(values: Sequence[Value]) -> Stamp | None:
    """The second value, if it is a time: all zeros say that the maximum has not been reached yet."""
    return parse_stamp(values[1].text) if len(values) > 1 else None
