"""One call from dialling to hanging up, with fake lines and drivers."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_common import metrics, telemetry
from mts_common.messages import (
    AttemptTimes,
    CallFinished,
    FailureKind,
    GrantedCall,
    GrantedTest,
    NameValue,
    Outcome,
    Section,
    SectionState,
    TestAttempt,
    Transport,
)
from mts_common.security import Vault
from mts_dialler.attempt import Equipment, Told
from mts_dialler.channels.base import Channel
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.errors import (
    AddressForbidden,
    BadCredentials,
    ConnectRefused,
    DialBusy,
    DiallerError,
    LineDropped,
    MeterSilent,
)
from mts_dialler.line import Line
from mts_dialler.session import run_call
from mts_dialler.testing import ManualClock, OwnScriptedChannel, ScriptedChannel, eventually
from mts_stack.scrapes import Scrape

CALL_ID = UUID(int=5)
VAULT = Vault([Fernet.generate_key().decode()])
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Step = Callable[[Line, Terms, ReportBuilder], Awaitable[None]]


async def read_well(line: Line, terms: Terms, report: ReportBuilder) -> None:
    await line.send(b"/?!\r\n")
    report.serial_number = f"E{terms.test_id}"
    report.read(Section.SERIAL_NUMBER)
    report.read(Section.REGISTERS)


async def drop(line: Line, terms: Terms, report: ReportBuilder) -> None:
    report.serial_number = f"E{terms.test_id}"
    report.read(Section.SERIAL_NUMBER)
    raise LineDropped("the far end closed the connection")


def fail(error: Exception) -> Step:
    async def step(line: Line, terms: Terms, report: ReportBuilder) -> None:
        raise error

    return step


class StepDriver:
    """Does for each test its step; what it was given is kept."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.terms: list[Terms] = []
        self.signed_off = 0

    def sections(self, terms: Terms) -> frozenset[Section]:
        return frozenset({Section.SERIAL_NUMBER, Section.REGISTERS})

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        self.terms.append(terms)
        try:
            await self._steps.pop(0)(line, terms, report)
        finally:
            line.begin_sign_off()
            self.signed_off += 1


class FakeDial:
    def __init__(self, clock: ManualClock, *refusals: DiallerError | None) -> None:
        self._clock = clock
        self._refusals = list(refusals)
        self.channels: list[ScriptedChannel] = []
        self.dialled = 0

    async def __call__(self, call: GrantedCall) -> Channel:
        self.dialled += 1
        self._clock.advance(1.0)
        refusal = self._refusals.pop(0) if self._refusals else None
        if refusal is not None:
            raise refusal
        self.channels.append(ScriptedChannel())
        return self.channels[-1]


def a_test(test_id: int, **changes: object) -> GrantedTest:
    fields: dict[str, object] = {
        "test_id": test_id,
        "client_id": 1,
        "meter_type": "ELSTERA1700",
        "remote_address": "203.0.113.7:4059",
        "attempt": 10 + test_id,
        "tries": 0,
    }
    return GrantedTest.model_validate(fields | changes)


def a_call(*tests: GrantedTest, seconds_left: float | None = None) -> GrantedCall:
    return GrantedCall(
        call_id=CALL_ID,
        remote_address="203.0.113.7:4059",
        canonical_address="203.0.113.7:4059",
        transport=Transport.TCP,
        seconds_left=seconds_left,
        tests=tests,
    )


class Bench:
    """A dialler with fake drivers and lines."""

    def __init__(self, *steps: Step, refusals: tuple[DiallerError | None, ...] = ()) -> None:
        self.clock = ManualClock()
        self.driver = StepDriver(*steps)
        self.dial = FakeDial(self.clock, *refusals)
        self.told: list[Told] = []
        self.equipment = Equipment(
            dialler="d",
            drivers={"ELSTERA1700": self.driver},
            open_password=VAULT.open,
            clock=self.clock,
            shortest_call_seconds=20.0,
        )

    async def run(self, call: GrantedCall) -> CallFinished:
        window_ends = None if call.seconds_left is None else self.clock.monotonic() + call.seconds_left
        return await run_call(self.equipment, self.dial, call, self.told.append, window_ends)

    def outcomes(self) -> list[tuple[int, Outcome, FailureKind | None]]:
        return [(told.report.test_id, told.report.outcome, told.report.failure) for told in self.told]

    def traces(self) -> list[str]:
        return [gzip.decompress(told.report.wire_trace).decode() for told in self.told]


async def test_a_test_is_read_and_told_after_the_hang_up() -> None:
    bench = Bench(read_well)
    start = bench.clock.now()
    finished = await bench.run(a_call(a_test(1)))
    second = timedelta(seconds=1)
    [told] = bench.told
    assert told.report.times == AttemptTimes(
        started_at=start,
        ended_at=start + second,
        connection_started_at=start + second,
        connection_ended_at=start + second,
    )
    assert told.report.outcome is Outcome.SUCCESS
    assert told.report.data.serial_number == "E1"
    assert (told.finished.test_id, told.finished.attempt, told.finished.dialler) == (1, 11, "d")
    assert told.finished.sections == dict.fromkeys((Section.SERIAL_NUMBER, Section.REGISTERS), SectionState.READ)
    assert finished.tests == (TestAttempt(test_id=1, attempt=11),)
    assert finished.connection_ended_at == start + second
    assert bench.dial.channels[0].closed
    for word in ("dialling 203.0.113.7:4059", "connected", "2f3f210d0a", "hung up"):
        assert word in bench.traces()[0]


async def test_attempts_are_counted_by_how_they_ended_and_calls_are_timed(metered: Callable[[], Scrape]) -> None:
    before = metered()
    bench = Bench(read_well, refusals=(None, DialBusy("the number is in another call")))
    await bench.run(a_call(a_test(1)))
    await bench.run(a_call(a_test(2)))
    shown = metered()
    for labels in ({"mts_outcome": "success", "mts_failure": ""}, {"mts_outcome": "error", "mts_failure": "busy"}):
        ended = {**labels, "mts_transport": "tcp"}
        assert shown.value(metrics.ATTEMPTS, **ended) == before.value(metrics.ATTEMPTS, **ended) + 1
    for timed in (metrics.CALL_DURATION, metrics.ATTEMPT_DURATION):
        assert shown.value(timed) == before.value(timed) + 2


async def test_what_a_line_of_ours_is_like_stands_among_the_meters_properties_and_in_the_trace() -> None:
    bench = Bench(read_well)

    async def dial(call: GrantedCall) -> Channel:
        return OwnScriptedChannel()

    await run_call(bench.equipment, dial, a_call(a_test(1)), bench.told.append)
    assert bench.told[0].report.data.properties == (NameValue(name="Signal strength", value="-91 dBm"),)
    assert "connected, signal strength -91 dBm" in bench.traces()[0]


async def test_the_tests_of_a_call_share_its_line_and_only_the_last_knows_its_end() -> None:
    bench = Bench(read_well, read_well, read_well)
    await bench.run(a_call(a_test(1), a_test(2), a_test(3)))
    assert bench.dial.dialled == 1
    assert [told.report.times.connection_ended_at is not None for told in bench.told] == [False, False, True]
    assert len({told.report.times.started_at for told in bench.told}) == 1
    assert len({told.report.times.connection_started_at for told in bench.told}) == 1


async def test_one_tests_failure_leaves_the_others_whole() -> None:
    bench = Bench(read_well, fail(MeterSilent("the meter sent nothing for 10 s")), read_well)
    await bench.run(a_call(a_test(1), a_test(2), a_test(3)))
    assert bench.outcomes() == [
        (1, Outcome.SUCCESS, None),
        (2, Outcome.ERROR, FailureKind.METER_SILENT),
        (3, Outcome.SUCCESS, None),
    ]
    assert bench.told[1].report.detail == "the meter sent nothing for 10 s"
    assert bench.dial.dialled == 1


async def test_a_line_that_dropped_is_dialled_again_for_the_next_test() -> None:
    bench = Bench(drop, read_well)
    await bench.run(a_call(a_test(1), a_test(2)))
    assert bench.outcomes() == [(1, Outcome.PARTIAL, FailureKind.DROPPED), (2, Outcome.SUCCESS, None)]
    assert bench.dial.dialled == 2
    assert all(channel.closed for channel in bench.dial.channels)


async def test_an_address_that_no_longer_answers_is_not_dialled_for_every_test() -> None:
    bench = Bench(drop, refusals=(None, ConnectRefused("the connection was refused")))
    await bench.run(a_call(a_test(1), a_test(2), a_test(3)))
    assert bench.outcomes() == [
        (1, Outcome.PARTIAL, FailureKind.DROPPED),
        (2, Outcome.ERROR, FailureKind.NO_ANSWER),
        (3, Outcome.ERROR, FailureKind.NO_ANSWER),
    ]
    assert bench.dial.dialled == 2


async def test_a_refused_dial_ends_every_test_without_a_connection() -> None:
    bench = Bench(refusals=(AddressForbidden("203.0.113.7 is in no network that may be dialled"),))
    finished = await bench.run(a_call(a_test(1), a_test(2)))
    assert {told.report.failure for told in bench.told} == {FailureKind.ADDRESS_FORBIDDEN}
    assert {told.report.times.connection_started_at for told in bench.told} == {None}
    assert finished.connection_started_at is None
    assert bench.dial.dialled == 1


async def test_a_call_granted_too_late_is_not_dialled() -> None:
    bench = Bench()
    await bench.run(a_call(a_test(1), a_test(2), seconds_left=19))
    assert {told.report.failure for told in bench.told} == {FailureKind.WINDOW_CLOSED}
    assert bench.dial.dialled == 0


async def test_a_call_that_just_fits_is_dialled() -> None:
    bench = Bench(read_well)
    await bench.run(a_call(a_test(1), seconds_left=20))
    assert bench.outcomes() == [(1, Outcome.SUCCESS, None)]


async def test_no_test_of_a_call_begins_after_the_window() -> None:
    bench = Bench(read_well)
    await bench.run(a_call(a_test(1), a_test(2), seconds_left=20))
    assert bench.outcomes() == [(1, Outcome.SUCCESS, None), (2, Outcome.ERROR, FailureKind.WINDOW_CLOSED)]
    assert bench.dial.channels[0].closed


async def test_a_meter_type_without_a_driver_is_not_dialled() -> None:
    bench = Bench()
    await bench.run(a_call(a_test(1, meter_type="PREMIERPRI")))
    assert bench.outcomes() == [(1, Outcome.ERROR, FailureKind.CONFIGURATION)]
    assert bench.dial.dialled == 0


async def test_a_password_sealed_with_another_key_is_not_dialled() -> None:
    sealed = Vault([Fernet.generate_key().decode()]).seal("SECRET")
    bench = Bench()
    await bench.run(a_call(a_test(1, password=sealed)))
    assert bench.outcomes() == [(1, Outcome.ERROR, FailureKind.CONFIGURATION)]
    assert bench.dial.dialled == 0


async def test_the_driver_gets_the_opened_password_and_what_to_read() -> None:
    bench = Bench(read_well, read_well)
    today = bench.clock.now().date()
    await bench.run(
        a_call(
            a_test(1, password=VAULT.seal("SECRET"), outstation_address="7", serial_number="E1"),
            a_test(2, survey_days=3, survey_from=today - timedelta(days=2)),
        )
    )
    first, second = bench.driver.terms
    assert (first.password, first.outstation_address, first.serial_number) == ("SECRET", "7", "E1")
    assert (first.zone.key, first.survey) == ("UTC", None)
    midnight = datetime.combine(today, datetime.min.time(), UTC)
    assert second.survey == SurveyRange(midnight - timedelta(days=2), bench.clock.now())


async def test_a_survey_in_the_past_is_whole_days() -> None:
    bench = Bench(read_well)
    await bench.run(a_call(a_test(1, survey_days=2, survey_from=date(2026, 1, 10))))
    assert bench.driver.terms[0].survey == SurveyRange(
        datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC)
    )


async def test_a_password_is_in_no_trace_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def leak(line: Line, terms: Terms, report: ReportBuilder) -> None:
        await line.send(terms.password.encode())
        line.note(f"password {terms.password}")
        report.failed(Section.REGISTERS, f"refused {terms.password}")
        raise ValueError(f"cannot encode {terms.password}")

    bench = Bench(leak)
    with caplog.at_level(logging.DEBUG):
        await bench.run(a_call(a_test(1, password=VAULT.seal("SECRET"))))
    [told] = bench.told
    assert told.report.failure is FailureKind.INTERNAL
    assert told.report.detail == "a fault in the dialler (ValueError)"
    seen = caplog.text + bench.traces()[0] + told.report.model_dump_json() + told.finished.model_dump_json()
    assert "SECRET" not in seen
    assert b"SECRET".hex() not in seen
    assert "cannot encode **" in caplog.text


async def test_a_wrong_password_is_told_as_such() -> None:
    bench = Bench(fail(BadCredentials("the meter refused the password")))
    await bench.run(a_call(a_test(1)))
    assert bench.outcomes() == [(1, Outcome.ERROR, FailureKind.WRONG_PASSWORD)]


async def test_the_wrong_meter_is_partial_and_both_numbers_are_named() -> None:
    bench = Bench(read_well)
    await bench.run(a_call(a_test(1, serial_number="E2")))
    assert bench.outcomes() == [(1, Outcome.PARTIAL, FailureKind.WRONG_METER)]
    assert bench.told[0].report.sections[Section.SERIAL_NUMBER].error == "the meter's serial number is E1, not E2"


async def test_a_driver_that_collects_nonsense_is_an_internal_fault() -> None:
    async def nonsense(line: Line, terms: Terms, report: ReportBuilder) -> None:
        report.add_survey("kWh Import", "kWh", ["not a reading"])  # type: ignore[list-item]
        report.read(Section.REGISTERS)

    bench = Bench(nonsense)
    await bench.run(a_call(a_test(1)))
    assert bench.outcomes() == [(1, Outcome.ERROR, FailureKind.INTERNAL)]


async def test_a_fault_outside_the_driver_is_an_internal_fault_too() -> None:
    bench = Bench()

    async def crash(call: GrantedCall) -> Channel:
        raise KeyError(call.call_id)

    await run_call(bench.equipment, crash, a_call(a_test(1), a_test(2)), bench.told.append)
    assert {told.report.detail for told in bench.told} == {"a fault in the dialler (KeyError)"}
    assert {told.report.failure for told in bench.told} == {FailureKind.INTERNAL}


async def test_a_meters_long_words_are_cut() -> None:
    bench = Bench(fail(MeterSilent("x" * 10_000)))
    await bench.run(a_call(a_test(1)))
    assert len(bench.told[0].report.detail) == 300


async def test_cancelled_while_dialling_nothing_is_told() -> None:
    bench = Bench()
    dialling = asyncio.Event()

    async def ring(call: GrantedCall) -> Channel:
        dialling.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(run_call(bench.equipment, ring, a_call(a_test(1)), bench.told.append))
    await dialling.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert bench.told == []


async def test_cancelled_in_a_read_the_meter_is_signed_off_and_the_line_closed() -> None:
    async def listen(line: Line, terms: Terms, report: ReportBuilder) -> None:
        await line.receive(10.0)

    bench = Bench(read_well, listen)
    task = asyncio.create_task(bench.run(a_call(a_test(1), a_test(2), a_test(3))))
    await eventually(lambda: bool(bench.dial.channels) and bench.dial.channels[0].reading.is_set())
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert bench.outcomes() == [(1, Outcome.SUCCESS, None)]
    assert bench.driver.signed_off == 2
    assert bench.dial.channels[0].closed


async def test_cancelled_while_hanging_up_the_line_is_closed_and_the_test_not_told() -> None:
    closing = asyncio.Event()

    class SlowToClose(ScriptedChannel):
        async def close(self) -> None:
            closing.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.closed = True

    channel = SlowToClose()

    async def dial(call: GrantedCall) -> Channel:
        return channel

    bench = Bench(read_well)
    task = asyncio.create_task(run_call(bench.equipment, dial, a_call(a_test(1)), bench.told.append))
    await closing.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert bench.told == []
    assert channel.closed


async def test_the_spans_of_a_call_belong_to_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    other = PARENT.replace("0af7", "1bf7")
    bench = Bench(read_well, read_well)
    await bench.run(a_call(a_test(1, traceparent=PARENT), a_test(2, traceparent=other)))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"call", "dial", "test", "read section", "sign off", "hang up"}
    read = [span for span in exporter.get_finished_spans() if span.name == "read section"]
    sections = [(span.attributes or {})["mts.section"] for span in read]
    assert sections == ["serial_number", "registers"] * 2
    assert {(span.attributes or {})["mts.state"] for span in read} == {"read"}
    tests = {span.context.span_id for span in exporter.get_finished_spans() if span.name == "test" and span.context}
    assert {span.parent.span_id for span in read if span.parent} == tests
    assert all(before.end_time == after.start_time for before, after in zip(read[::2], read[1::2], strict=True))
    contexts = {span.name: span.get_span_context() for span in exporter.get_finished_spans()}
    context = contexts["call"]
    assert context is not None
    assert f"{context.trace_id:032x}" == PARENT.split("-")[1]
    assert [told.report.traceparent and told.report.traceparent.split("-")[1] for told in bench.told] == [
        PARENT.split("-")[1],
        other.split("-")[1],
    ]
    assert bench.told[1].report.traceparent == bench.told[1].finished.traceparent


async def test_a_device_s_own_zone_is_that_of_its_clock_else_its_meter_type_s() -> None:
    bench = Bench(read_well, read_well, read_well)
    equipment = replace(bench.equipment, zones={"ELSTERA1700": ZoneInfo("Europe/Paris")})
    device = {"device_id": "8796541235874587", "zone": "Europe/London"}
    call = a_call(a_test(1, device=device), a_test(2, device={**device, "zone": None}), a_test(3))
    await run_call(equipment, bench.dial, call, bench.told.append)
    assert [terms.zone.key for terms in bench.driver.terms] == ["Europe/London", "Europe/Paris", "Europe/Paris"]
