"""Load profile and event log of a DLMS/COSEM meter: class 7 (fact sheet dlms-cosem, section 4)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mts_metersim import axdr
from mts_metersim.axdr import Value
from mts_metersim.clock import is_summer
from mts_metersim.dlms_objects import CLOCK, PROFILE, AccessRefused, CosemObject, Refusal, Selection, obis
from mts_metersim.dlms_time import date_time, instant_of
from mts_metersim.history import Event, Happening, Record, history
from mts_metersim.unit import Unit

POWER_DOWN, CLOCK_SET, SUMMER = 0x80, 0x20, 0x08
CLOCK_NAME = obis("0.0.1.0.0")
_EVENT_CODES = {Happening.POWER_DOWN: 1, Happening.POWER_UP: 2, Happening.SEASON: 3, Happening.CLOCK_SET: 5}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its stamp, the end of what it holds, the status (survey), demands in mW over the whole period (survey)
    or the event's code (event log)."""

    at: int
    end: int
    status: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One capture object and what a row holds of it."""

    class_id: int
    name: bytes
    attribute: int
    cell: Callable[[Row], bytes]

    @property
    def definition(self) -> list[Value]:
        return [self.class_id, self.name, self.attribute, 0]

    @property
    def encoded(self) -> bytes:
        return axdr.structure(
            axdr.unsigned(self.class_id, 2),
            axdr.octets(self.name),
            axdr.signed(self.attribute, 1),
            axdr.unsigned(0, 2),
        )


class Buffer:
    """Attribute 2 of a profile: the rows asked for, in the meter's order, compressed as it does.

    `rows(first, last)` gives the rows stamped in [first, last], oldest first; `period` 0 = rows come as they happen.
    """

    def __init__(
        self, unit: Unit, columns: Sequence[Column], rows: Callable[[int, int], list[Row]], period: int, nulls: str
    ) -> None:
        self._unit = unit
        self._columns = list(columns)
        self._rows = rows
        self._period = period
        self._nulls = nulls
        self._options = unit.meter.options.dlms
        self._all: tuple[int, list[Row]] = (-1, [])

    def __call__(self, selection: Selection | None) -> bytes:
        """Raises AccessRefused."""
        if selection is None or self._options.selection == "ignored":
            return self._written(self._whole(), self._columns)
        if self._options.selection == "refused":
            raise AccessRefused(Refusal.DENIED)
        readers = {1: self._range, 2: self._entries}
        if selection.selector not in readers or not isinstance(selection.parameters, list):
            raise AccessRefused(Refusal.SCOPE)
        try:
            rows, columns = readers[selection.selector](*selection.parameters)
        except (TypeError, ValueError) as fault:
            raise AccessRefused(Refusal.OTHER) from fault
        return self._written(rows, columns)

    def entries(self) -> int:
        """Attribute 7: how many rows there are."""
        return len(self._whole())

    def _whole(self) -> list[Row]:
        """Every row, oldest first; found once in a period."""
        now = self._unit.clock.now()
        if self._all[0] != now // self._unit.period:
            self._all = (now // self._unit.period, self._rows(self._unit.installed, now))
        return self._all[1]

    def _range(self, restricting: Value, begin: Value, end: Value, wanted: Value) -> tuple[list[Row], list[Column]]:
        """Both ends included. Raises TypeError or ValueError."""
        if restricting != [CLOCK, CLOCK_NAME, 2, 0]:
            raise ValueError("rows are told apart by the clock alone")
        first, last = instant_of(self._unit, begin), instant_of(self._unit, end)
        first, last = max(first, self._unit.installed), min(last, self._unit.clock.now())
        return self._rows(first, last), self._chosen(wanted)

    def _chosen(self, wanted: Value) -> list[Column]:
        """An empty list of columns means all, where the meter takes one."""
        manner = self._options.column_list
        if not isinstance(wanted, list) or (manner == "refused" and wanted) or (manner == "required" and not wanted):
            raise ValueError("the list of columns is not as this meter wants it")
        found = [column for column in self._columns if column.definition in wanted]
        if len(found) != len(wanted):
            raise ValueError("an unknown column")
        return found or self._columns

    def _entries(self, first: Value, last: Value, left: Value, right: Value) -> tuple[list[Row], list[Column]]:
        """Entry 1 is the first in the meter's own order; 0 as an end means the last. Raises TypeError, ValueError."""
        numbers = (first, last, left, right)
        if not all(isinstance(number, int) for number in numbers) or 0 in (first, left):
            raise ValueError("an entry that cannot be")
        rows = self._whole()[::-1] if self._options.lifo else self._whole()
        begin, end, from_column, to_column = (int(n) for n in numbers if isinstance(n, int))
        rows = rows[begin - 1 : end or None]
        return (rows[::-1] if self._options.lifo else rows), self._columns[from_column - 1 : to_column or None]

    def _written(self, rows: list[Row], columns: list[Column]) -> bytes:
        ordered = rows[::-1] if self._options.lifo else rows
        return axdr.array(self._compressed(ordered, columns))

    def _compressed(self, rows: list[Row], columns: list[Column]) -> Iterator[bytes]:
        """Null-data stands for a clock one period on, or, where all is compressed, for the same value again."""
        step = -self._period if self._options.lifo else self._period
        previous: Row | None = None
        shown: list[bytes] = []
        for row in rows:
            cells = [column.cell(row) for column in columns]
            regular = previous is not None and step != 0 and row.at == previous.at + step
            written = [
                axdr.NULL if self._is_null(column, cell, old, regular) else cell
                for column, cell, old in zip(columns, cells, shown or [b""] * len(cells), strict=True)
            ]
            yield axdr.structure(*written)
            previous, shown = row, cells

    def _is_null(self, column: Column, cell: bytes, old: bytes, regular: bool) -> bool:
        if column.class_id == CLOCK:
            return regular and self._nulls != "none"
        return self._nulls == "all" and cell == old


def profile(name: str, buffer: Buffer, columns: Sequence[Column], period: int, lifo: bool) -> CosemObject:
    """The class 7 object round a buffer."""
    capacity = 13205
    return CosemObject(
        PROFILE,
        obis(name),
        {
            3: lambda: axdr.array(column.encoded for column in columns),
            4: lambda: axdr.unsigned(period, 4),
            5: lambda: axdr.enumerated(2 if lifo else 1),
            6: lambda: columns[0].encoded,
            7: lambda: axdr.unsigned(buffer.entries(), 4),
            8: lambda: axdr.unsigned(capacity, 4),
        },
        version=1,
        buffer=buffer,
    )


def clock_column(unit: Unit) -> Column:
    return Column(CLOCK, CLOCK_NAME, 2, lambda row: axdr.octets(date_time(unit, row.at)))


def survey_rows(unit: Unit, first: int, last: int) -> list[Row]:
    """The rows stamped in [first, last]: one per recorded period, or where `irregular_rows` one per part of it."""
    reach = unit.period * 2
    rows = _survey(unit, first - reach, min(last + reach, unit.clock.now()))
    return [row for row in rows if first <= row.at <= last]


def _survey(unit: Unit, first: int, last: int) -> Iterator[Row]:
    items = list(history(unit, first, last))
    status = 0
    parts: list[tuple[Record, int]] = []
    for index, item in enumerate(items):
        if isinstance(item, Event):
            status |= {Happening.POWER_UP: POWER_DOWN, Happening.CLOCK_SET: CLOCK_SET}.get(item.what, 0)
            continue
        following = items[index + 1] if index + 1 < len(items) else None
        cut = isinstance(following, Event) and following.what is Happening.POWER_DOWN and bool(item.end % unit.period)
        parts.append((item, status | (POWER_DOWN if cut else 0)))
        status = 0
        more = any(isinstance(other, Record) and other.start == item.start for other in items[index + 1 : index + 6])
        if not more:
            yield from _rows_of(unit, parts)
            parts = []


def _rows_of(unit: Unit, parts: list[tuple[Record, int]]) -> Iterator[Row]:
    """The parts of one period as rows; the last is stamped on the period's own stamp."""
    start = parts[0][0].start
    starts = unit.meter.options.dlms.start_stamps
    summer = SUMMER if is_summer(unit.zone, start) else 0
    end = start + unit.period
    if not unit.meter.options.dlms.irregular_rows:
        status = 0
        for _, flags in parts:
            status |= flags
        sums = tuple(map(sum, zip(*(record.milliwatts for record, _ in parts), strict=True)))
        yield Row(start if starts else end, end, status | summer, sums)
        return
    for index, (record, flags) in enumerate(parts):
        row_end = record.end if index + 1 < len(parts) else end
        yield Row(record.begin if starts else row_end, row_end, flags | summer, record.milliwatts)


def event_rows(unit: Unit, first: int, last: int) -> list[Row]:
    """The events in [first, last]."""
    items = history(unit, first - unit.period, last + unit.period)
    events = [item for item in items if isinstance(item, Event) and first <= item.at <= last]
    return [Row(event.at, event.at, 0, (_EVENT_CODES[event.what],)) for event in events]
