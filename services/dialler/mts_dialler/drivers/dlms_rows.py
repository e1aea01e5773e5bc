"""From the rows of a DLMS load profile to the readings of a survey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mts_common.messages import SurveyReading
from mts_dialler.drivers.dlms_profile import Kind, LoadProfile
from mts_dialler.drivers.dlms_status import suspect_words
from mts_dialler.drivers.dlms_time import MeterTime
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.drivers.survey import SurveyCollector
from mts_dialler.protocols.cosem import profile as generic
from mts_dialler.protocols.cosem.date_time import ClockStatus
from mts_dialler.protocols.cosem.profile import BadRow, Row
from mts_dialler.protocols.cosem.values import Value

_SHORT_PERIOD = "period cut short"
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Placed:
    """What an answer held: its earliest and latest stamp, and the rows that are not understood with their times."""

    first: datetime | None
    last: datetime | None
    rows: int
    bad: tuple[tuple[datetime | None, str], ...]


class RowPlacer:
    """Puts rows into their periods.

    A row whose stamp is not on a period's boundary is the part of that period up to the stamp; the collector adds the
    rest to it.
    """

    def __init__(self, profile: LoadProfile, meter: MeterProfile, time: MeterTime, collector: SurveyCollector) -> None:
        self._profile = profile
        self._meter = meter
        self._time = time
        self._collector = collector
        self.starts: set[datetime] = set()  # of the periods placed
        for channel in profile.channels:
            collector.channel(channel.name, channel.units, cumulative=channel.kind is Kind.CUMULATIVE)

    def place(self, buffer: Value, earliest: datetime | None = None) -> Placed:
        """`earliest`: when the range asked for began; resolves a repeated hour that the meter does not tell apart.

        Raises `RemoteProtocolError` for what is no buffer.
        """
        profile = self._profile
        rows = generic.rows(buffer, profile.columns, profile.period, newest_first=profile.newest_first)
        tells_season = any(ClockStatus.SUMMER_TIME in row.stamp.status for row in rows if isinstance(row, Row))
        stamps: list[datetime] = []
        bad: list[tuple[datetime | None, str]] = []
        for row in reversed(rows) if profile.newest_first else rows:
            before = stamps[-1] + _SECOND if stamps else earliest
            stamp = None if row.stamp is None else self._time.utc(row.stamp, before, tells_season=tells_season)
            if isinstance(row, BadRow):
                bad.append((stamp, row.why))
            elif stamp is not None:
                stamps.append(stamp)
                self._add(row, stamp)
        return Placed(min(stamps, default=None), max(stamps, default=None), len(rows), tuple(bad))

    def period_of(self, stamp: datetime) -> tuple[datetime, datetime]:
        """The period that a row with this stamp covers."""
        start = stamp - self._profile.period if self._meter.stamps_end else stamp
        return start, start + self._profile.period

    def _add(self, row: Row, stamp: datetime) -> None:
        profile = self._profile
        over = (row.stamp.wall - row.stamp.wall.replace(hour=0, minute=0, second=0, microsecond=0)) % profile.period
        start = stamp - (over or profile.period) if self._meter.stamps_end else stamp - over
        self.starts.add(start)
        status = self._status(row)
        if over:
            status = (*status, _SHORT_PERIOD)
        for channel in profile.channels:
            amount = channel.amount(row.cells[channel.column], profile.minutes)
            if amount is not None:
                self._collector.add(channel.name, SurveyReading(start.astimezone(UTC), amount, status))

    def _status(self, row: Row) -> tuple[str, ...]:
        place = self._profile.status
        status = None if place is None else row.cells[place]
        return suspect_words(status, row.stamp, self._meter.status_words)
