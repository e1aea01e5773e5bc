"""The load profile of an A1700 or A1140 read packet by packet into the survey (elster-a1700.md, section 6)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mts_common.messages import FailureKind, SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange
from mts_dialler.drivers.elster_registers import SOURCES
from mts_dialler.drivers.elster_session import ElsterSession, IdentityUnread
from mts_dialler.drivers.elster_types import ElsterType
from mts_dialler.drivers.survey import Gaps, SurveyCollector, energy
from mts_dialler.errors import DiallerError
from mts_dialler.protocols.elster import encodings, identities
from mts_dialler.protocols.elster.calendar import Calendar, Period
from mts_dialler.protocols.elster.encodings import kilo
from mts_dialler.protocols.elster.profile import End, ProfileReader
from mts_dialler.protocols.errors import RemoteProtocolError

ALL_DAYS = 0xFFFF
_EMPTY = b"\xff" * identities.PACKET_OCTETS


def channel_name(source: int) -> str:
    return SOURCES[source].survey


class ElsterSurvey:
    """One survey. The meter counts days back from its own today, so the packets may begin before what is wanted."""

    def __init__(self, session: ElsterSession, kind: ElsterType, wanted: SurveyRange, zone: ZoneInfo) -> None:
        self._session = session
        self._kind = kind
        self._wanted = wanted
        self._zone = zone
        self._collector = SurveyCollector(wanted)
        self._calendar = Calendar(zone)
        self._reader = ProfileReader(kind.layout)
        self._gaps = Gaps()
        self._reached = wanted.start  # everything before this has been read
        self._past = False  # the records have passed the wanted range

    async def read(self, today: date, report: ReportBuilder) -> None:
        """`today` on the meter's clock. The verdict is given whatever happens."""
        try:
            await self._read(today)
            for period in self._calendar.place(End()):
                self._take(period)
        except RemoteProtocolError as error:
            self._gaps.add(self._reached, self._wanted.end, str(error), FailureKind.GARBLED)
        except DiallerError as error:
            failure = error.kind if isinstance(error, IdentityUnread) else error.failure
            self._gaps.add(self._reached, self._wanted.end, str(error), failure)
            raise
        finally:
            self._collector.give(report)
            self._gaps.judge(report, nothing=self._collector.empty)

    async def _read(self, today: date) -> None:
        """Raises `RemoteProtocolError` where the octets make no sense: what comes after cannot be told apart."""
        await self._select(today)
        size = identities.ProfileSize.parse(await self._session.read(identities.PROFILE_REQUEST, 4))
        data = b""
        # The data may run on into one packet more than told.
        for packet in range(1, min(size.packets + 1, identities.MAX_PACKETS) + 1):
            try:
                data = await self._packet(packet, data)
            except IdentityUnread:
                if packet <= size.packets:
                    raise
                break
            if self._understand(data):
                return
        if not self._reader.idle:
            raise RemoteProtocolError("the load profile broke off")

    async def _select(self, today: date) -> None:
        """Days are counted back from today: where a range can be named, days that are not wanted stay in the meter."""
        first, last = (moment.astimezone(self._zone) for moment in (self._wanted.start, self._wanted.end))
        if self._kind.names_ranges and last.date() < today and await self._select_range(first, last):
            return
        days = min(max((today - first.date()).days + 1, 1), ALL_DAYS)
        await self._session.write(identities.PROFILE_REQUEST, days.to_bytes(self._kind.request_octets, "little"))

    async def _select_range(self, first: datetime, last: datetime) -> bool:
        """Has the meter taken it? In whole days, as it is not known whether the end counts."""
        days = (first.date(), last.date() + timedelta(days=1))
        stamps = b"".join(encodings.seconds(datetime.combine(day, time())) for day in days)
        try:
            await self._session.write(identities.PROFILE_RANGE, stamps)
        except IdentityUnread as unread:
            self._session.exchange.line.note(str(unread))
            return False
        return True

    async def _packet(self, packet: int, previous: bytes) -> bytes:
        """Answers carry no number: one that equals the last may be a late repeat, and is asked for again."""
        command = identities.read_packet(identities.PROFILE_DATA, packet)
        data = await self._session.read_packet(command, identities.PACKET_OCTETS)
        if data == previous and data != _EMPTY:
            await self._session.exchange.settle()
            data = await self._session.read_packet(command, identities.PACKET_OCTETS)
        return data

    def _understand(self, data: bytes) -> bool:
        """Takes a packet; was it the last that is of use?"""
        self._reader.feed(data)
        while (element := self._reader.next_element()) is not None:
            if isinstance(element, End):
                return True
            for period in self._calendar.place(element):
                self._take(period)
        return self._past

    def _take(self, period: Period) -> None:
        end = period.start + timedelta(minutes=period.minutes)
        for source, value in zip(period.sources, period.values, strict=True):
            name = channel_name(source)
            self._collector.channel(name, f"{SOURCES[source].unit}h" if SOURCES[source].unit else "")
            if value is None:
                self._lose(period.start, end, name)
            else:
                reading = SurveyReading(period.start, _amount(source, value, period.minutes), period.status)
                self._collector.add(name, reading)
        self._reached = max(self._reached, end)
        self._past = period.start >= self._wanted.end

    def _lose(self, start: datetime, end: datetime, name: str) -> None:
        if self._wanted.start <= start < self._wanted.end:
            self._gaps.add(start, end, f"unreadable value of {name}", FailureKind.GARBLED)


def _amount(source: int, value: int, minutes: int) -> Decimal:
    """Customer-defined and external channels have a scale of their own, and are given as they stand."""
    return energy(kilo(value), minutes) if SOURCES[source].unit else Decimal(value)
