"""Rows of the database as the JSON of the MTS API, in the shapes of either document.

What the meter's values are is not looked at: numbers are Decimals or PostgreSQL's own JSON text from end to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

import simplejson
from simplejson import RawJSON

from mts_common.messages import RegisterCategory

GROUPED = "grouped"
FLAT = "flat"
DIALECTS = (GROUPED, FLAT)
MASK = "********"


class Row(Protocol):
    """A row of the database, or anything else with named values."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a column."""


def to_json(value: object) -> bytes:
    """The body of an answer."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False).encode()


def show_time(moment: datetime) -> str:
    """A time as YYYY-MM-DDTHH:mm:ssZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def choose_dialect(accepts: Sequence[str], default: str) -> str:
    """The dialect that an Accept header asks for (`application/json; dialect=flat`), else `default`."""
    for media_range in ",".join(accepts).split(","):
        media_type, *parameters = (part.strip().lower() for part in media_range.split(";"))
        if media_type not in ("application/json", "application/*", "*/*"):
            continue
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "dialect" and value.strip().strip('"') in DIALECTS:
                return value.strip().strip('"')
    return default


def show_test(row: Row, dialect: str, password: str | None) -> dict[str, object]:
    """The answer to test-status. `row` is of the statement `status`; `password` is the text to show."""
    completed = row["completed"]
    shown: dict[str, object | None] = {
        "testId": row["test_id"],
        "requestReference": row["request_reference"],
        "meterType": row["meter_type"],
        "remoteAddress": row["remote_address"],
        "comsSettings": row["coms_settings"],
        "outstationAddress": row["outstation_address"],
        "serialNumber": row["serial_number_read"] if completed else row["serial_number"],
        "password": password,
        "surveyDays": row["survey_days"],
        "surveyDate": _day(row["survey_date"]),
        "result": row["result_summary"],
        "resultSummary": row["result_summary"],
        "testRequestTime": show_time(row["received_at"]),
        "testStartTime": _time(row["test_started_at"]),
        "testEndTime": _time(row["test_ended_at"]),
        "connectionStartTime": _time(row["connection_started_at"]),
        "connectionEndTime": _time(row["connection_ended_at"]),
    }
    if completed:
        shown |= _measured(row, dialect)
    return _present(shown)


def _measured(row: Row, dialect: str) -> dict[str, object | None]:
    return {
        "meterTime": row["meter_time"],
        "statusEvents": _raw(row["status_events"]),
        "meterProperties": _raw(row["meter_properties"]),
        "profileConfiguration": _raw(row["profile_configuration"]),
        **_registers(row["registers"], dialect),
        "surveyData": _raw(row["survey"]) if row["survey_days"] else None,
    }


def _registers(registers: Sequence[Row] | None, dialect: str) -> dict[str, object]:
    if registers is None:
        return {}
    if dialect == FLAT:
        names = ("name", "timestamp", "value", "units")
        return {"registerValues": [{name: register[name] for name in names} for register in registers]}
    groups = [
        {
            "category": category.value,
            "registerValues": [
                {name: register[name] for name in ("name", "value", "units")}
                for register in registers
                if register["category"] == category.value
            ],
        }
        for category in RegisterCategory
    ]
    filled = [group for group in groups if group["registerValues"]]
    return {"registers": filled, "registerValues": filled}


def show_batch(batch_id: int, rows: Sequence[Row]) -> dict[str, object]:
    """The answer to batch-status."""
    return {
        "batchId": batch_id,
        "totalCount": len(rows),
        "completedCount": sum(row["completed"] for row in rows),
        "status": [
            _present(
                {
                    "testId": row["test_id"],
                    "requestReference": row["request_reference"],
                    "meterType": row["meter_type"],
                    "remoteAddress": row["remote_address"],
                    "resultSummary": row["result_summary"],
                }
            )
            for row in rows
        ],
    }


def show_found(rows: Sequence[Row], offset: int) -> dict[str, object]:
    """The answer to test-search. `rows` are of the statement `search`."""
    results = [
        _present(
            {
                "testId": row["test_id"],
                "receivedTimestamp": show_time(row["received_at"]),
                "completedTimestamp": _time(row["completed_at"]),
                "batchId": row["batch_id"],
                "requestReference": row["request_reference"],
                "meterType": row["meter_type"],
                "remoteAddress": row["remote_address"],
                "resultSummary": row["result_summary"],
            }
        )
        for row in rows
        if row["test_id"] is not None
    ]
    return {"totalResultCount": rows[0]["total"], "resultCount": len(results), "offset": offset, "results": results}


def show_client(row: Row) -> dict[str, object]:
    """A client, as the admin API shows it."""
    return _present(
        {
            "clientId": row["client_id"],
            "name": row["name"],
            "createdTime": show_time(row["created_at"]),
            "runWindows": row["run_windows"],
        }
    )


def show_token(row: Row) -> dict[str, object]:
    """A token without its secret, as the admin API shows it."""
    return {
        "tokenId": row["token_id"],
        "clientId": row["client_id"],
        "scopes": list(row["scopes"]),
        "dialect": row["dialect"],
        "createdTime": show_time(row["created_at"]),
        "expiresTime": show_time(row["expires_at"]),
    }


def _present(shown: Mapping[str, object | None]) -> dict[str, object]:
    return {name: value for name, value in shown.items() if value is not None}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else show_time(moment)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _raw(text: str | None) -> RawJSON | None:
    return None if text is None else RawJSON(text)
