"""The Elster A1700 and its like over IEC 62056-21 programming mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mts_common.messages import FailureKind, NameValue, RegisterCategory, Section
from mts_dialler.drivers import elster_registers as registers
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.drivers.elster_session import ElsterSession, IdentityUnread
from mts_dialler.drivers.elster_survey import ElsterSurvey, channel_name
from mts_dialler.drivers.elster_types import ElsterType
from mts_dialler.drivers.exchange import Exchange
from mts_dialler.drivers.iec_readout import plain
from mts_dialler.drivers.meter_clock import meter_clock
from mts_dialler.drivers.survey import shown
from mts_dialler.line import Line
from mts_dialler.protocols.elster import encodings, identities
from mts_dialler.protocols.elster.identities import Model
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.iec62056_21.messages import Identification
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.protocols.wall_clock import candidates, nearest, standard_to_utc

ADDRESS_DIGITS = 3
DAY_END = timedelta(minutes=5)  # so long before midnight tomorrow counts as today: days are counted back from it
READY = 0x80
READY_SECONDS = 60.0
READY_POLLS = 200
READY_PAUSE_SECONDS = 0.3

_OPEN = frozenset({Section.SERIAL_NUMBER, Section.PROPERTIES})
_WITH_PASSWORD = _OPEN | {
    Section.CLOCK,
    Section.STATUS_EVENTS,
    Section.REGISTERS,
    Section.PROFILE_CONFIGURATION,
}


class ElsterDriver:
    """Reads the meters of one type.

    Without a password only what the meter shows anyone counts as asked for; the rest is tried.
    """

    def __init__(self, kind: ElsterType, character_format: CharacterFormat = CharacterFormat.SEVEN_EVEN) -> None:
        self._kind = kind
        self._character_format = character_format

    def sections(self, terms: Terms) -> frozenset[Section]:
        wanted = _WITH_PASSWORD if terms.password else _OPEN
        return wanted | {Section.SURVEY} if terms.survey else wanted

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        exchange = Exchange(line, self._character_format)
        session = ElsterSession(exchange, terms.password, self._kind.product)
        try:
            identification, model = await session.sign_on(_address(terms.outstation_address))
            report.phases.signed_on()
            await _Reading(session, self._kind, model, terms, report).read(identification)
        finally:
            await exchange.sign_off()


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _address(outstation: str) -> str:
    return outstation.lstrip("0").rjust(ADDRESS_DIGITS, "0") if outstation else ""


class _Reading:
    """One test of one meter. What has only to be read comes before what must be written to be read."""

    def __init__(
        self, session: ElsterSession, kind: ElsterType, model: Model, terms: Terms, report: ReportBuilder
    ) -> None:
        self._session = session
        self._kind = kind
        self._model = model
        self._terms = terms
        self._report = report
        self._daylight_saving = True
        self._clock_error = timedelta()  # the meter's wall clock in its zone, minus the true one

    async def read(self, identification: Identification) -> None:
        await self._section(Section.SERIAL_NUMBER, self._serial_number)
        await self._section(Section.CLOCK, self._clock)
        await self._section(Section.STATUS_EVENTS, self._status_events, self._event_counters)
        await self._section(
            Section.PROPERTIES,
            lambda: self._properties(identification),
            self._firmware,
            self._scheme,
            self._transformers,
        )
        await self._section(Section.PROFILE_CONFIGURATION, self._profile_configuration)
        await self._section(
            Section.REGISTERS,
            self._cumulative,
            self._time_of_use,
            self._maximum_demand,
            self._instantaneous,
        )
        if self._terms.survey is not None:
            await self._survey()

    async def _section(self, section: Section, *pieces: Callable[[], Awaitable[None]]) -> None:
        """Reads each piece. One that this meter has not got is no failure, one that it will not show is."""
        failures: list[tuple[str, FailureKind]] = []
        for piece in pieces:
            try:
                await piece()
            except IdentityUnread as unread:
                self._session.exchange.line.note(str(unread))
                if unread.why != identities.UNKNOWN_IDENTITY or len(pieces) == 1:
                    failures.append((str(unread), unread.kind))
            except RemoteProtocolError as error:
                failures.append((str(error), FailureKind.GARBLED))
        if not failures:
            self._report.read(section)
        elif self._session.authenticated or section is Section.SERIAL_NUMBER:
            verdict = self._report.failed if len(failures) == len(pieces) else self._report.partial
            verdict(section, *failures[0])
        elif section in _OPEN:
            self._report.read(section)

    def _utc(self, wall: datetime) -> datetime:
        if not self._daylight_saving:
            return standard_to_utc(wall, self._terms.zone)
        return candidates(wall, self._terms.zone)[0]

    # --- identity and clock

    async def _serial_number(self) -> None:
        self._report.serial_number = identities.parse_text(await self._session.read(identities.SERIAL_NUMBER, 16))

    async def _clock(self) -> None:
        await self._optional(self._read_daylight_saving)
        data = await self._session.read(*self._kind.clock)
        arrived = self._session.exchange.answered_at
        wall = self._kind.parse_clock(data)
        self._session.exchange.line.note(f"clock: {wall}")
        zone = self._terms.zone
        time = nearest(wall, zone, arrived) if self._daylight_saving else standard_to_utc(wall, zone)
        self._clock_error = wall - _wall(arrived, zone)
        self._report.clock = meter_clock(time, arrived, self._session.exchange.line.delay)

    async def _read_daylight_saving(self) -> None:
        (flags,) = await self._session.read(identities.DAYLIGHT_SAVING, 1)
        self._daylight_saving = bool(flags & 1)

    async def _optional(self, piece: Callable[[], Awaitable[None]]) -> None:
        try:
            await piece()
        except IdentityUnread as refusal:
            self._session.exchange.line.note(str(refusal))

    async def _known(self, identity: str, octets: int) -> bytes | None:
        """None for an identity that this meter has not got."""
        try:
            return await self._session.read(identity, octets)
        except IdentityUnread as unread:
            if unread.why != identities.UNKNOWN_IDENTITY:
                raise
            self._session.exchange.line.note(str(unread))
            return None

    # --- properties and status

    async def _properties(self, identification: Identification) -> None:
        self._property("Identification", str(identification))
        if not self._kind.own_firmware:
            self._property("Firmware", f"{self._model.device} issue {self._model.issue}")

    async def _firmware(self) -> None:
        if self._kind.own_firmware:
            self._property("Firmware", identities.parse_text(await self._session.read(identities.FIRMWARE, 12)))

    def _property(self, name: str, value: str) -> None:
        if value:
            self._report.properties.append(NameValue(name=name, value=value))

    async def _scheme(self) -> None:
        self._property("Scheme", identities.parse_text(await self._session.read(identities.SCHEME, 16)))

    async def _transformers(self) -> None:
        parts = []
        for ratio in self._kind.ratios:
            data = await self._known(ratio.identity, ratio.octets)
            if data is not None:
                primary, secondary = ratio.parse(data)
                parts.append(f"{ratio.name}: {plain(primary)}:{plain(secondary)}")
        self._property("CT\\VT ratios", " ".join(parts))

    async def _profile_configuration(self) -> None:
        mask = int.from_bytes(await self._session.read(identities.PROFILE_CHANNELS, 2), "big")
        self._report.profile_configuration += map(channel_name, self._kind.layout.channels(mask))
        await self._optional(self._demand_period)

    async def _demand_period(self) -> None:
        minutes = encodings.bcd((await self._session.read(identities.DEMAND_PERIOD, 3))[:1])
        self._property("Integration period", f"{minutes} min")
        self._property("Daylight saving", "on" if self._daylight_saving else "off")

    async def _status_events(self) -> None:
        status = await self._session.read(identities.STATUS, self._kind.status_octets)
        self._report.status_events += self._kind.status_words(status)

    async def _event_counters(self) -> None:
        for counter in self._kind.extended_counters if self._model.extended else self._kind.counters:
            data = await self._known(counter.identity, counter.octets)
            if data is None:
                continue
            self._number(RegisterCategory.MISCELLANEOUS, counter.name, Decimal(registers.count(counter, data)), "")
            for occurrence in registers.occurrences(counter, data):
                self._report.status_events.append(f"{occurrence.text} at {shown(self._utc(occurrence.at))}")

    # --- registers

    def _number(self, category: RegisterCategory, name: str, value: Decimal, units: str) -> None:
        read_at = self._session.exchange.answered_at
        self._report.registers.append(registers.number(category, name, value, units, read_at))

    async def _cumulative(self) -> None:
        layout = self._kind.layout
        data = await self._session.read(identities.CUMULATIVE, registers.CUMULATIVE_OCTETS * layout.cumulative)
        self._report.registers += registers.cumulative(data, layout, self._session.exchange.answered_at)

    async def _time_of_use(self) -> None:
        sources = await self._session.read(identities.TIME_OF_USE_SOURCES, self._model.rates)
        data = await self._session.read(identities.TIME_OF_USE, 8 * self._model.rates)
        read_at = self._session.exchange.answered_at
        self._report.registers += registers.time_of_use(data, sources, self._kind.layout, read_at)

    async def _maximum_demand(self) -> None:
        octets = registers.MAXIMUM_DEMAND_OCTETS * registers.MAXIMUM_DEMANDS
        data = await self._session.read(identities.MAXIMUM_DEMAND, octets)
        for maximum in registers.maximum_demands(data, self._kind.layout):
            self._number(RegisterCategory.MISCELLANEOUS, maximum.name, maximum.demand.value, maximum.units)
            if maximum.demand.at is not None:
                at = self._utc(maximum.demand.at)
                read_at = self._session.exchange.answered_at
                self._report.registers.append(registers.at_time(maximum, at, read_at))

    async def _instantaneous(self) -> None:
        for group in registers.INSTANTANEOUS:
            codes = bytes(value.code for value in group).ljust(4, b"\x00")
            await self._session.write(identities.INSTANTANEOUS_REQUEST, codes)
            await self._wait_until_ready(len(codes))
            data = await self._session.read(identities.INSTANTANEOUS_VALUES, 7 * len(codes))
            for index, wanted in enumerate(group):
                value = encodings.instantaneous(data[7 * index : 7 * index + 7])
                if value is not None:
                    self._number(RegisterCategory.INSTANTANEOUS, wanted.name, value, wanted.units)

    async def _wait_until_ready(self, count: int) -> None:
        """The meter measures anew, which takes it some seconds."""
        line = self._session.exchange.line
        end = line.monotonic() + READY_SECONDS
        for _ in range(READY_POLLS):
            codes = await self._session.read(identities.INSTANTANEOUS_REQUEST, count)
            if all(code & READY for code in codes):
                return
            if line.monotonic() >= end:
                break
            await line.settle(READY_PAUSE_SECONDS)
        raise IdentityUnread.of(identities.INSTANTANEOUS_REQUEST, "the values were not ready in time")

    # --- survey

    async def _survey(self) -> None:
        survey = self._terms.survey
        if survey is None:
            return
        now = _wall(self._session.exchange.line.now(), self._terms.zone)
        today = (now + self._clock_error + DAY_END).date()
        try:
            await ElsterSurvey(self._session, self._kind, survey, self._terms.zone).read(today, self._report)
        except IdentityUnread as refusal:
            self._session.exchange.line.note(str(refusal))
