"""The load surveys and the event logs of an EDMI Atlas (edmi.md, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mts_common.messages import SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange
from mts_dialler.drivers.edmi_names import BASE_UNITS, kilo
from mts_dialler.drivers.edmi_session import CommandFailed, EdmiSession
from mts_dialler.drivers.edmi_survey import Stamp, SurveyRun, Timeline, columns, worth
from mts_dialler.protocols.edmi import atlas_survey, events
from mts_dialler.protocols.edmi.atlas_survey import Layout
from mts_dialler.protocols.edmi.commands import ReadRecords
from mts_dialler.protocols.edmi.events import LogEntry, describe, parse_log
from mts_dialler.protocols.edmi.measures import Channel, Energy, Sample, Scale, parse_channel
from mts_dialler.protocols.edmi.refusals import NOT_FOUND
from mts_dialler.protocols.edmi.values import Value
from mts_dialler.protocols.wall_clock import standard_to_utc

PASSES = 3  # over a survey whose numbering moved while it was read
MAX_EVENTS = 100  # of each log, the newest


class Atlas:
    def __init__(self, session: EdmiSession, zone: ZoneInfo, stamp: Stamp) -> None:
        self._session = session
        self._zone = zone
        self._stamp = stamp

    # --- surveys

    async def find_survey(self) -> AtlasSurvey | None:
        """The survey with the half-hour energies; None if the meter keeps none at all. Raises `CommandFailed`."""
        numbers = range(atlas_survey.SURVEYS)
        found = await self._session.read_many([(atlas_survey.LAYOUT + number, "H") for number in numbers])
        surveys: list[AtlasSurvey] = []
        for number in numbers:
            word = found.values.get(atlas_survey.LAYOUT + number)
            layout = Layout.parse(int(word)) if isinstance(word, Decimal) else None
            if layout is not None:
                channels = await self._channels(number, layout.channels)
                surveys.append(AtlasSurvey(self._session, self._zone, self._stamp, number, layout, channels))
        if not surveys and found.failures:
            raise found.failures[0]
        return max(surveys, key=lambda survey: survey.worth, default=None)

    async def _channels(self, survey: int, count: int) -> list[Channel | None]:
        base = atlas_survey.CHANNELS[survey]
        found = await self._session.read_many([(base + channel, "H") for channel in range(count)])
        words = [word for word in found.values.values() if isinstance(word, Decimal)]
        if len(words) < count:
            raise found.failures[0] if found.failures else CommandFailed("survey: a channel is not described")
        return [parse_channel(int(word)) for word in words]

    # --- events

    async def read_events(self) -> tuple[list[tuple[datetime | None, str]], list[CommandFailed]]:
        """(wall time, words) of the newest entries of all logs, and why a log could not be read."""
        told: list[tuple[datetime | None, str]] = []
        failures: list[CommandFailed] = []
        for log in events.LOGS:
            try:
                entries = await self._read_log(log)
            except CommandFailed as failure:
                if not failure.absent:
                    failures.append(failure)
                continue
            told += [(entry.wall, words) for entry in entries if (words := describe(entry.code)) is not None]
        return told, failures

    async def _read_log(self, log: int) -> list[LogEntry]:
        found = await self._session.read_many([(events.FIRST + log, "L"), (events.LAST + log, "L")])
        first, end = found.values.get(events.FIRST + log), found.values.get(events.LAST + log)
        if not isinstance(first, Decimal) or not isinstance(end, Decimal):
            raise found.failures[0] if found.failures else CommandFailed("event log: none kept", NOT_FOUND)
        start, last = max(int(first), int(end) - MAX_EVENTS, 0), int(end)
        entries: list[LogEntry] = []
        while start < last:
            command = ReadRecords(events.FILE + log, start, last - start, events.RECORD)
            records = await self._session.ask(command, f"{events.LOGS[log]} log from {start}")
            self._session.line.note(f"{records.count} events from {records.start}")
            if not records.count:
                break
            entries += parse_log(records.data)
            start = records.start + records.count
        return entries


class AtlasSurvey:
    """One of the meter's load surveys. A channel that is not in use is None."""

    def __init__(
        self,
        session: EdmiSession,
        zone: ZoneInfo,
        stamp: Stamp,
        number: int,
        layout: Layout,
        channels: Sequence[Channel | None],
    ) -> None:
        self._session = session
        self._zone = zone
        self._stamp = stamp
        self._number = number
        self._layout = layout
        self._channels = channels
        used = [(at, channel) for at, channel in enumerate(channels) if channel is not None]
        named = columns(_column(channel) for _, channel in used)
        self._used = [(at, channel, name) for (at, channel), (name, _) in zip(used, named, strict=True)]
        self._columns = named
        self._scales: dict[Scale, Decimal] = {}

    @property
    def minutes(self) -> int:
        return self._layout.minutes

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._columns]

    @property
    def worth(self) -> tuple[bool, int]:
        return worth((channel.measure for _, channel, _ in self._used), self.minutes)

    async def read(self, wanted: SurveyRange, report: ReportBuilder) -> None:
        run = SurveyRun(wanted, self._columns)
        await run.carry_out(lambda: self._read_until_still(run), report)

    async def _read_until_still(self, run: SurveyRun) -> None:
        """Old meters renumber their records when a period ends: then what was read belongs to other times."""
        await self._read_scales()
        for _ in range(PASSES):
            run.restart()
            oldest = await self._integer(atlas_survey.FIRST)
            await self._read_once(run, oldest)
            if await self._integer(atlas_survey.FIRST) == oldest:
                return
        run.gaps.add(run.wanted.start, run.wanted.end, "the survey moved on each time it was read")

    async def _read_once(self, run: SurveyRun, oldest: int) -> None:
        end = await self._integer(atlas_survey.LAST)
        origin = await self._own(atlas_survey.START_TIME, "T")
        if not isinstance(origin, datetime):
            raise CommandFailed("survey: the meter gives no start time")
        timeline = Timeline(standard_to_utc(origin, self._zone), timedelta(minutes=self.minutes), self._stamp)
        record, last = timeline.records(run.wanted, oldest, end)
        while record < last:
            record = await self._read_block(run, timeline, record, last)
            run.reach(timeline.start(record))

    async def _read_block(self, run: SurveyRun, timeline: Timeline, record: int, last: int) -> int:
        """Reads from `record`; the number of the record that comes next."""
        count = min(self._layout.most_records, last - record)
        command = ReadRecords(self._number, record, count, self._layout.record)
        records = await self._session.ask(command, f"survey from record {record}")
        self._session.line.note(f"{records.count} records from {records.start}")
        if not records.count:
            raise CommandFailed(f"survey: the meter gave no records from {record}")
        rows = atlas_survey.parse_records(records.data, self._channels)
        for number, (values, status) in enumerate(rows, start=records.start):
            if number < last and atlas_survey.present(status):
                self._take(run, timeline.start(number), values, atlas_survey.status_words(status))
        return min(records.start + records.count, last)

    def _take(self, run: SurveyRun, start: datetime, values: Sequence[int], status: tuple[str, ...]) -> None:
        for at, channel, name in self._used:
            value = atlas_survey.amount(channel, values[at], self._scales)
            run.add(name, SurveyReading(start, kilo(value, _base_units(channel))[0], status))

    async def _read_scales(self) -> None:
        measures = [channel.measure for _, channel, _ in self._used]
        wanted = {measure.scale for measure in measures if isinstance(measure, Sample)}
        for scale, register in atlas_survey.SCALES.items():
            if scale in wanted:
                value = await self._session.read(register, "F")
                if not isinstance(value, Decimal):
                    raise CommandFailed(f"survey: the meter gives no scale for {scale}")
                self._scales[scale] = value

    async def _integer(self, register: int) -> int:
        value = await self._own(register, "L")
        if not isinstance(value, Decimal):
            raise CommandFailed(f"survey: register {register:04X} is no number")
        return int(value)

    async def _own(self, register: int, letter: str) -> Value:
        """A register that each survey has one of."""
        return await self._session.read(register + self._number, letter)


def _base_units(channel: Channel) -> str:
    measure = channel.measure
    return BASE_UNITS[measure.quantity] if isinstance(measure, Energy) else measure.units


def _column(channel: Channel) -> Energy | tuple[str, str]:
    if isinstance(channel.measure, Energy):
        return channel.measure
    return channel.measure.name, kilo(Decimal(0), channel.measure.units)[1]
