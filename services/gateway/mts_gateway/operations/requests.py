"""What operators send, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mts_common.operator_messages import ChangeJobs, JobChange, LiftQuarantine, ListDeadLetters, ListJobs
from mts_gateway.fields import MAX_ID, Fields, QueryFields, known
from mts_gateway.strict_json import Members

SERVICES = ("gateway", "scheduler", "results")
DEFAULT_ROWS = 100
MAX_ROWS = 1000
MAX_OFFSET = 100_000
MAX_TEST_IDS = 1000
MAX_TEXT = 400

_JOBS = known("clientId", "immediate", "onHold", "remoteAddress", "limit", "offset")
_HOLD = known("testIds")
_RELEASE = known("testIds", "now")
_LIFT = known("remoteAddress")
_LETTERS = known("service", "queue", "limit", "offset")


class LettersWanted(NamedTuple):
    """Which dead letters are asked for, and of which services."""

    services: tuple[str, ...]
    asked: ListDeadLetters


def jobs_wanted(query: bytes, faults: list[str]) -> ListJobs:
    """Which waiting tests are asked for; only to be used if no fault was added."""
    fields = QueryFields(query, _JOBS, faults)
    client_id = fields.identifier("clientId") if fields.value("clientId") is not None else None
    return ListJobs(
        client_id=client_id,
        immediate=_either(fields, "immediate"),
        on_hold=_either(fields, "onHold"),
        address=fields.text("remoteAddress", MAX_TEXT),
        limit=_limit(fields),
        offset=fields.whole("offset", MAX_OFFSET) or 0,
    )


def letters_wanted(query: bytes, faults: list[str]) -> LettersWanted:
    """Which dead letters are asked for; only to be used if no fault was added."""
    fields = QueryFields(query, _LETTERS, faults)
    service = fields.choice("service", SERVICES, "")
    asked = ListDeadLetters(
        queue=fields.text("queue", MAX_TEXT), limit=_limit(fields), offset=fields.whole("offset", MAX_OFFSET) or 0
    )
    if not service and asked.limit + asked.offset > MAX_ROWS:
        fields.fault("offset", f"and limit are over {MAX_ROWS} together: name a service")
    return LettersWanted((service,) if service else SERVICES, asked)


def hold_wanted(body: object, faults: list[str]) -> ChangeJobs:
    """Which tests are to be held; only to be used if no fault was added."""
    fields = _object(body, _HOLD, faults)
    return ChangeJobs(change=JobChange.HOLD, test_ids=_test_ids(fields))


def release_wanted(body: object, faults: list[str]) -> ChangeJobs:
    """Which tests are to be released, and how; only to be used if no fault was added."""
    fields = _object(body, _RELEASE, faults)
    change = JobChange.RELEASE_NOW if fields.flag("now") else JobChange.RELEASE
    return ChangeJobs(change=change, test_ids=_test_ids(fields))


def lift_wanted(body: object, faults: list[str]) -> LiftQuarantine:
    """Which address is to be called again; only to be used if no fault was added."""
    fields = _object(body, _LIFT, faults)
    address = fields.text("remoteAddress", MAX_TEXT) if fields.required("remoteAddress") else None
    return LiftQuarantine(address=address or "")


def _object(body: object, names: Mapping[str, str], faults: list[str]) -> Fields:
    if not isinstance(body, Members):
        faults.append("the body must be a JSON object")
        return Fields((), names, [])
    return Fields(body, names, faults)


def _either(fields: QueryFields, name: str) -> bool | None:
    return None if fields.value(name) is None else fields.flag(name)


def _limit(fields: QueryFields) -> int:
    limit = fields.whole("limit", MAX_ROWS)
    return DEFAULT_ROWS if limit is None else limit


def _test_ids(fields: Fields) -> tuple[int, ...]:
    given = fields.value("testIds")
    if not isinstance(given, list) or isinstance(given, Members) or not 1 <= len(given) <= MAX_TEST_IDS:
        fields.fault("testIds", f"must be a list of 1 to {MAX_TEST_IDS} ids")
        return ()
    faults: list[str] = []
    ids = [Fields([("id", each)], known("id"), faults).identifier("id") for each in given]
    if faults:
        fields.fault("testIds", f"must be a list of whole numbers from 1 to {MAX_ID}")
    return tuple(test_id for test_id in ids if test_id is not None)
