"""What MTS sends and is sent, with the property names of the MTS API as aliases.

Responses ignore properties that they do not know ("Future compatibility"). Numbers are `Decimal`, exactly as sent.
Times are aware and UTC; the samples of the API leave the `Z` out, which means UTC too.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)
from pydantic.alias_generators import to_camel


def _as_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _sendable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("this is not valid text (an unpaired surrogate)") from error
    return text


UtcTime = Annotated[datetime, AfterValidator(_as_utc)]
Sendable = Annotated[str, AfterValidator(_sendable)]


class Dialect(enum.StrEnum):
    """The two shapes of a test's registers."""

    GROUPED = "grouped"
    FLAT = "flat"


class SearchStatus(enum.StrEnum):
    """Which tests a search finds."""

    ALL = "ALL"
    COMPLETED = "COMPLETED"
    PENDING = "PENDING"


class Outcome(enum.Enum):
    """What a `resultSummary` says, without the details of an error."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL SUCCESS"
    ERROR = "ERROR"


class ApiModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


class MeterTest(ApiModel):
    """A test to be made (test-request). The server is the judge of every value; None or a default is not sent."""

    request_reference: Sendable | None = None
    immediate: bool = False
    meter_type: Sendable
    remote_address: Sendable
    coms_settings: Sendable | None = None
    outstation_address: Sendable | None = None
    serial_number: Sendable | None = None
    password: SecretStr | None = None
    survey_days: int = 0
    survey_date: date | None = None

    def body(self) -> dict[str, Any]:
        """The JSON object of test-request, the password in clear."""
        body = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if self.password is not None:
            body["password"] = self.password.get_secret_value()
        return body


class _Summarised(ApiModel):
    result_summary: str = Field(validation_alias=AliasChoices("resultSummary", "result"))

    @property
    def outcome(self) -> Outcome:
        """The kind of the result; a summary of no known kind counts as an error."""
        try:
            return Outcome(self.result_summary)
        except ValueError:
            return Outcome.ERROR

    @property
    def is_completed(self) -> bool:
        return self.outcome is not Outcome.PENDING


class NamedValue(ApiModel):
    """One of a test's `meterProperties`."""

    name: str
    value: str = ""


class RegisterValue(ApiModel):
    """A register; `timestamp` in the flat dialect only, `value` a text where the meter's value is no number."""

    name: str
    timestamp: UtcTime | None = None
    value: Decimal | str = ""
    units: str = ""


class RegisterGroup(ApiModel):
    """The registers of one category (grouped dialect)."""

    category: str
    register_values: tuple[RegisterValue, ...] = ()


class SurveyReading(ApiModel):
    """`timestamp` is the start of the period; `status` names why the meter flags the reading as suspect."""

    timestamp: UtcTime
    value: Decimal
    status: tuple[str, ...] = ()


class SurveyChannel(ApiModel):
    """The survey of one channel; periods that the meter did not record are absent."""

    name: str
    units: str = ""
    readings: tuple[SurveyReading, ...] = ()


class MeterTestStatus(_Summarised):
    """The answer of test-status in either dialect."""

    test_id: int
    request_reference: str | None = None
    meter_type: str
    remote_address: str
    coms_settings: str | None = None
    outstation_address: str | None = None
    password: SecretStr | None = None
    survey_days: int = 0
    survey_date: date | None = None
    test_request_time: UtcTime | None = None
    test_start_time: UtcTime | None = None
    test_end_time: UtcTime | None = None
    connection_start_time: UtcTime | None = None
    connection_end_time: UtcTime | None = None
    serial_number: str | None = None
    meter_time: str | None = None
    status_events: tuple[str, ...] | None = None
    meter_properties: tuple[NamedValue, ...] | None = None
    profile_configuration: tuple[str, ...] | None = None
    registers: tuple[RegisterGroup, ...] | None = None
    register_values: tuple[RegisterGroup | RegisterValue, ...] | None = None
    survey_data: tuple[SurveyChannel, ...] | None = None

    @property
    def register_groups(self) -> tuple[RegisterGroup, ...]:
        """The registers by category; those of the flat dialect, which has none, under the category `""`."""
        if self.registers is not None:
            return self.registers
        values = self.register_values or ()
        groups = tuple(value for value in values if isinstance(value, RegisterGroup))
        flat = tuple(value for value in values if isinstance(value, RegisterValue))
        return (*groups, RegisterGroup(category="", register_values=flat)) if flat else groups


class BatchedTest(_Summarised):
    """One test in batch-status."""

    test_id: int
    request_reference: str | None = None
    meter_type: str
    remote_address: str


class BatchStatus(ApiModel):
    """The answer of batch-status, `status` in the order of the request."""

    batch_id: int
    total_count: int
    completed_count: int
    status: tuple[BatchedTest, ...]

    @property
    def is_completed(self) -> bool:
        return self.completed_count >= self.total_count


class BatchCancelled(ApiModel):
    """The answer of batch-cancel."""

    batch_id: int
    cancelled_count: int


class FoundTest(_Summarised):
    """One test in test-search."""

    test_id: int
    received_timestamp: UtcTime
    completed_timestamp: UtcTime | None = None
    batch_id: int | None = None
    request_reference: str | None = None
    meter_type: str
    remote_address: str


class Search(ApiModel):
    """What to search for (test-search): tests received in [from_time, to_time), both aware, cut to whole seconds.

    `remote_address` matches a part, the other texts the whole. `limit` is the size of a page, 0 for the count alone.
    """

    from_time: AwareDatetime
    to_time: AwareDatetime | None = None
    request_reference: Sendable | None = None
    meter_type: Sendable | None = None
    remote_address: Sendable | None = None
    status: SearchStatus | None = None
    limit: int | None = None
    offset: int | None = None
    reverse_order: bool = False

    def query(self) -> dict[str, str]:
        """The query parameters of test-search."""
        given = self.model_dump(by_alias=True, exclude_defaults=True)
        return {name: query_text(value) for name, value in given.items()}


def query_text(value: object) -> str:
    """A value of a query parameter; an aware time in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).lower() if isinstance(value, bool) else str(value)


class SearchPage(ApiModel):
    """The answer of test-search; `total_result_count` counts all matches, not this page's."""

    total_result_count: int
    result_count: int
    offset: int
    results: tuple[FoundTest, ...] = ()


class ServiceStatus(ApiModel):
    """The answer of service-status."""

    service_version: str
    status: str


class Limits(ApiModel):
    """The answer of limits."""

    calls_per_window: int
    window_seconds: int
    max_batch_tests: int
    max_survey_days: int
    max_search_days: int
    max_search_limit: int
    default_search_limit: int
    max_body_bytes: int


class MeterType(ApiModel):
    """One meter type of the server's catalogue; a request for one that is not `supported` is refused."""

    meter_type: str
    transports: tuple[str, ...]
    supported: bool


class TraceFrame(ApiModel):
    """`direction` is `tx`, `rx`, or `--` for an event; struck-out bytes stand as `**` in `hex`.

    `time` is None for a note about the trace itself, which the server sends with an empty one.
    """

    time: Annotated[UtcTime | None, BeforeValidator(_none_if_empty)] = None
    direction: str
    hex: str = ""
    note: str = ""


class TraceAttempt(ApiModel):
    """One attempt of a test and what went over the wire."""

    attempt: int
    start_time: UtcTime | None = None
    end_time: UtcTime | None = None
    result: str = ""
    frames: tuple[TraceFrame, ...] = ()


class WireTrace(ApiModel):
    """The answer of test-trace. `trace_id` is the request's in the tracing system, in hexadecimal digits."""

    test_id: int
    trace_id: str | None = None
    attempts: tuple[TraceAttempt, ...]


class ApiClient(ApiModel):
    """An owner of tokens."""

    client_id: int
    name: str
    created_time: UtcTime | None = None


class Token(ApiModel):
    """An API access token without its secret."""

    token_id: int
    client_id: int | None = None
    scopes: tuple[str, ...] = ()
    dialect: Dialect | None = None
    created_time: UtcTime | None = None
    expires_time: UtcTime | None = None


class NewToken(Token):
    """A token just made; `token` is its secret, shown by the server this once."""

    token: SecretStr
