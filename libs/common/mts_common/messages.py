"""Everything the services tell and ask each other, as frozen models.

An AMQP body is JSON `{"v": 1, "items": [...]}`: messages carry lists. The kind stands in the AMQP `type` property and
is the routing key. Unknown fields are ignored, so that a newer teller may add some; a body that is not of this form
raises `MalformedMessage`. Decimals travel as strings, times as ISO 8601 in UTC, so that no reading is ever rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

VERSION = 1


class MalformedMessage(ValueError):
    """A body that no retry can make readable: not JSON, not our envelope, or not the kind's fields."""


class Message(BaseModel):
    """One fact or question; `kind` is its AMQP type and routing key."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False
    )

    kind: ClassVar[str]


AnyMessage = TypeVar("AnyMessage", bound=Message)


class _Envelope(BaseModel, Generic[AnyMessage]):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    v: Literal[1]
    items: list[AnyMessage]


def encode(items: Sequence[Message]) -> bytes:
    """The body that carries `items`, all of one kind."""
    return to_json({"v": VERSION, "items": items}, bytes_mode="base64")


def decode(model: type[AnyMessage], body: bytes) -> list[AnyMessage]:
    """The items in `body`. Raises `MalformedMessage`, whose text never repeats the input: what lies below the field of
    an item is not named, because the keys of a mapping are input.
    """
    try:
        return _Envelope[model].model_validate_json(body).items  # type: ignore[valid-type]
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'][:3]))}: {fault['msg']}" for fault in error.errors(include_input=False)
        )
        raise MalformedMessage(f"{model.kind}: {faults}") from None


class Transport(StrEnum):
    MODEM = "modem"
    TCP = "tcp"


class Outcome(StrEnum):
    """How an attempt, or a whole test, ended."""

    SUCCESS = "success"
    PARTIAL = "partial"
    ERROR = "error"


class FailureKind(StrEnum):
    """Why an attempt is not a success. The scheduler's retry policy has one line for each."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"  # also TCP: refused, unreachable, name not resolved, connect timed out
    NO_CARRIER = "no_carrier"
    DROPPED = "dropped"  # the line went away in the call
    METER_SILENT = "meter_silent"
    METER_REFUSED = "meter_refused"
    GARBLED = "garbled"
    TOO_LONG = "too_long"  # the call passed its time limit
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    PASSWORD_UNANSWERED = "password_unanswered"  # noqa: S105 - it may have been refused, or the line lost it
    WRONG_METER = "wrong_meter"  # another serial number than the one asked for
    ADDRESS_FORBIDDEN = "address_forbidden"
    CONFIGURATION = "configuration"  # the request cannot be carried out as it stands
    LINE_FAULT = "line_fault"  # our own line: no dial tone, modem mute
    WINDOW_CLOSED = "window_closed"  # granted, but too late to dial
    DIALLER_LOST = "dialler_lost"
    INTERNAL = "internal"  # a fault of our code


class Section(StrEnum):
    """The parts of a report, each read or failed on its own."""

    SERIAL_NUMBER = "serial_number"
    CLOCK = "clock"
    STATUS_EVENTS = "status_events"
    PROPERTIES = "properties"
    REGISTERS = "registers"
    PROFILE_CONFIGURATION = "profile_configuration"
    SURVEY = "survey"


class SectionState(StrEnum):
    """In rising order of worth; a section that was not asked for, or that the meter type has not got, is not listed."""

    FAILED = "failed"
    PARTIAL = "partial"
    READ = "read"


class RegisterCategory(StrEnum):
    ENERGY = "Energy"
    INSTANTANEOUS = "Instantaneous"
    MISCELLANEOUS = "Miscellaneous"
    TIME_OF_USE = "Time of Use"


class Part(BaseModel):
    """A value inside a message."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def zone_key(name: str) -> str:
    """`name`, if it is that of an IANA time zone. Raises ValueError: ZoneInfo itself raises whatever its files do."""
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        raise ValueError("not an IANA time zone") from None


class RunWindow(Part):
    """When overnight tests may run: daily, `opens` to `closes` wall clock in `zone`; over midnight if not later."""

    opens: time
    closes: time
    zone: Annotated[str, AfterValidator(zone_key)]


class RegisteredDevice(Part):
    """The registry's device that a test reads. `zone` is that of its clock; None = the meter type's."""

    device_id: str
    serial_number: str | None = None
    zone: Annotated[str, AfterValidator(zone_key)] | None = None


class TestTerms(Part):
    """What is to be read from which meter: the part of a request that the dialler needs.

    `password` is a token of `security.Vault`, never the text. `survey_from` is a UTC day; the survey is
    [survey_from, survey_from + survey_days) cut at the time of reading. `device` is None where the registry has none.
    """

    __test__ = False

    test_id: int
    client_id: int
    meter_type: str
    remote_address: str
    outstation_address: str | None = None
    serial_number: str | None = None
    password: str | None = Field(default=None, repr=False)
    survey_days: int = 0
    survey_from: date | None = None
    device: RegisteredDevice | None = None
    traceparent: str | None = None


class TestRequested(TestTerms, Message):
    """gateway → scheduler, results: a test was accepted."""

    kind = "test.requested"

    batch_id: int | None = None
    request_reference: str | None = None
    received_at: AwareDatetime
    immediate: bool
    transport: Transport
    canonical_address: str
    coms_settings: str | None = None
    run_windows: tuple[RunWindow, ...] | None = None


class NameValue(Part):
    name: str
    value: str


class MeterClock(Part):
    """`meter_time`: what the meter showed, in UTC; `offset_seconds`: meter minus true time when the answer arrived."""

    meter_time: AwareDatetime
    offset_seconds: int


class RegisterReading(Part):
    """`number` where the meter's value is numeric, exactly as shown; else `text`."""

    category: RegisterCategory
    name: str
    number: Decimal | None = None
    text: str | None = None
    units: str = ""
    read_at: AwareDatetime


class SurveyReading(NamedTuple):
    """`start` of the period in UTC; `status` says in plain words why a reading is suspect."""

    start: datetime
    value: Decimal
    status: tuple[str, ...] = ()


class SurveyChannel(Part):
    name: str
    units: str
    readings: tuple[SurveyReading, ...]


class SectionResult(Part):
    state: SectionState
    error: str | None = None


class MeterData(Part):
    """What one attempt read."""

    serial_number: str | None = None
    clock: MeterClock | None = None
    status_events: tuple[str, ...] = ()
    properties: tuple[NameValue, ...] = ()
    registers: tuple[RegisterReading, ...] = ()
    profile_configuration: tuple[str, ...] = ()
    survey: tuple[SurveyChannel, ...] = ()


class AttemptTimes(Part):
    started_at: AwareDatetime
    ended_at: AwareDatetime
    connection_started_at: AwareDatetime | None = None
    connection_ended_at: AwareDatetime | None = None


class AttemptReport(Message):
    """dialler → results: all that one attempt read, and its wire trace (gzip of JSON lines, see `wire_trace`)."""

    kind = "attempt.report"

    call_id: UUID
    test_id: int
    attempt: int
    client_id: int
    meter_type: str
    outcome: Outcome
    failure: FailureKind | None = None
    detail: str = ""
    times: AttemptTimes
    sections: dict[Section, SectionResult] = {}
    data: MeterData = MeterData()
    wire_trace: bytes = b""
    traceparent: str | None = None


class AttemptReportPart(Message):
    """dialler → results: one of `parts` slices of an encoded `AttemptReport` body that is too large for one message."""

    kind = "attempt.report-part"

    test_id: int
    attempt: int
    part: int
    parts: int
    body: bytes


class AttemptFinished(Message):
    """dialler → scheduler: how an attempt ended. Published after its report was confirmed."""

    kind = "attempt.finished"

    call_id: UUID
    dialler: str
    test_id: int
    attempt: int
    outcome: Outcome
    failure: FailureKind | None = None
    detail: str = ""
    times: AttemptTimes
    sections: dict[Section, SectionState] = {}
    traceparent: str | None = None


class TestAttempt(Part):
    __test__ = False

    test_id: int
    attempt: int


class CallFinished(Message):
    """dialler → scheduler (frees the address), results (the connection's end): the line is down."""

    kind = "call.finished"

    call_id: UUID
    dialler: str
    tests: tuple[TestAttempt, ...]
    connection_started_at: AwareDatetime | None = None
    connection_ended_at: AwareDatetime | None = None
    ended_at: AwareDatetime


class TestFinished(Message):
    """scheduler → results: the final word. `attempt` names the report that must be there; None = none was ever made."""

    __test__ = False
    kind = "test.finished"

    test_id: int
    attempt: int | None = None
    outcome: Outcome
    failure: FailureKind | None = None
    detail: str = ""
    finished_at: AwareDatetime
    traceparent: str | None = None


class TestCancelled(Message):
    """scheduler → results: the test is gone, with its results if it had any."""

    __test__ = False
    kind = "test.cancelled"

    test_id: int
    cancelled_at: AwareDatetime


class CumulativeReading(NamedTuple):
    """A register's value at a time; `name` is that of an energy register or of a survey channel `… (total)`."""

    name: str
    read_at: AwareDatetime
    value: Decimal


class ReadingsStored(Message):
    """results → gateway: readings of a device that were not stored before, or differ from what was.

    `registers` are all cumulative readings among them; `first_measurement` and `last_measurement` the starts of the
    first and the last survey period, None if there is none.
    """

    kind = "readings.stored"

    device_id: str
    registers: tuple[CumulativeReading, ...] = ()
    first_measurement: AwareDatetime | None = None
    last_measurement: AwareDatetime | None = None


# --- request/reply: each request has one reply type, and both travel in lists of equal length


class CallWant(Message):
    """dialler → scheduler: I hold `free_lines` lines. Answered when there is work, or empty after `wait_seconds`."""

    kind = "call.want"

    dialler: str
    nonce: UUID
    transport: Transport
    free_lines: int = Field(ge=1)
    number_filter: str = ""
    wait_seconds: float = 5.0


class GrantedTest(TestTerms):
    """`attempt` is the fencing number; `tries` counts the tries used before this one."""

    attempt: int
    tries: int


class GrantedCall(Part):
    """One call: `tests` share the line and its settings.

    `seconds_left`: of the run window, by the database's clock when the ask was answered; None = bound to none. It is a
    length of time because the dialler's wall clock may be wrong.
    """

    call_id: UUID
    remote_address: str
    canonical_address: str
    transport: Transport
    coms_settings: str | None = None
    seconds_left: float | None = None
    tests: tuple[GrantedTest, ...]


class CallGrant(Message):
    """scheduler → dialler: the reply to `CallWant`; the same nonce always gets the same calls."""

    kind = "call.grant"

    nonce: UUID
    calls: tuple[GrantedCall, ...]


class DiallerAlive(Message):
    """dialler → scheduler: I live, these are my calls. The lease in the reply counts from the sending of this."""

    kind = "dialler.alive"

    dialler: str
    transport: Transport
    lines: int
    calls: tuple[UUID, ...]


class DiallerLease(Message):
    """scheduler → dialler: `lost` are calls that are no longer yours; hang them up."""

    kind = "dialler.lease"

    dialler: str
    lease_seconds: float
    lost: tuple[UUID, ...]


class CallReleased(Message):
    """dialler → scheduler: given back undone at shutdown; costs no try."""

    kind = "call.released"

    dialler: str
    call_id: UUID


class CallReleasedReply(Message):
    kind = "call.released-reply"

    call_id: UUID


class CancelTests(Message):
    """gateway → scheduler: remove these tests if they are held; with `delete_completed` also if they are done."""

    kind = "test.cancel"

    test_ids: tuple[int, ...]
    delete_completed: bool = False


class CancelReply(Message):
    kind = "test.cancel-reply"

    cancelled: tuple[int, ...]
    deleted: tuple[int, ...]


class SettleRequests(Message):
    """gateway → scheduler, results: which of these accepted tests have reached you?"""

    kind = "settle.requests"

    test_ids: tuple[int, ...]


class SettleRequestsReply(Message):
    """`cancelled` and `deleted` are those of `known` that were; only the scheduler names them."""

    kind = "settle.requests-reply"

    known: tuple[int, ...]
    cancelled: tuple[int, ...] = ()
    deleted: tuple[int, ...] = ()


class SettleOutcomes(Message):
    """scheduler → results: which of these outcomes and cancels have you? `finished` name the attempts they stand on."""

    kind = "settle.outcomes"

    finished: tuple[tuple[int, int | None], ...] = ()
    cancelled: tuple[int, ...] = ()


class SettleOutcomesReply(Message):
    """`settled`: done, do not ask again. `unreported`: the outcome is here, the attempt's report is lost."""

    kind = "settle.outcomes-reply"

    settled: tuple[int, ...]
    unreported: tuple[int, ...]


def all_kinds() -> dict[str, type[Message]]:
    """Every message by its kind."""
    found: dict[str, type[Message]] = {}
    pending = list(Message.__subclasses__())
    while pending:
        model = pending.pop()
        pending += model.__subclasses__()
        found[model.kind] = model
    return found
