"""The messages on the wire: golden files, unknown fields, and what is not a message."""

import contextlib
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_common import messages as m
from mts_common import operator_messages as o

GOLDEN = Path(__file__).parent / "golden"
CALL = UUID("6f1c1f0e-3a52-4c38-9d3a-0a4f6f5d2b11")
NONCE = UUID("0b8f6c2d-27a4-4a6f-8f5e-2a9d4a1c7e33")
AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TIMES = m.AttemptTimes(started_at=AT, ended_at=AT, connection_started_at=AT, connection_ended_at=AT)
TERMS = {
    "test_id": 1234,
    "client_id": 7,
    "meter_type": "ELSTERA1700",
    "remote_address": "07777000000",
    "outstation_address": "1",
    "serial_number": "12345678",
    "password": "gAAAAA",
    "survey_days": 10,
    "survey_from": date(2026, 3, 19),
    "device": {"device_id": "8796541235874587", "serial_number": "12345678", "zone": "Europe/London"},
    "traceparent": TRACE,
}
DATA = m.MeterData(
    serial_number="K04M01234",
    clock=m.MeterClock(meter_time=AT, offset_seconds=-203),
    status_events=("Lid/terminal cover tamper",),
    properties=(m.NameValue(name="CT\\VT ratios", value="CT: 600:5 VT: 1:1"),),
    registers=(
        m.RegisterReading(
            category=m.RegisterCategory.ENERGY,
            name="Active Energy Import",
            number=Decimal("000102.280"),
            units="kWh",
            read_at=AT,
        ),
        m.RegisterReading(category=m.RegisterCategory.MISCELLANEOUS, name="Firmware", text="B40", read_at=AT),
    ),
    profile_configuration=("kWh Import",),
    survey=(
        m.SurveyChannel(
            name="kWh Import",
            units="kWh",
            readings=(
                m.SurveyReading(AT, Decimal("0.00000")),
                m.SurveyReading(AT, Decimal("6.1725"), ("power down",)),
            ),
        ),
    ),
)
SAMPLES: list[m.Message] = [
    m.TestRequested.model_validate(
        TERMS
        | {
            "batch_id": 3,
            "request_reference": "ABC",
            "received_at": AT,
            "immediate": False,
            "transport": "modem",
            "canonical_address": "+447777000000",
            "coms_settings": "7E1",
            "run_windows": [{"opens": time(22), "closes": time(6), "zone": "Europe/London"}],
        }
    ),
    m.AttemptReport(
        call_id=CALL,
        test_id=1234,
        attempt=2,
        client_id=7,
        meter_type="ELSTERA1700",
        outcome=m.Outcome.PARTIAL,
        failure=m.FailureKind.WRONG_METER,
        detail="asked for 1, got 2",
        times=TIMES,
        sections={m.Section.CLOCK: m.SectionResult(state=m.SectionState.READ)},
        data=DATA,
        wire_trace=b"\x1f\x8b\xff\x00",
        traceparent=TRACE,
    ),
    m.AttemptReportPart(test_id=1234, attempt=2, part=1, parts=2, body=b"\x00\xff"),
    m.AttemptFinished(
        call_id=CALL,
        dialler="dialler-1",
        test_id=1234,
        attempt=2,
        outcome=m.Outcome.SUCCESS,
        times=TIMES,
        sections={m.Section.SURVEY: m.SectionState.PARTIAL},
    ),
    m.CallFinished(call_id=CALL, dialler="dialler-1", tests=(m.TestAttempt(test_id=1234, attempt=2),), ended_at=AT),
    m.TestFinished(test_id=1234, attempt=None, outcome=m.Outcome.ERROR, detail="dialler lost", finished_at=AT),
    m.TestCancelled(test_id=1234, cancelled_at=AT),
    m.ReadingsStored(
        device_id="8796541235874587",
        registers=(
            m.CumulativeReading("Active Energy Import", AT, Decimal("000102.280")),
            m.CumulativeReading("kWh Import (total)", AT, Decimal("0.00000")),
        ),
        first_measurement=AT,
        last_measurement=AT,
    ),
    m.CallWant(dialler="dialler-1", nonce=NONCE, transport=m.Transport.TCP, free_lines=3),
    m.CallGrant(
        nonce=NONCE,
        calls=(
            m.GrantedCall(
                call_id=CALL,
                remote_address="10.2.3.4:3400",
                canonical_address="10.2.3.4:3400",
                transport=m.Transport.TCP,
                seconds_left=5400.5,
                tests=(m.GrantedTest.model_validate(TERMS | {"attempt": 2, "tries": 1}),),
            ),
        ),
    ),
    m.DiallerAlive(dialler="dialler-1", transport=m.Transport.TCP, lines=20, calls=(CALL,)),
    m.DiallerLease(dialler="dialler-1", lease_seconds=120.0, lost=(CALL,)),
    m.CallReleased(dialler="dialler-1", call_id=CALL),
    m.CallReleasedReply(call_id=CALL),
    m.CancelTests(test_ids=(1, 2), delete_completed=True),
    m.CancelReply(cancelled=(1,), deleted=(2,)),
    m.SettleRequests(test_ids=(1, 2)),
    m.SettleRequestsReply(known=(1, 2, 3), cancelled=(2,), deleted=(3,)),
    m.SettleOutcomes(finished=((1, 2), (2, None)), cancelled=(3,)),
    m.SettleOutcomesReply(settled=(1,), unreported=(2,)),
    o.ListJobs(client_id=7, immediate=False, on_hold=True, address="0777", limit=10, offset=20),
    o.ListJobsReply(
        total=21,
        jobs=(
            o.HeldJob(
                test_id=1234,
                client_id=7,
                meter_type="ELSTERA1700",
                remote_address="07777000000",
                transport=m.Transport.MODEM,
                immediate=False,
                ready_at=None,
                attempts=2,
                tries=1,
                failure=m.FailureKind.BUSY,
                received_at=AT,
            ),
        ),
    ),
    o.ChangeJobs(change=o.JobChange.RELEASE_NOW, test_ids=(1, 2)),
    o.ChangeJobsReply(changed=(1,)),
    o.ListLines(limit=10),
    o.ListLinesReply(
        diallers=(
            o.DiallerSession(dialler="dialler-1", transport=m.Transport.MODEM, lines=8, calls=1, lease_until=AT),
        ),
        calls=(
            o.RunningCall(
                call_id=CALL,
                dialler="dialler-1",
                client_id=7,
                remote_address="07777000000",
                transport=m.Transport.MODEM,
                started_at=AT,
                not_after=AT,
                test_ids=(1234,),
            ),
        ),
        quarantine=(o.QuarantinedAddress(address="+447777000000", until=AT, reason="lost by dialler-1"),),
    ),
    o.LiftQuarantine(address="+447777000000"),
    o.LiftQuarantineReply(lifted=True),
    o.ListDeadLetters(queue="results.reports", ids=(1, 2), limit=10, offset=20, with_text=True),
    o.ListDeadLettersReply(
        total=21,
        letters=(
            o.DeadLetter(
                id=2,
                queue="results.reports",
                message_kind="attempt.report",
                reason="Rejected: poison",
                size=2,
                died_at=AT,
                text="{}",
            ),
        ),
    ),
    o.RequeueDeadLetters(ids=(1, 2)),
    o.RequeueDeadLettersReply(requeued=(1,)),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_message_is_written_as_its_golden_file_and_read_back_whole(sample: m.Message) -> None:
    body = m.encode([sample])
    assert json.loads(body) == json.loads((GOLDEN / f"{sample.kind}.json").read_text())
    assert m.decode(type(sample), body) == [sample]


def test_every_kind_has_a_sample_here() -> None:
    assert {sample.kind for sample in SAMPLES} == set(m.all_kinds())


def test_decimals_keep_every_digit() -> None:
    [report] = m.decode(m.AttemptReport, m.encode([SAMPLES[1]]))
    assert str(report.data.registers[0].number) == "102.280"
    assert str(report.data.survey[0].readings[0].value) == "0.00000"


def test_an_unknown_field_is_ignored() -> None:
    body = b'{"v":1,"later":1,"items":[{"test_ids":[1],"later":true}]}'
    assert m.decode(m.SettleRequests, body) == [m.SettleRequests(test_ids=(1,))]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"v":2,"items":[]}', b'{"v":1}', b'{"v":1,"items":[{}]}', b'{"v":1,"items":{}}']
)
def test_what_is_not_a_message_is_malformed(body: bytes) -> None:
    with pytest.raises(m.MalformedMessage):
        m.decode(m.SettleRequests, body)


def test_a_malformed_message_s_error_does_not_repeat_its_content() -> None:
    body = m.encode([SAMPLES[0]]).replace(b'"survey_days":10', b'"survey_days":"hunter2"')
    with pytest.raises(m.MalformedMessage) as raised:
        m.decode(m.TestRequested, body)
    assert "survey_days" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_password_does_not_show_in_a_repr() -> None:
    assert "gAAAAA" not in repr(SAMPLES)


@given(st.binary())
def test_garbage_is_malformed_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(m.MalformedMessage):
        m.decode(m.AttemptReport, body)
