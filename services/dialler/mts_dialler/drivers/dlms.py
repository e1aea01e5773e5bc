"""DLMS/COSEM meters: logical or short names, over HDLC or the TCP wrapper, with any security up to HLS-GMAC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mts_common.messages import NameValue, Section
from mts_dialler.drivers import dlms_registers as registers
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.drivers.dlms_events import EventLog
from mts_dialler.drivers.dlms_objects import NOT_THERE, Item, LogicalNames, Objects, ShortNames
from mts_dialler.drivers.dlms_profile import LoadProfile, find_load_profile
from mts_dialler.drivers.dlms_registers import DATA, REGISTER, Registers
from mts_dialler.drivers.dlms_session import Caller, DlmsSession
from mts_dialler.drivers.dlms_status import clock_words, status_events
from mts_dialler.drivers.dlms_survey import DlmsSurvey
from mts_dialler.drivers.dlms_time import MeterTime
from mts_dialler.drivers.dlms_types import MeterProfile, address, secret
from mts_dialler.drivers.meter_clock import meter_clock
from mts_dialler.errors import FrameGarbled, MeterRefused
from mts_dialler.line import Line
from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.services import Answer, Denied
from mts_dialler.protocols.errors import RemoteProtocolError

_DEVICE_NAME = "0.0.42.0.0"
_SERIAL_NUMBERS = ("0.0.96.1.0", "1.0.0.0.0", "1.1.0.0.0", "0.0.96.1.1")
_FIRMWARE = ("1.0.0.2.0", "0.0.0.2.0", "1.1.0.2.0")
_TRANSFORMERS = ("1.0.0.4.2", "1.0.0.4.5", "1.0.0.4.3", "1.0.0.4.6")
_ERRORS, _STATUS = "0.0.97.97.0", "0.0.96.10.1"
_FIRST = (_DEVICE_NAME, _SERIAL_NUMBERS[0], _FIRMWARE[0], *_TRANSFORMERS, _ERRORS, _STATUS, *registers.COUNTERS)
_CLOCK = Item(8, "0.0.1.0.0")
_SECTIONS = frozenset(set(Section) - {Section.SURVEY})


class DlmsDriver:
    """Reads the meters of one type."""

    def __init__(self, profile: MeterProfile) -> None:
        self._profile = profile

    def sections(self, terms: Terms) -> frozenset[Section]:
        """All, the survey if it is asked for."""
        return _SECTIONS | {Section.SURVEY} if terms.survey else _SECTIONS

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        caller = Caller(self._profile, address(self._profile, terms), secret(self._profile, terms.password))
        session = DlmsSession(line, caller)
        try:
            await session.sign_on()
            report.phases.signed_on()
            await _Reading(session, self._profile, terms, report).read()
        finally:
            await session.sign_off()


class _Reading:
    """One test of one meter."""

    def __init__(self, session: DlmsSession, profile: MeterProfile, terms: Terms, report: ReportBuilder) -> None:
        self._session = session
        self._profile = profile
        self._terms = terms
        self._report = report
        self._objects: Objects = ShortNames(session) if profile.short_names else LogicalNames(session)
        self._registers = Registers(self._objects)
        self._time = MeterTime(terms.zone, profile.inverted)

    async def read(self) -> None:
        await self._objects.open()
        await self._read_clock()
        data = await self._data(_FIRST)
        await self._read_serial_number(data)
        await self._read_properties(data)
        await self._read_status(data)
        await self._read_registers(data)
        await self._read_profile()

    async def _data(self, names: Sequence[str]) -> dict[Item, Answer]:
        items = [Item(DATA, name) for name in names]
        return dict(zip(items, await self._objects.read(items), strict=True))

    # --- identity and clock

    async def _read_clock(self) -> None:
        """A clock whose answer had to be fetched again is old: it is read once more."""
        for _ in range(2):
            repeats = self._session.repeats
            [answer] = await self._objects.read([_CLOCK])
            if self._session.repeats == repeats:
                break
        arrived, delay = self._session.answered_at, self._session.line.delay
        try:
            clock = date_time.decode(answer) if isinstance(answer, bytes) else None
        except RemoteProtocolError as error:
            self._report.failed(Section.CLOCK, str(error))
            return
        if clock is None:
            why = str(answer) if isinstance(answer, Denied) else "the meter's clock shows no time"
            self._report.failed(Section.CLOCK, f"clock: {why}")
            return
        shown = self._time.set_by(clock, arrived)
        self._report.clock = meter_clock(shown, arrived, delay)
        self._report.status_events += clock_words(clock)
        self._report.read(Section.CLOCK)

    async def _read_serial_number(self, data: Mapping[Item, Answer]) -> None:
        """The first that the meter has; its logical device name if it has none."""
        found = registers.text(data[Item(DATA, _SERIAL_NUMBERS[0])])
        if not found:
            found = registers.texts(list((await self._data(_SERIAL_NUMBERS[1:])).values()))
        found = found or registers.text(data[Item(DATA, _DEVICE_NAME)])
        self._report.serial_number = found or None
        if found:
            self._report.read(Section.SERIAL_NUMBER)
        else:
            self._report.failed(Section.SERIAL_NUMBER, "the meter shows no serial number")

    # --- properties and status

    async def _read_properties(self, data: Mapping[Item, Answer]) -> None:
        self._property("Logical device name", registers.text(data[Item(DATA, _DEVICE_NAME)]))
        firmware = registers.text(data[Item(DATA, _FIRMWARE[0])])
        if not firmware:
            firmware = registers.texts(list((await self._data(_FIRMWARE[1:])).values()))
        self._property("Firmware", firmware)
        ratios = [registers.text(data[Item(DATA, name)]) for name in _TRANSFORMERS]
        if not any(ratios):
            ratios = await self._register_ratios()
        if any(ratios):
            current, current_base, voltage, voltage_base = (ratio or "1" for ratio in ratios)
            self._property("CT\\VT ratios", f"CT: {current}:{current_base} VT: {voltage}:{voltage_base}")
        self._report.read(Section.PROPERTIES)

    async def _register_ratios(self) -> list[str]:
        """Some meters keep the ratios in registers, with a scaler."""
        answers = await self._objects.read([Item(REGISTER, name) for name in _TRANSFORMERS])
        raw = {name: registers.number(answer) for name, answer in zip(_TRANSFORMERS, answers, strict=True)}
        scales = await self._registers.scales((REGISTER, name) for name, value in raw.items() if value is not None)
        ratios: list[str] = []
        for name, value in raw.items():
            scale = scales.get((REGISTER, name))
            ratios.append("" if value is None or scale is None else f"{scale.apply(value)[0].normalize():f}")
        return ratios

    def _property(self, name: str, value: str) -> None:
        if value:
            self._report.properties.append(NameValue(name=name, value=value))

    async def _read_status(self, data: Mapping[Item, Answer]) -> None:
        errors, status = data[Item(DATA, _ERRORS)], data[Item(DATA, _STATUS)]
        self._report.status_events += status_events(errors, status, self._profile)
        for answer in (errors, status):
            if isinstance(answer, Denied) and answer.code not in NOT_THERE:
                self._report.partial(Section.STATUS_EVENTS, f"status: {answer}")
                return
        if self._profile.event_words:
            await self._read_events()
        else:
            self._report.read(Section.STATUS_EVENTS)

    async def _read_events(self) -> None:
        log = EventLog(self._objects, self._time, self._profile.event_words)
        try:
            self._report.status_events += await log.read(self._session.line.now())
        except (MeterRefused, FrameGarbled) as error:
            self._report.partial(Section.STATUS_EVENTS, f"event log: {error}", error.failure)
        else:
            self._report.read(Section.STATUS_EVENTS)

    # --- registers and load profile

    async def _read_registers(self, data: Mapping[Item, Answer]) -> None:
        now = self._session.line.now
        found = await self._registers.read(self._time, now)
        found += registers.counters(data, now())
        self._report.registers += found
        if not found:
            self._report.failed(Section.REGISTERS, "the meter shows no registers")
        elif self._registers.unread:
            self._report.partial(Section.REGISTERS, "; ".join(self._registers.unread[:5]))
        else:
            self._report.read(Section.REGISTERS)

    async def _read_profile(self) -> None:
        try:
            profile = await find_load_profile(self._objects, self._registers, self._profile)
        except (MeterRefused, FrameGarbled) as error:
            self._fail_profile(error)
            return
        self._tell_configuration(profile)
        if self._terms.survey is not None:
            wanted = self._terms.survey
            survey = DlmsSurvey(self._session, self._objects, profile, self._profile, self._time, wanted)
            await survey.read(self._report)

    def _fail_profile(self, error: MeterRefused | FrameGarbled) -> None:
        self._report.failed(Section.PROFILE_CONFIGURATION, str(error), error.failure)
        if self._terms.survey is not None:
            self._report.failed(Section.SURVEY, str(error), error.failure)

    def _tell_configuration(self, profile: LoadProfile) -> None:
        self._report.profile_configuration += [channel.name for channel in profile.channels]
        self._property("Integration period", f"{profile.minutes} min")
        if profile.unread:
            self._report.partial(Section.PROFILE_CONFIGURATION, "; ".join(profile.unread[:5]))
        else:
            self._report.read(Section.PROFILE_CONFIGURATION)
