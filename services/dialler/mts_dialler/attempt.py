"""One test of a call: its driver run on the line, and all that is told of it afterwards."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mts_common.messages import (
    AttemptFinished,
    AttemptReport,
    AttemptTimes,
    GrantedCall,
    GrantedTest,
    MeterData,
    Section,
    SectionResult,
)
from mts_common.security import SealedWithUnknownKey
from mts_common.vocabulary import about
from mts_dialler.channels.base import Channel, OwnChannel
from mts_dialler.clock import Clock, SystemClock
from mts_dialler.drivers.base import Driver, ReportBuilder, SurveyRange, Terms
from mts_dialler.errors import DiallerError, DriverFault, NotConfigured
from mts_dialler.line import Line, LineLimits
from mts_dialler.text import printable
from mts_dialler.trace import MAX_TRACE_BYTES, Secrets, Trace
from mts_dialler.verdict import MAX_DETAIL, judge

_UTC = ZoneInfo("UTC")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What every attempt of this dialler works with. `open_password` raises `SealedWithUnknownKey`."""

    dialler: str
    drivers: Mapping[str, Driver]
    open_password: Callable[[str], str]
    zones: Mapping[str, ZoneInfo] = field(default_factory=dict)
    limits: LineLimits = field(default_factory=LineLimits)
    trace_bytes: int = MAX_TRACE_BYTES
    shortest_call_seconds: float = 0.0
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Told:
    """What the results and then the scheduler are told of an attempt."""

    report: AttemptReport
    finished: AttemptFinished


class Attempt:
    """Use: `prepare`, then `read` on a line (or `fail`), then `told`. Only `read` waits."""

    def __init__(self, equipment: Equipment, call: GrantedCall, test: GrantedTest) -> None:
        self.test = test
        self._equipment = equipment
        self._call = call
        self._secrets = Secrets()
        self._trace = Trace(self._secrets, equipment.trace_bytes)
        self._builder = ReportBuilder()
        self._wanted = frozenset[Section]()
        self._error: DiallerError | None = None
        self._data = MeterData()

    @property
    def error(self) -> DiallerError | None:
        """What ended the reading, if anything did."""
        return self._error

    def prepare(self) -> tuple[Driver, Terms]:
        """Everything that needs no line. Raises `NotConfigured`."""
        driver = self._equipment.drivers.get(self.test.meter_type)
        if driver is None:
            raise NotConfigured(f"this dialler cannot read the meter type {self.test.meter_type}")
        terms = Terms(
            test_id=self.test.test_id,
            meter_type=self.test.meter_type,
            outstation_address=self.test.outstation_address or "",
            serial_number=self.test.serial_number or "",
            password=self._password(),
            zone=self._zone(),
            survey=_survey_range(self.test, self._equipment.clock.now()),
        )
        self._wanted = driver.sections(terms)
        return driver, terms

    def _zone(self) -> ZoneInfo:
        """The zone of the meter's clock: the device's, as the registry knows it, else the meter type's."""
        device = self.test.device
        if device is not None and device.zone is not None:
            return ZoneInfo(device.zone)
        return self._equipment.zones.get(self.test.meter_type, _UTC)

    def _password(self) -> str:
        if not self.test.password:
            return ""
        try:
            password = self._equipment.open_password(self.test.password)
        except SealedWithUnknownKey as error:
            raise NotConfigured("the password cannot be opened with this dialler's keys") from error
        self._secrets.add(password.encode("utf-8", "replace"))
        return password

    async def read(self, channel: Channel, driver: Driver, terms: Terms) -> None:
        """Runs the driver. Every way in which that fails, but being cancelled, becomes the attempt's outcome."""
        line = Line(channel, self._equipment.limits, self._equipment.clock, self._secrets, self._trace)
        phases = self._builder.phases
        phases.begin()
        try:
            await driver.read(line, terms, self._builder)
        except DiallerError as error:
            self.fail(error)
        except Exception as error:
            self.fault(error)
        phases.signed_off()
        try:
            self._data = self._builder.data()
        except ValueError as error:
            self.fault(error)
            self._builder = ReportBuilder()
        if isinstance(channel, OwnChannel):
            self._data = self._data.model_copy(update={"properties": (*self._data.properties, *channel.facts)})

    def fail(self, error: DiallerError) -> None:
        """The attempt ends by `error`."""
        self._error = error
        self.event(str(error))

    def event(self, text: str) -> None:
        """Something that happened to the call, for the trace."""
        self._trace.event(self._equipment.clock.now(), text)

    def fault(self, error: Exception) -> None:
        """A fault of our code: outside only its class is named, and a secret in its text reaches no log."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        _log.error(
            "fault while reading %s\n%s%s: %s",
            self.test.meter_type,
            frames,
            type(error).__name__,
            self._secrets.strike_text(str(error)),
            extra=about("test-fault", test_id=self.test.test_id, attempt=self.test.attempt),
        )
        fault = DriverFault(f"a fault in the dialler ({type(error).__name__})")
        fault.__cause__ = error
        self.fail(fault)

    def told(self, times: AttemptTimes, traceparent: str | None) -> Told:
        """The attempt's outcome."""
        verdict = judge(self._wanted, self._builder, self.test.serial_number or "", self._error)
        detail = self._shown(verdict.detail)
        sections = {
            section: SectionResult(
                state=result.state, error=None if result.error is None else self._shown(result.error)
            )
            for section, result in verdict.sections.items()
        }
        report = AttemptReport(
            call_id=self._call.call_id,
            test_id=self.test.test_id,
            attempt=self.test.attempt,
            client_id=self.test.client_id,
            meter_type=self.test.meter_type,
            outcome=verdict.outcome,
            failure=verdict.failure,
            detail=detail,
            times=times,
            sections=sections,
            data=self._data,
            wire_trace=self._trace.render(),
            traceparent=traceparent or self.test.traceparent,
        )
        finished = AttemptFinished(
            call_id=self._call.call_id,
            dialler=self._equipment.dialler,
            test_id=self.test.test_id,
            attempt=self.test.attempt,
            outcome=verdict.outcome,
            failure=verdict.failure,
            detail=detail,
            times=times,
            sections={section: result.state for section, result in sections.items()},
            traceparent=report.traceparent,
        )
        return Told(report, finished)

    def _shown(self, text: str) -> str:
        """`text` without secrets in characters and of a length that can be shown."""
        return printable(self._secrets.strike_text(text))[:MAX_DETAIL]


def _survey_range(test: GrantedTest, now: datetime) -> SurveyRange | None:
    """The days asked for, cut at `now`; None where nothing is left."""
    if test.survey_from is None or test.survey_days <= 0:
        return None
    start = datetime.combine(test.survey_from, time(), UTC)
    end = min(start + timedelta(days=test.survey_days), now)
    return SurveyRange(start, end) if start < end else None
