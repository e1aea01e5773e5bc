"""Reading the load profile of a DLMS meter: a day at a time by range, or however else the meter lets it be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from mts_common.messages import FailureKind, Section
from mts_dialler.drivers.base import ReportBuilder, SurveyRange
from mts_dialler.drivers.dlms_objects import Objects
from mts_dialler.drivers.dlms_profile import LoadProfile
from mts_dialler.drivers.dlms_rows import Placed, RowPlacer
from mts_dialler.drivers.dlms_session import DlmsSession
from mts_dialler.drivers.dlms_time import MeterTime
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.drivers.survey import Gaps, SurveyCollector
from mts_dialler.errors import DiallerError
from mts_dialler.protocols.cosem import profile as generic
from mts_dialler.protocols.cosem.services import AccessResult, Answer, Denied
from mts_dialler.protocols.errors import RemoteProtocolError

DAY = timedelta(days=1)
MAX_WHOLE_ROWS = 10_000  # of a buffer that can only be read as a whole
MAX_ENTRY_QUESTIONS = 500
_SECOND = timedelta(seconds=1)
_TEMPORARY = frozenset(
    {AccessResult.TEMPORARY_FAILURE, AccessResult.LONG_GET_ABORTED, AccessResult.DATA_BLOCK_UNAVAILABLE}
)


class Form(Enum):
    """Ways to name a range; meters differ in which they take (dlms-cosem.md, section 4)."""

    USUAL = "by range"
    OTHER_DEVIATION = "by range, the other form of deviation"
    ALL_COLUMNS = "by range, every column named"


class _Lost(NamedTuple):
    """[start, end) that the meter may have and did not give."""

    start: datetime
    end: datetime
    why: str
    failure: FailureKind


class DlmsSurvey:
    """One survey of one meter."""

    def __init__(
        self,
        session: DlmsSession,
        objects: Objects,
        profile: LoadProfile,
        meter: MeterProfile,
        time: MeterTime,
        wanted: SurveyRange,
    ) -> None:
        self._session = session
        self._objects = objects
        self._profile = profile
        self._meter = meter
        self._time = time
        self._wanted = wanted
        self._collector = SurveyCollector(wanted)
        self._placer = RowPlacer(profile, meter, time, self._collector)
        self._forms = list(Form)
        self._range_works = False
        self._lost: list[_Lost] = []

    async def read(self, report: ReportBuilder) -> None:
        """All there is of the range; what was read before a failure is kept. Raises leaves of `DiallerError`."""
        if not self._profile.channels:
            report.failed(Section.SURVEY, "; ".join(self._profile.unread[:5]) or "the load profile has no channels")
            return
        reached = self._wanted.start
        try:
            for start, end in _days(self._wanted):
                reached = start
                if not await self._read_day(start, end):
                    break
        except DiallerError as error:
            self._lost.append(_Lost(reached, self._wanted.end, str(error), error.failure))
            raise
        finally:
            self._collector.give(report)
            self._judge(report)

    def _judge(self, report: ReportBuilder) -> None:
        periods = (self._wanted.end - self._wanted.start) // self._profile.period
        missing = periods - sum(self._wanted.start <= start < self._wanted.end for start in self._placer.starts)
        if missing > 0:
            self._session.line.note(f"{missing} of {periods} periods have no reading")
        gaps = Gaps()
        for lost in sorted(self._lost):
            gaps.add(*lost)
        gaps.judge(report, nothing=self._collector.empty)
        if self._profile.unread and not self._lost:
            report.partial(Section.SURVEY, "; ".join(self._profile.unread[:5]))

    async def _read_day(self, start: datetime, end: datetime) -> bool:
        """Reads [start, end). False if that, as it turned out, was all of the range."""
        answer = await self._ask_range(start, end)
        if isinstance(answer, Denied):
            if not self._range_works:
                await self._read_without_range(str(answer))
                return False
            self._lose(start, end, f"load profile: {answer}", FailureKind.METER_REFUSED)
            return True
        placed = self._place(answer, start, end)
        return placed is None or not _beyond(placed, start - DAY, end + DAY)

    def _place(self, answer: Answer, start: datetime, end: datetime) -> Placed | None:
        """Of an answer for [start, end). None if as a whole it is not understood; what is lost by that is noted."""
        try:
            placed = self._placer.place(None if isinstance(answer, Denied) else answer, start)
        except RemoteProtocolError as error:
            self._lose(start, end, str(error), FailureKind.GARBLED)
            return None
        for stamp, why in placed.bad:
            lost = (start, end) if stamp is None else self._placer.period_of(stamp)
            self._lose(*lost, why, FailureKind.GARBLED)
        return placed

    def _lose(self, start: datetime, end: datetime, why: str, failure: FailureKind) -> None:
        self._session.line.note(why)
        start, end = max(start, self._wanted.start), min(end, self._wanted.end)
        if start < end:
            self._lost.append(_Lost(start, end, why, failure))

    def _lose_all(self, why: str, failure: FailureKind = FailureKind.METER_REFUSED) -> None:
        self._lose(self._wanted.start, self._wanted.end, f"load profile: {why}", failure)

    # --- by range

    async def _ask_range(self, start: datetime, end: datetime) -> Answer:
        """The first form of the range that the meter answers is kept to."""
        answer: Answer = Denied(AccessResult.OTHER_REASON)
        for form in list(self._forms):
            answer = await self._select(self._selector(form, start, end))
            if not isinstance(answer, Denied):
                self._forms, self._range_works = [form], True
                break
        return answer

    async def _select(self, selector: bytes) -> Answer:
        """Asked twice if the meter says that it cannot just now."""
        item = self._profile.item(generic.BUFFER)
        answer = await self._objects.select(item, selector)
        if isinstance(answer, Denied) and answer.code in _TEMPORARY:
            answer = await self._objects.select(item, selector)
        return answer

    def _selector(self, form: Form, start: datetime, end: datetime) -> bytes:
        """Both ends of a range are included, and a row that ends a period belongs to the time before."""
        first, last = (start + _SECOND, end) if self._meter.stamps_end else (start, end - _SECOND)
        if start == self._wanted.start:
            first -= self._time.leeway
        if end == self._wanted.end:
            last += self._time.leeway
        deviation = self._meter.names_deviation != (form is Form.OTHER_DEVIATION)
        columns = self._profile.columns if form is Form.ALL_COLUMNS else ()
        return generic.by_range(
            self._profile.clock,
            self._time.local(first, deviation=deviation),
            self._time.local(last, deviation=deviation),
            columns,
        )

    # --- otherwise

    async def _read_without_range(self, refusal: str) -> None:
        """By entry, or else the whole buffer if it is not too long."""
        [in_use] = await self._objects.read([self._profile.item(generic.ENTRIES_IN_USE)])
        if isinstance(in_use, int):
            if await self._read_entries(in_use):
                return
            if in_use > MAX_WHOLE_ROWS:
                self._lose_all(f"no part of its {in_use} rows can be chosen: {refusal}")
                return
        [answer] = await self._objects.read([self._profile.item(generic.BUFFER)])
        if isinstance(answer, Denied):
            self._lose_all(str(answer))
        else:
            self._place(answer, self._wanted.start, self._wanted.end)

    async def _read_entries(self, in_use: int) -> bool:
        """A day's rows at a time, from the row that should begin the range. False if the meter refuses this too."""
        day = max(2, DAY // self._profile.period)
        position = first = self._first_entry(in_use, day)
        for _ in range(MAX_ENTRY_QUESTIONS):
            if position > in_use:
                return True
            answer = await self._select(generic.by_entry(position, min(position + day - 1, in_use)))
            if isinstance(answer, Denied):
                if position != first:
                    self._lose_all(str(answer))
                return position != first
            placed = self._place(answer, self._wanted.start, self._wanted.end)
            if placed is None or self._is_last(placed):
                return True
            if position == first > 1 and placed.first is not None and placed.first > self._wanted.start:
                position = first = max(1, first - day)  # there are more rows than periods: begin further back
            else:
                position += max(1, placed.rows - 1)  # a new row may have pushed the others on by one meanwhile
        self._lose_all("its rows do not end", FailureKind.GARBLED)
        return True

    def _first_entry(self, in_use: int, day: int) -> int:
        """Entry 1 is the oldest, or the newest where the newest come first."""
        if self._profile.newest_first:
            return 1
        age = (self._session.line.now() - self._wanted.start) // self._profile.period
        return max(1, in_use - age - day // 2)

    def _is_last(self, placed: Placed) -> bool:
        """Do no rows of the range come after these?"""
        if placed.first is None or placed.last is None:
            return not placed.rows
        if self._profile.newest_first:
            return placed.first < self._wanted.start
        return placed.last > self._wanted.end


def _days(wanted: SurveyRange) -> Iterator[tuple[datetime, datetime]]:
    start = wanted.start
    while start < wanted.end:
        end = min(start + DAY, wanted.end)
        yield start, end
        start = end


def _beyond(placed: Placed, start: datetime, end: datetime) -> bool:
    """Did the meter give far more than was asked for? Then it ignored the range and gave all it has."""
    if placed.first is None or placed.last is None:
        return False
    return placed.first < start or placed.last > end
