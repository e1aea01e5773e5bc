"""What a client asks to know: the parameters of test-status, batch-status, test-search and the cancels, checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mts_common import catalogue
from mts_gateway.fields import MAX_ID, Fields, QueryFields, known
from mts_gateway.new_test import MAX_ADDRESS, MAX_IDENTITY, MAX_REFERENCE
from mts_gateway.settings import Limits
from mts_gateway.strict_json import Members

STATUSES = ("ALL", "COMPLETED", "PENDING")

_TEST = known("testId")
_BATCH = known("batchId")
_BATCH_CANCEL = known("batchId", "deleteCompleted")
_SEARCH = known(
    "fromTime",
    "toTime",
    "requestReference",
    "meterType",
    "remoteAddress",
    "status",
    "limit",
    "offset",
    "reverseOrder",
)


@dataclass(frozen=True, slots=True)
class Search:
    """A search: received in [from_time, to_time), or up to now."""

    from_time: datetime
    to_time: datetime | None
    request_reference: str | None
    meter_type: str | None
    remote_address: str | None
    status: str
    limit: int
    offset: int
    reverse: bool


def query_test_id(query: bytes, faults: list[str]) -> int | None:
    """`testId` of a query."""
    return QueryFields(query, _TEST, faults).identifier("testId")


def query_batch_id(query: bytes, faults: list[str]) -> int | None:
    """`batchId` of a query."""
    return QueryFields(query, _BATCH, faults).identifier("batchId")


def body_test_id(body: object, faults: list[str]) -> int | None:
    """`testId` of a command."""
    if not isinstance(body, Members):
        faults.append("the body must be a JSON object")
        return None
    return Fields(body, _TEST, faults).identifier("testId")


def body_batch_cancel(body: object, faults: list[str]) -> tuple[int, bool] | None:
    """`batchId` and `deleteCompleted` of batch-cancel; None with a fault."""
    if not isinstance(body, Members):
        faults.append("the body must be a JSON object")
        return None
    fields = Fields(body, _BATCH_CANCEL, faults)
    batch_id, delete_completed = fields.identifier("batchId"), fields.flag("deleteCompleted")
    return None if batch_id is None else (batch_id, delete_completed)


def query_search(query: bytes, limits: Limits, now: datetime, faults: list[str]) -> Search | None:
    """The search that a query asks for; None with at least one fault."""
    fields = QueryFields(query, _SEARCH, faults)
    from_time = fields.time("fromTime") if fields.required("fromTime") else None
    to_time = fields.time("toTime")
    if from_time is not None:
        _check_range(fields, from_time, to_time or now, limits.max_search_days)
    meter_type = fields.text("meterType", MAX_IDENTITY)
    meter = catalogue.find(meter_type) if meter_type else None
    limit = fields.whole("limit", limits.max_search_limit)
    search = Search(
        from_time=from_time or now,
        to_time=to_time,
        request_reference=fields.text("requestReference", MAX_REFERENCE),
        meter_type=meter.name if meter else meter_type,
        remote_address=fields.text("remoteAddress", MAX_ADDRESS),
        status=fields.choice("status", STATUSES, "ALL"),
        limit=limits.default_search_limit if limit is None else limit,
        offset=fields.whole("offset", MAX_ID) or 0,
        reverse=fields.flag("reverseOrder"),
    )
    return None if faults else search


def _check_range(fields: QueryFields, from_time: datetime, to_time: datetime, most_days: int) -> None:
    if to_time < from_time:
        fields.fault("toTime", "must not be before fromTime (absent = now)")
    elif to_time - from_time > timedelta(days=most_days):
        fields.fault("toTime", f"is more than the limit of {most_days} days after fromTime (absent = now)")
