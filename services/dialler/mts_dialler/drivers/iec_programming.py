"""What an IEC 62056-21 meter gives in programming mode: its event log P.98, and the load profile P.01 as survey."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from mts_common.messages import FailureKind, Section
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.exchange import Exchange
from mts_dialler.drivers.iec_survey import SurveyReader, columns
from mts_dialler.drivers.iec_types import NOTHING_STORED, VDEW_EVENTS, MeterProfile
from mts_dialler.drivers.survey import Gaps, SurveyCollector, shown
from mts_dialler.errors import DiallerError, FrameGarbled, MeterRefused, MeterSilent
from mts_dialler.protocols.iec62056_21.data_sets import is_bare, refusal
from mts_dialler.protocols.iec62056_21.error_texts import explain
from mts_dialler.protocols.iec62056_21.event_log import LogEntry, parse_event_log
from mts_dialler.protocols.iec62056_21.messages import Command, Password
from mts_dialler.protocols.iec62056_21.profile import Profile, parse_profile
from mts_dialler.protocols.iec62056_21.stamps import format_stamp

MAX_EVENTS = 100  # of the log, the newest
HEADER_RANGE = timedelta(hours=2)  # enough for one row of any period in use
CHUNKS_LOST = 2  # in a row, after which the rest of a survey is not asked for


class ProgrammingMode:
    """One programming mode session of one test."""

    def __init__(self, exchange: Exchange, profile: MeterProfile, terms: Terms, report: ReportBuilder) -> None:
        self._exchange = exchange
        self._profile = profile
        self._terms = terms
        self._report = report
        self._maker = ""
        self._rows_per_block = list(profile.rows_per_block)

    async def read(self) -> None:
        """Enters, gives the password if there is one, and reads what the meter type has."""
        try:
            identification, _ = await self._exchange.enter_programming(self._terms.outstation_address)
        except MeterRefused as error:
            self._fail_all(error)
            return
        self._maker = identification.maker
        if self._terms.password:
            self._exchange.line.hide(self._terms.password.encode("ascii", "replace"))
            await self._exchange.give_password(Password("P1", self._terms.password))
        if self._terms.survey is not None:
            await self._read_survey(self._terms.survey)
        if not self._report.profile_configuration:
            await self._read_configuration()
        if self._profile.event_log:
            await self._read_event_log()

    def _fail_all(self, error: DiallerError) -> None:
        if self._profile.event_log:
            self._no_log(str(error), error.failure)
        self._report.failed(Section.PROFILE_CONFIGURATION, str(error), error.failure)
        if self._terms.survey is not None:
            self._report.failed(Section.SURVEY, str(error), error.failure)

    def _no_log(self, why: str, failure: FailureKind) -> None:
        """The readout, if it was read, has told of errors; the log is the rest of the events."""
        verdict = self._report.partial if self._report.registers else self._report.failed
        verdict(Section.STATUS_EVENTS, why, failure)

    def _has_nothing(self, error: str, *, bare: bool) -> bool:
        """Does `error` say that nothing is stored? Bare, and where no password was given, it may as well refuse."""
        return error in NOTHING_STORED and (bool(self._terms.password) or not bare)

    def _meter_now(self) -> datetime:
        """The time on the meter's clock, by which its log and its profile are stamped."""
        offset = self._report.clock.offset_seconds if self._report.clock else 0
        return self._exchange.line.now() + timedelta(seconds=offset)

    def _named(self, moment: datetime) -> str:
        return format_stamp(moment, self._terms.zone, seconds=self._profile.names_seconds)

    # --- the log

    async def _read_event_log(self) -> None:
        """Comes last: a meter that knows no log may simply not answer."""
        start = self._named(self._meter_now() - self._profile.event_log_age)
        try:
            text, whole = await self._exchange.ask_text(Command("R5", f"P.98({start};)"))
        except (MeterRefused, MeterSilent, FrameGarbled) as error:
            self._no_log(f"event log: {error}", error.failure)
            return
        entries = sorted(parse_event_log(text), key=self._when)[-MAX_EVENTS:]
        self._report.status_events += [self._told(entry) for entry in entries]
        refused = refusal(text)
        if refused and not self._has_nothing(refused, bare=is_bare(text)):
            self._no_log(f"event log: {explain(self._maker, refused)}", FailureKind.METER_REFUSED)
        elif not whole:
            self._report.partial(Section.STATUS_EVENTS, "the event log broke off", FailureKind.GARBLED)
        else:
            self._report.read(Section.STATUS_EVENTS)

    def _when(self, entry: LogEntry) -> datetime:
        return entry.stamp.to_utc(self._terms.zone)

    def _told(self, entry: LogEntry) -> str:
        """An event in words, at the time that the meter's clock showed before it."""
        words = [word for bit, word in VDEW_EVENTS.items() if entry.status & bit and word]
        if not words:
            values = ", ".join(f"{code} {value}" for code, value in entry.values)
            words = [f"Event {values}" if values else f"Status {entry.status:02X}"]
        return f"{', '.join(words)} at {shown(self._when(entry))}"

    # --- the load profile

    async def _ask_profile(self, start: datetime, end: datetime) -> Profile:
        """P.01. As long as no block of the first size has come, an error of any kind may be about the size."""
        while len(self._rows_per_block) > 1:
            try:
                profile = await self._ask_blocks(start, end)
            except MeterRefused:
                if not self._exchange.signed_on:
                    raise
            else:
                if not profile.error:
                    del self._rows_per_block[1:]
                    return profile
            del self._rows_per_block[0]
        return await self._ask_blocks(start, end)

    async def _ask_blocks(self, start: datetime, end: datetime) -> Profile:
        """The meter compares both times with the ends of periods."""
        rows = f";{self._rows_per_block[0]}" if self._rows_per_block else ""
        data = f"P.01({self._named(start)};{self._named(end)}{rows})"
        text, whole = await self._exchange.ask_text(Command(self._profile.profile_command or "R5", data))
        return parse_profile(text, ended=whole)

    async def _read_configuration(self) -> None:
        """The header over the newest rows names the channels; a profile without rows names none."""
        try:
            profile = await self._ask_profile(self._meter_now() - HEADER_RANGE, self._meter_now())
        except (MeterRefused, FrameGarbled) as error:
            self._report.failed(Section.PROFILE_CONFIGURATION, str(error), error.failure)
            return
        if profile.error and not self._has_nothing(profile.error, bare=profile.bare):
            self._report.failed(Section.PROFILE_CONFIGURATION, explain(self._maker, profile.error))
            return
        for block in profile.blocks[-1:]:
            self._report.profile_configuration += [column.name for column in columns(block.channels)]
        self._report.read(Section.PROFILE_CONFIGURATION)

    async def _read_survey(self, wanted: SurveyRange) -> None:
        """A day at a time, so that what noise can cost is a day."""
        collector = SurveyCollector(wanted)
        reader = SurveyReader(collector, self._terms.zone, self._profile.season_status)
        gaps = Gaps()
        reached, lost = wanted.start, 0
        try:
            for start, end in _chunks(wanted, self._profile.survey_chunk):
                reached = start
                lost = 0 if await self._read_chunk(reader, gaps, start, end) else lost + 1
                if lost == CHUNKS_LOST:
                    gaps.add(end, wanted.end)
                    break
        except DiallerError as error:
            gaps.add(reached, wanted.end, str(error), error.failure)
            raise
        finally:
            collector.give(self._report)
            self._report.profile_configuration += reader.names
            if reader.names:
                self._report.read(Section.PROFILE_CONFIGURATION)
            gaps.judge(self._report, nothing=collector.empty)

    async def _read_chunk(self, reader: SurveyReader, gaps: Gaps, start: datetime, end: datetime) -> bool:
        """Has the meter given all it has of [start, end)?"""
        try:
            profile = await self._ask_profile(start, end)
        except (MeterRefused, FrameGarbled) as error:
            if not self._exchange.signed_on:
                raise
            gaps.add(start, end, str(error), error.failure)
            return False
        if profile.error:
            if self._has_nothing(profile.error, bare=profile.bare):
                return True
            gaps.add(start, end, explain(self._maker, profile.error), FailureKind.METER_REFUSED)
            return False
        reader.place(profile, start)
        if not profile.complete:
            gaps.add(
                reader.last_end if reader.last_end < end else start, end, "the answer broke off", FailureKind.GARBLED
            )
        return profile.complete


def _chunks(wanted: SurveyRange, size: timedelta) -> Iterator[tuple[datetime, datetime]]:
    start = wanted.start
    while start < wanted.end:
        end = min(start + size, wanted.end)
        yield start, end
        start = end
