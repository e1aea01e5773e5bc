"""Meters that speak IEC 62056-21 mode C: the readout, then in programming mode what `iec_programming` reads."""

from __future__ import annotations

from mts_common.messages import Section
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.drivers.exchange import Exchange
from mts_dialler.drivers.iec_programming import ProgrammingMode
from mts_dialler.drivers.iec_readout import Readout
from mts_dialler.drivers.iec_types import MeterProfile
from mts_dialler.errors import MeterRefused
from mts_dialler.line import Line
from mts_dialler.protocols.iec62056_21.data_sets import parse_data_sets

_FROM_READOUT = (Section.SERIAL_NUMBER, Section.CLOCK, Section.STATUS_EVENTS, Section.PROPERTIES, Section.REGISTERS)


class Iec6205621Driver:
    """Reads the meters of one type."""

    def __init__(self, profile: MeterProfile) -> None:
        self._profile = profile

    def sections(self, terms: Terms) -> frozenset[Section]:
        """The list gives five; the other two are in the load profile."""
        wanted = set(_FROM_READOUT)
        if self._programming(terms):
            wanted.add(Section.PROFILE_CONFIGURATION)
        if terms.survey and self._profile.profile_command:
            wanted.add(Section.SURVEY)
        return frozenset(wanted)

    def _programming(self, terms: Terms) -> bool:
        """A meter of no known type may have no programming mode: it is tried only if it must be."""
        return self._profile.profile_command is not None and (terms.survey is not None or self._profile.event_log)

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        exchange = Exchange(line, self._profile.character_format)
        try:
            await self._read_out(exchange, terms, report)
            if self._programming(terms):
                await ProgrammingMode(exchange, self._profile, terms, report).read()
        finally:
            await exchange.sign_off()

    async def _read_out(self, exchange: Exchange, terms: Terms, report: ReportBuilder) -> None:
        """A meter that gives no list may still have a load profile."""
        exchange.watch(b"0.9.1")
        try:
            identification, text = await exchange.read_out(terms.outstation_address, self._profile.list_character)
        except MeterRefused as refusal:
            for section in _FROM_READOUT:
                report.failed(section, str(refusal))
            return
        report.phases.signed_on()  # the list comes with it
        readout = Readout(parse_data_sets(text))
        report.serial_number = readout.serial_number()
        _judge(report, Section.SERIAL_NUMBER, report.serial_number, "the readout shows no serial number")
        report.clock = readout.clock(terms.zone, exchange.watched_at, exchange.line.delay)
        _judge(report, Section.CLOCK, report.clock, "the readout shows no clock")
        report.properties += readout.properties(identification)
        report.read(Section.PROPERTIES)
        report.registers += readout.registers(terms.zone, exchange.answered_at)
        _judge(report, Section.REGISTERS, report.registers, "the readout shows no registers")
        report.status_events += readout.error_events(self._profile.error_bits)
        if not self._profile.event_log:
            report.read(Section.STATUS_EVENTS)


def _judge(report: ReportBuilder, section: Section, found: object, otherwise: str) -> None:
    if found:
        report.read(section)
    else:
        report.failed(section, otherwise)
