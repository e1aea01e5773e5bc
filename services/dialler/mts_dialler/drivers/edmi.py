"""EDMI meters over their command-line protocol: Atlas (Mk7, Mk10) and Genius (Mk6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from mts_common.messages import NameValue, Section
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.drivers.edmi_atlas import Atlas
from mts_dialler.drivers.edmi_genius import Genius
from mts_dialler.drivers.edmi_registers import AtlasScheme, GeniusScheme, RegisterReader, Scheme
from mts_dialler.drivers.edmi_session import CommandFailed, EdmiSession
from mts_dialler.drivers.edmi_survey import Stamp, Survey
from mts_dialler.drivers.iec_readout import plain
from mts_dialler.drivers.meter_clock import meter_clock
from mts_dialler.drivers.survey import shown
from mts_dialler.line import Line
from mts_dialler.protocols.edmi import registers
from mts_dialler.protocols.wall_clock import standard_to_utc

MAX_EVENTS = 100  # the newest

_SECTIONS = frozenset(Section) - {Section.SURVEY}
_RATIOS = (
    registers.CURRENT_MULTIPLIER,
    registers.CURRENT_DIVISOR,
    registers.VOLTAGE_MULTIPLIER,
    registers.VOLTAGE_DIVISOR,
)


class Meter(Protocol):
    """What the families do each in a way of its own."""

    async def find_survey(self) -> Survey | None:
        """The survey with the half-hour energies; None if the meter keeps none at all. Raises `CommandFailed`."""
        ...

    async def read_events(self) -> tuple[list[tuple[datetime | None, str]], list[CommandFailed]]:
        """(wall time, words) of the newest events, and why some could not be read."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """In what the families differ.

    `wide`: register numbers of four bytes. `ratio_type`: the letter of the transformer ratios, where the meter does not
    say. `stamp`: what the times of survey records are (decision 0040).
    """

    wide: bool
    ratio_type: str
    scheme: Scheme
    last_billing: int
    billing_before: int
    meter: Callable[[EdmiSession, ZoneInfo, Stamp], Meter]
    stamp: Stamp = Stamp.END


ATLAS = Family(False, "L", AtlasScheme(), registers.ATLAS_LAST_BILLING, registers.ATLAS_BILLING_BEFORE, Atlas)
GENIUS = Family(True, "F", GeniusScheme(), registers.GENIUS_LAST_BILLING, registers.GENIUS_BILLING_BEFORE, Genius)


class EdmiDriver:
    """Reads the meters of one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def sections(self, terms: Terms) -> frozenset[Section]:
        return _SECTIONS | {Section.SURVEY} if terms.survey else _SECTIONS

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        session = EdmiSession(line, terms.outstation_address, wide=self._family.wide)
        try:
            await session.open(terms.password)
            report.phases.signed_on()
            await _Reading(session, self._family, terms, report).read()
        finally:
            await session.sign_off()


class _Reading:
    """One test of one meter."""

    def __init__(self, session: EdmiSession, family: Family, terms: Terms, report: ReportBuilder) -> None:
        self._session = session
        self._family = family
        self._terms = terms
        self._report = report
        self._meter = family.meter(session, terms.zone, family.stamp)
        self._survey: Survey | None = None

    async def read(self) -> None:
        await self._section(Section.SERIAL_NUMBER, self._serial_number)
        await self._section(Section.CLOCK, self._clock)
        await self._section(Section.PROPERTIES, self._identity, self._ratios, self._billing)
        await self._section(Section.REGISTERS, self._registers)
        await self._section(Section.STATUS_EVENTS, self._flags, self._events)
        await self._section(Section.PROFILE_CONFIGURATION, self._profile_configuration)
        if self._terms.survey is not None:
            if self._survey is not None:
                await self._survey.read(self._terms.survey, self._report)
            else:
                self._report.failed(Section.SURVEY, "the meter keeps no survey that can be read")

    async def _section(self, section: Section, *pieces: Callable[[], Awaitable[None]]) -> None:
        """Reads each piece. One that this meter has not got is no failure, unless it is all there is."""
        failures: list[CommandFailed] = []
        for piece in pieces:
            try:
                await piece()
            except CommandFailed as failure:
                if not failure.absent or len(pieces) == 1:
                    failures.append(failure)
        if not failures:
            self._report.read(section)
            return
        nothing = len(failures) == len(pieces) and not getattr(self._report, section.value)
        verdict = self._report.failed if nothing else self._report.partial
        verdict(section, str(failures[0]), failures[0].kind)

    def _utc(self, wall: datetime) -> datetime:
        return standard_to_utc(wall, self._terms.zone)

    # --- identity and clock

    async def _serial_number(self) -> None:
        found = await self._session.read(registers.SERIAL_NUMBER, "A")
        if not isinstance(found, str) or not found:
            raise CommandFailed("the meter gives no serial number")
        self._report.serial_number = found

    async def _clock(self) -> None:
        wall = await self._session.read(registers.CLOCK, "T")
        if not isinstance(wall, datetime):
            raise CommandFailed("the meter's clock is not set")
        self._report.clock = meter_clock(self._utc(wall), self._session.answered_at, self._session.line.delay)

    # --- properties

    def _property(self, name: str, value: str) -> None:
        if value:
            self._report.properties.append(NameValue(name=name, value=value))

    async def _identity(self) -> None:
        found = await self._session.read_many([(registers.MODEL, "A"), (registers.FIRMWARE, "A")])
        for register, name in ((registers.MODEL, "Model"), (registers.FIRMWARE, "Firmware")):
            if (text := found.values.get(register)) is not None:
                self._property(name, str(text))
        if found.failures:
            raise found.failures[0]

    async def _ratios(self) -> None:
        """Their type differs from family to family, and perhaps within one, so it is asked for."""
        try:
            letter = (await self._session.info(registers.CURRENT_MULTIPLIER)).type
        except CommandFailed:
            letter = self._family.ratio_type
        found = await self._session.read_many([(register, letter) for register in _RATIOS])
        numbers = [found.values.get(register) for register in _RATIOS]
        if any(isinstance(number, Decimal) for number in numbers):
            shown_numbers = [plain(number) if isinstance(number, Decimal) else "?" for number in numbers]
            self._property("CT\\VT ratios", "CT: {}:{} VT: {}:{}".format(*shown_numbers))
        if found.failures:
            raise found.failures[0]

    async def _billing(self) -> None:
        last, before = self._family.last_billing, self._family.billing_before
        found = await self._session.read_many([(registers.BILLING_RESETS, "L"), (last, "T"), (before, "T")])
        count = found.values.get(registers.BILLING_RESETS)
        if isinstance(count, Decimal):
            self._property("Billing resets", str(count))
        for register, name in ((last, "Last billing reset"), (before, "Billing reset before the last")):
            wall = found.values.get(register)
            if isinstance(wall, datetime):
                self._property(name, shown(self._utc(wall)))
        if found.failures:
            raise found.failures[0]

    # --- registers and events

    async def _registers(self) -> None:
        reader = RegisterReader(self._session, self._family.scheme, self._terms.zone, self._report.registers)
        await reader.read()
        if reader.failures:
            raise reader.failures[0]

    async def _flags(self) -> None:
        """The letters of this text are not documented, so it is shown as it is."""
        text = str(await self._session.read(registers.FLAGS, "E") or "").strip("-. 0")
        if text:
            self._report.status_events.append(f"Alarm flags: {text}")

    async def _events(self) -> None:
        told, failures = await self._meter.read_events()
        newest = sorted(told, key=lambda event: event[0] or datetime.min)[-MAX_EVENTS:]  # noqa: DTZ901 - wall clocks
        for wall, words in newest:
            self._report.status_events.append(words if wall is None else f"{words} at {shown(self._utc(wall))}")
        if failures:
            raise failures[0]

    async def _profile_configuration(self) -> None:
        self._survey = await self._meter.find_survey()
        if self._survey is not None:
            self._report.profile_configuration += self._survey.names
            self._property("Integration period", f"{self._survey.minutes} min")
