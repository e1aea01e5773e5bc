"""The shapes of the API's bodies as JSON Schema, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mts_common.catalogue import CATALOGUE
from mts_common.messages import RegisterCategory
from mts_gateway.clients import DEFAULT_VALID_DAYS, MAX_NAME, MAX_VALID_DAYS, SCOPES
from mts_gateway.fields import MAX_ID
from mts_gateway.new_test import MAX_IDENTITY, MAX_PASSWORD, MAX_REFERENCE
from mts_gateway.render import DIALECTS
from mts_gateway.settings import Limits

Schema = Mapping[str, object]

_STRING: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_ID_IN: Schema = {"anyOf": [_ID, {"type": "string", "pattern": "^0*[1-9][0-9]{0,18}$"}]}
_TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
_DAY: Schema = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_OUTCOME: Schema = {"type": "string", "pattern": "^(PENDING|SUCCESS|PARTIAL SUCCESS|ERROR: .*)$"}
_VALUE: Schema = {"type": ["number", "string"]}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def structure(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object; further properties may come with time."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def components(limits: Limits) -> Schema:
    """Every named shape."""
    return {**_requests(limits), **_answers(), **_results(), **_administration()}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _text(most: int, **more: object) -> Schema:
    return {"type": "string", "maxLength": most, **more}


def _optional(schemas: Mapping[str, Schema]) -> Mapping[str, Schema]:
    """Request parameters that may be absent, null or empty."""
    return {name: {"anyOf": [schema, {"type": "null"}, {"const": ""}]} for name, schema in schemas.items()}


def _names(supported: bool) -> Sequence[str]:
    return [meter.name for meter in CATALOGUE.values() if meter.supported or not supported]


def _requests(limits: Limits) -> Mapping[str, Schema]:
    address = r"^(\+?[0-9]([0-9 -]*[0-9])?|(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5})$"
    return {
        "TestRequest": structure(
            {"meterType": {"enum": _names(supported=True)}, "remoteAddress": _text(400, pattern=address)},
            _optional(
                {
                    "requestReference": _text(MAX_REFERENCE),
                    "immediate": {"type": "boolean", "default": False},
                    "comsSettings": _text(3, pattern="^[78][NEOMS][12]$"),
                    "outstationAddress": _text(MAX_IDENTITY),
                    "serialNumber": _text(MAX_IDENTITY),
                    "password": _text(MAX_PASSWORD, format="password"),
                    "surveyDays": {"type": "integer", "minimum": 0, "maximum": limits.max_survey_days, "default": 0},
                    "surveyDate": _DAY,
                }
            ),
        ),
        "TestCancel": structure({"testId": _ID_IN}),
        "BatchCancel": structure(
            {"batchId": _ID_IN}, _optional({"deleteCompleted": {"type": "boolean", "default": False}})
        ),
    }


def _answers() -> Mapping[str, Schema]:
    details: Mapping[str, Schema] = {"details": {"type": "array", "items": _STRING, "minItems": 1}}
    return {
        "Details": structure(details),
        "TooMany": structure({**details, "retryAfter": {"type": "integer", "minimum": 1}}),
        "TestAccepted": structure({"testId": _ID}),
        "BatchAccepted": structure({"batchId": _ID}),
        "BatchCancelled": structure({"batchId": _ID, "cancelledCount": _COUNT}),
        "ServiceStatus": structure(
            {"serviceVersion": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"}, "status": _STRING}
        ),
        "Limits": structure(
            dict.fromkeys(
                (
                    "callsPerWindow",
                    "windowSeconds",
                    "maxBatchTests",
                    "maxSurveyDays",
                    "maxSearchDays",
                    "maxSearchLimit",
                    "defaultSearchLimit",
                    "maxBodyBytes",
                ),
                _COUNT,
            )
        ),
        "MeterType": structure(
            {
                "meterType": {"enum": _names(supported=False)},
                "transports": _list({"enum": ["modem", "tcp"]}),
                "supported": {"type": "boolean"},
            }
        ),
    }


def _results() -> Mapping[str, Schema]:
    value = {"name": _STRING, "value": _VALUE, "units": _STRING}
    summary = {"testId": _ID, "meterType": _STRING, "remoteAddress": _STRING, "resultSummary": _OUTCOME}
    reading = structure({"timestamp": _TIME, "value": {"type": "number"}}, {"status": _list(_STRING)})
    frame = dict.fromkeys(("time", "direction", "hex", "note"), _STRING)
    group = structure(
        {
            "category": {"enum": [category.value for category in RegisterCategory]},
            "registerValues": _list(structure(value)),
        }
    )
    return {
        "RegisterGroups": _list(group),
        "FlatRegisters": _list(structure({**value, "timestamp": _TIME})),
        "Survey": _list(structure({"name": _STRING, "units": _STRING, "readings": _list(reading)})),
        "TestStatus": _test_status(),
        "BatchStatus": structure(
            {
                "batchId": _ID,
                "totalCount": _COUNT,
                "completedCount": _COUNT,
                "status": _list(structure(summary, {"requestReference": _STRING})),
            }
        ),
        "Found": structure(
            {
                "totalResultCount": _COUNT,
                "resultCount": _COUNT,
                "offset": _COUNT,
                "results": _list(
                    structure(
                        {**summary, "receivedTimestamp": _TIME},
                        {"completedTimestamp": _TIME, "batchId": _ID, "requestReference": _STRING},
                    )
                ),
            }
        ),
        "Trace": structure(
            {
                "testId": _ID,
                "attempts": _list(
                    structure(
                        {
                            "attempt": _COUNT,
                            "startTime": _TIME,
                            "endTime": _TIME,
                            "result": _OUTCOME,
                            "frames": _list(structure(frame)),
                        }
                    )
                ),
            }
        ),
    }


def _test_status() -> Schema:
    times = ("testStartTime", "testEndTime", "connectionStartTime", "connectionEndTime")
    texts = ("requestReference", "comsSettings", "outstationAddress", "serialNumber", "password", "meterTime")
    return structure(
        {
            "testId": _ID,
            "meterType": {"enum": _names(supported=False)},
            "remoteAddress": _STRING,
            "surveyDays": _COUNT,
            "result": _OUTCOME,
            "resultSummary": _OUTCOME,
            "testRequestTime": _TIME,
        },
        {
            **dict.fromkeys(texts, _STRING),
            **dict.fromkeys(times, _TIME),
            "surveyDate": _DAY,
            "statusEvents": _list(_STRING),
            "meterProperties": _list(structure({"name": _STRING, "value": _STRING})),
            "profileConfiguration": _list(_STRING),
            "registers": ref("RegisterGroups"),
            "registerValues": {"anyOf": [ref("RegisterGroups"), ref("FlatRegisters")]},
            "surveyData": ref("Survey"),
        },
    )


def _administration() -> Mapping[str, Schema]:
    clock: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}
    window = structure({"opens": clock, "closes": clock, "zone": _STRING})
    token = {
        "tokenId": _ID,
        "clientId": _ID,
        "scopes": _list({"enum": list(SCOPES)}),
        "dialect": {"enum": list(DIALECTS)},
        "createdTime": _TIME,
        "expiresTime": _TIME,
    }
    days = {"type": "integer", "minimum": 1, "maximum": MAX_VALID_DAYS, "default": DEFAULT_VALID_DAYS}
    return {
        "RunWindow": window,
        "Client": structure(
            {"clientId": _ID, "name": _STRING, "createdTime": _TIME}, {"runWindows": _list(ref("RunWindow"))}
        ),
        "NewClient": structure(
            {"name": _text(MAX_NAME, minLength=1)},
            _optional({"runWindows": {"type": "array", "items": ref("RunWindow"), "minItems": 1, "maxItems": 50}}),
        ),
        "Token": structure(token),
        "TokenSecret": structure({**token, "token": _STRING}),
        "NewToken": structure(
            {},
            _optional(
                {
                    "client": _ID_IN,
                    "clientId": {**_ID_IN, "description": "the same as client; one of the two is required"},
                    "scopes": {"type": "array", "items": {"enum": list(SCOPES)}, "minItems": 1},
                    "validDays": days,
                    "dialect": {"enum": list(DIALECTS)},
                }
            ),
        ),
    }
