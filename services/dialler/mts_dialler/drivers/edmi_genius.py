"""The load surveys and the event log of an EDMI Genius, all of them files of records (edmi.md, section 6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mts_common.messages import SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange
from mts_dialler.drivers.edmi_names import BASE_UNITS, kilo
from mts_dialler.drivers.edmi_session import CommandFailed, EdmiSession
from mts_dialler.drivers.edmi_survey import Stamp, SurveyRun, Timeline, columns, worth
from mts_dialler.protocols.edmi import genius_survey
from mts_dialler.protocols.edmi.genius_survey import AskFile, Field, FileInfo, Layout, ReadFile, Search, address
from mts_dialler.protocols.edmi.measures import Energy, genius_measure
from mts_dialler.protocols.edmi.values import UNITS, Value
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.wall_clock import standard_to_utc

MAX_EXTENSIONS = 64
MAX_EVENTS = 100  # the newest
_SURVEY_NAME = re.compile(r"LS *[0-9]+")
_EVENT_LOG = "event log"
_COMINGS_AND_GOINGS = re.compile(r"\blog(ged)?[ -]?(on|off|in|out)\b", re.IGNORECASE)
_IN_DOUBT = "time stamp in doubt"
_NOT_NUMBERS = "ABJNQRSTW"


@dataclass(frozen=True, slots=True)
class _Setup:
    """`extension` is the high half of its register numbers; `seconds` 0: records of events, not of periods."""

    extension: int
    channels: int
    seconds: int
    size: int


class Genius:
    def __init__(self, session: EdmiSession, zone: ZoneInfo, stamp: Stamp) -> None:
        self._session = session
        self._zone = zone
        self._stamp = stamp
        self._extensions: dict[int, str] | None = None

    async def find_survey(self) -> GeniusSurvey | None:
        """The survey with the half-hour energies; None if the meter keeps none at all. Raises `CommandFailed`."""
        found: list[tuple[tuple[bool, int], _Setup]] = []
        for extension, name in (await self._names()).items():
            if extension in genius_survey.SURVEYS or _SURVEY_NAME.match(name):
                setup = await self._setup(extension)
                if setup is not None and setup.seconds > 0:
                    found.append((worth(await self._measures(setup), setup.seconds // 60), setup))
        if not found:
            return None
        _, best = max(found, key=lambda each: each[0])
        records = _File(self._session, best.extension, await self._layout(best))
        return GeniusSurvey(self._session, self._zone, self._stamp, timedelta(seconds=best.seconds), records)

    async def read_events(self) -> tuple[list[tuple[datetime | None, str]], list[CommandFailed]]:
        """(wall time, words) of the newest entries of the event log."""
        told: list[tuple[datetime | None, str]] = []
        try:
            for extension, name in (await self._names()).items():
                setup = await self._setup(extension) if name.strip().casefold() == _EVENT_LOG else None
                if setup is not None:
                    told += await self._read_log(setup)
        except CommandFailed as failure:
            return told, [] if failure.absent else [failure]
        except RemoteProtocolError as error:
            return told, [CommandFailed(f"event log: {error}")]
        return told, []

    async def _read_log(self, setup: _Setup) -> list[tuple[datetime | None, str]]:
        log = _File(self._session, setup.extension, await self._layout(setup))
        info = await log.info()
        last = info.start + info.count
        told: list[tuple[datetime | None, str]] = []
        async for _, values, _ in log.records(max(info.start, last - MAX_EVENTS), last):
            wall = next((value for value in values if isinstance(value, datetime)), None)
            words = " ".join(value for value in values if isinstance(value, str) and value)
            if words and not _COMINGS_AND_GOINGS.search(words):
                told.append((wall, words))
        return told

    # --- what there is

    async def _names(self) -> dict[int, str]:
        """The names of the extensions. A meter without a table of them is taken to have the usual surveys."""
        if self._extensions is None:
            self._extensions = await self._read_names() or dict.fromkeys(genius_survey.SURVEYS, "")
        return self._extensions

    async def _read_names(self) -> dict[int, str]:
        try:
            count = await self._session.read(genius_survey.EXTENSIONS, "H")
        except CommandFailed:
            return {}
        places = range(min(int(count), MAX_EXTENSIONS)) if isinstance(count, Decimal) else range(0)
        ids = await self._session.read_many([(genius_survey.EXTENSION_IDS + at, "H") for at in places])
        names = await self._session.read_many([(genius_survey.EXTENSION_NAMES + at, "A") for at in places])
        return {
            int(number) | genius_survey.SURVEY_OBJECT: str(names.values.get(genius_survey.EXTENSION_NAMES + at, ""))
            for at in places
            if isinstance(number := ids.values.get(genius_survey.EXTENSION_IDS + at), Decimal)
        }

    async def _setup(self, extension: int) -> _Setup | None:
        """None for what is no survey, or not set up."""
        registers = [
            (address(extension, genius_survey.CHANNELS), "C"),
            (address(extension, genius_survey.INTERVAL), "L"),
            (address(extension, genius_survey.RECORD), "H"),
        ]
        found = await self._session.read_many(registers)
        if found.failures:
            raise found.failures[0]
        numbers = [int(value) for register, _ in registers if isinstance(value := found.values.get(register), Decimal)]
        if len(numbers) < len(registers) or not numbers[0] or not numbers[2]:
            return None
        return _Setup(extension, *numbers)

    async def _measures(self, setup: _Setup) -> list[Energy | None]:
        base = address(setup.extension, genius_survey.REGISTER)
        found = await self._session.read_many([(base + channel, "X") for channel in range(1, setup.channels + 1)])
        return [genius_measure(int(value)) for value in found.values.values() if isinstance(value, Decimal)]

    async def _layout(self, setup: _Setup) -> Layout:
        parts = {
            genius_survey.REGISTER: "X",
            genius_survey.OFFSET: "H",
            genius_survey.WIDTH: "H",
            genius_survey.TYPE: "C",
            genius_survey.UNIT: "C",
            genius_survey.NAME: "A",
            genius_survey.FACTOR: "F",
        }
        channels = range(1, setup.channels + 1)
        found = await self._session.read_many(
            [
                (address(setup.extension, part) + channel, letter)
                for channel in channels
                for part, letter in parts.items()
            ]
        )
        if found.failures:
            raise found.failures[0]
        return Layout(
            tuple(
                _field([found.values.get(address(setup.extension, part) + channel) for part in parts], channel)
                for channel in channels
            ),
            setup.size,
        )


def _field(values: list[Value], channel: int) -> Field:
    """From register, offset, width, type, unit, name and factor, of which a channel of events may lack the last."""
    register, offset, width, letter, unit, name, factor = values
    if not (isinstance(offset, Decimal) and isinstance(width, Decimal) and isinstance(letter, Decimal)):
        raise CommandFailed(f"survey: channel {channel} is not described")
    return Field(
        register=int(register) if isinstance(register, Decimal) else 0,
        offset=int(offset),
        width=int(width),
        type=chr(int(letter)),
        unit=chr(int(unit)) if isinstance(unit, Decimal) else "",
        name=str(name or f"Channel {channel}"),
        factor=factor if isinstance(factor, Decimal) else Decimal(1),
    )


class _File:
    """The records of a survey or a log."""

    def __init__(self, session: EdmiSession, extension: int, layout: Layout) -> None:
        self.layout = layout
        self._session = session
        self._file = address(extension, genius_survey.FILE)

    @property
    def extension(self) -> int:
        return self._file >> 16

    async def info(self) -> FileInfo:
        """Raises `CommandFailed` if its records are not those of the layout."""
        info = await self._session.ask(AskFile(self._file), f"what file {self._file:08X} holds")
        self._session.line.note(f"{info.count} records of {info.size} bytes from {info.start}")
        if info.count and info.size != self.layout.size:
            raise CommandFailed(f"survey: records of {info.size} bytes, described as {self.layout.size}")
        return info

    async def told_time(self, record: int, wall: datetime) -> tuple[int, datetime] | None:
        """Which record the meter says has the time `wall`, and that record's time; None if it does not say."""
        try:
            place = await self._session.ask(Search(self._file, record, wall), f"record of {wall}")
        except CommandFailed:
            return None
        self._session.line.note(f"record {place.record} at {place.wall}")
        return None if place.wall is None else (place.record, place.wall)

    async def records(self, record: int, last: int) -> AsyncIterator[tuple[int, tuple[Value, ...], int]]:
        """Number, values and status of each record from `record` that is there, without `last`."""
        self.layout.check()
        status_at = self.layout.status_at()
        while record < last:
            count = min(self.layout.most_records, last - record)
            command = ReadFile(self._file, record, count, self.layout.size)
            found = await self._session.ask(command, f"file {self._file:08X} from record {record}")
            self._session.line.note(f"{found.count} records from {found.start}")
            if not found.count:
                raise CommandFailed(f"survey: the meter gave no records from {record}")
            for number, data in enumerate(genius_survey.split(found, self.layout.size), start=found.start):
                if number < last:
                    status = genius_survey.status_word(data, status_at)
                    yield number, genius_survey.parse_record(self.layout, data), status
            record = found.start + found.count


class GeniusSurvey:
    """One of the meter's load surveys."""

    def __init__(self, session: EdmiSession, zone: ZoneInfo, stamp: Stamp, interval: timedelta, records: _File) -> None:
        self._session = session
        self._zone = zone
        self._stamp = stamp
        self._interval = interval
        self._records = records
        fields = records.layout.fields
        self._used = [at for at, field in enumerate(fields) if field.type not in _NOT_NUMBERS]
        self._columns = columns(_column(fields[at]) for at in self._used)

    @property
    def minutes(self) -> int:
        return self._interval // timedelta(minutes=1)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._columns]

    async def read(self, wanted: SurveyRange, report: ReportBuilder) -> None:
        run = SurveyRun(wanted, self._columns)
        await run.carry_out(lambda: self._read(run), report)

    async def _read(self, run: SurveyRun) -> None:
        info = await self._records.info()
        origin = await self._session.read(address(self._records.extension, genius_survey.START_TIME), "T")
        if not isinstance(origin, datetime):
            raise CommandFailed("survey: the meter gives no start time")
        timeline = Timeline(standard_to_utc(origin, self._zone), self._interval, self._stamp)
        record, last = timeline.records(run.wanted, info.start, info.start + info.count)
        if record >= last:
            return
        doubt = await self._doubt(record, origin)
        async for number, values, status in self._records.records(record, last):
            if not genius_survey.missing(status):
                self._take(run, timeline.start(number), values, (*genius_survey.status_words(status), *doubt))
            run.reach(timeline.start(number + 1))

    async def _doubt(self, record: int, origin: datetime) -> tuple[str, ...]:
        """What to say of the readings if the meter finds another time for a record than its number tells."""
        told = await self._records.told_time(record, origin + record * self._interval)
        if told is None or divmod(told[1] - origin, self._interval) == (told[0], timedelta()):
            return ()
        return (_IN_DOUBT,)

    def _take(self, run: SurveyRun, start: datetime, values: tuple[Value, ...], status: tuple[str, ...]) -> None:
        for at, (name, _) in zip(self._used, self._columns, strict=True):
            value = values[at]
            if isinstance(value, Decimal):
                unit = UNITS.get(self._records.layout.fields[at].unit, "")
                run.add(name, SurveyReading(start, kilo(value, unit)[0], status))


def _column(field: Field) -> Energy | tuple[str, str]:
    """An energy, if the channel follows one and is in its unit; else the meter's own name."""
    measure, unit = genius_measure(field.register), UNITS.get(field.unit, "")
    if measure is not None and BASE_UNITS[measure.quantity] == unit:
        return measure
    return field.name, kilo(Decimal(0), unit)[1]
