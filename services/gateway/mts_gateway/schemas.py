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

STRING: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
ID_IN: Schema = {"anyOf": [ID, {"type": "string", "pattern": "^0*[1-9][0-9]{0,18}$"}]}
TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
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


def list_of(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def _text(most: int, **more: object) -> Schema:
    return {"type": "string", "maxLength": most, **more}


def optional(schemas: Mapping[str, Schema]) -> Mapping[str, Schema]:
    """Request parameters that may be absent, null or empty."""
    return {name: {"anyOf": [schema, {"type": "null"}, {"const": ""}]} for name, schema in schemas.items()}


def _names(supported: bool) -> Sequence[str]:
    return [meter.name for meter in CATALOGUE.values() if meter.supported or not supported]


def _requests(limits: Limits) -> Mapping[str, Schema]:
    address = r"^(\+?[0-9]([0-9 -]*[0-9])?|(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5})$"
    return {
        "TestRequest": structure(
            {"meterType": {"enum": _names(supported=True)}, "remoteAddress": _text(400, pattern=address)},
            optional(
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
        "TestCancel": structure({"testId": ID_IN}),
        "BatchCancel": structure(
            {"batchId": ID_IN}, optional({"deleteCompleted": {"type": "boolean", "default": False}})
        ),
    }


def _answers() -> Mapping[str, Schema]:
    details: Mapping[str, Schema] = {"details": {"type": "array", "items": STRING, "minItems": 1}}
    return {
        "Details": structure(details),
        "TooMany": structure({**details, "retryAfter": {"type": "integer", "minimum": 1}}),
        "TestAccepted": structure({"testId": ID}),
        "BatchAccepted": structure({"batchId": ID}),
        "BatchCancelled": structure({"batchId": ID, "cancelledCount": COUNT}),
        "ServiceStatus": structure(
            {"serviceVersion": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"}, "status": STRING}
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
                COUNT,
            )
        ),
        "MeterType": structure(
            {
                "meterType": {"enum": _names(supported=False)},
                "transports": list_of({"enum": ["modem", "tcp"]}),
                "supported": {"type": "boolean"},
            }
        ),
    }


def _results() -> Mapping[str, Schema]:
    value = {"name": STRING, "value": _VALUE, "units": STRING}
    summary = {"testId": ID, "meterType": STRING, "remoteAddress": STRING, "resultSummary": _OUTCOME}
    reading = structure({"timestamp": TIME, "value": {"type": "number"}}, {"status": list_of(STRING)})
    frame = dict.fromkeys(("time", "direction", "hex", "note"), STRING)
    group = structure(
        {
            "category": {"enum": [category.value for category in RegisterCategory]},
            "registerValues": list_of(structure(value)),
        }
    )
    return {
        "RegisterGroups": list_of(group),
        "FlatRegisters": list_of(structure({**value, "timestamp": TIME})),
        "Survey": list_of(structure({"name": STRING, "units": STRING, "readings": list_of(reading)})),
        "TestStatus": _test_status(),
        "BatchStatus": structure(
            {
                "batchId": ID,
                "totalCount": COUNT,
                "completedCount": COUNT,
                "status": list_of(structure(summary, {"requestReference": STRING})),
            }
        ),
        "Found": structure(
            {
                "totalResultCount": COUNT,
                "resultCount": COUNT,
                "offset": COUNT,
                "results": list_of(
                    structure(
                        {**summary, "receivedTimestamp": TIME},
                        {"completedTimestamp": TIME, "batchId": ID, "requestReference": STRING},
                    )
                ),
            }
        ),
        "Trace": structure(
            {
                "testId": ID,
                "attempts": list_of(
                    structure(
                        {
                            "attempt": COUNT,
                            "startTime": TIME,
                            "endTime": TIME,
                            "result": _OUTCOME,
                            "frames": list_of(structure(frame)),
                        }
                    )
                ),
            },
            {
                "traceId": {
                    "type": "string",
                    "pattern": "^[0-9a-f]{32}$",
                    "description": "OpenTelemetry's, of the request",
                }
            },
        ),
    }


def _test_status() -> Schema:
    times = ("testStartTime", "testEndTime", "connectionStartTime", "connectionEndTime")
    texts = ("requestReference", "comsSettings", "outstationAddress", "serialNumber", "password", "meterTime")
    return structure(
        {
            "testId": ID,
            "meterType": {"enum": _names(supported=False)},
            "remoteAddress": STRING,
            "surveyDays": COUNT,
            "result": _OUTCOME,
            "resultSummary": _OUTCOME,
            "testRequestTime": TIME,
        },
        {
            **dict.fromkeys(texts, STRING),
            **dict.fromkeys(times, TIME),
            "surveyDate": _DAY,
            "statusEvents": list_of(STRING),
            "meterProperties": list_of(structure({"name": STRING, "value": STRING})),
            "profileConfiguration": list_of(STRING),
            "registers": ref("RegisterGroups"),
            "registerValues": {"anyOf": [ref("RegisterGroups"), ref("FlatRegisters")]},
            "surveyData": ref("Survey"),
        },
    )


def _administration() -> Mapping[str, Schema]:
    clock: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}
    window = structure({"opens": clock, "closes": clock, "zone": STRING})
    token = {
        "tokenId": ID,
        "clientId": ID,
        "scopes": list_of({"enum": list(SCOPES)}),
        "dialect": {"enum": list(DIALECTS)},
        "createdTime": TIME,
        "expiresTime": TIME,
    }
    days = {"type": "integer", "minimum": 1, "maximum": MAX_VALID_DAYS, "default": DEFAULT_VALID_DAYS}
    return {
        "RunWindow": window,
        "Client": structure(
            {"clientId": ID, "name": STRING, "createdTime": TIME}, {"runWindows": list_of(ref("RunWindow"))}
        ),
        "NewClient": structure(
            {"name": _text(MAX_NAME, minLength=1)},
            optional({"runWindows": {"type": "array", "items": ref("RunWindow"), "minItems": 1, "maxItems": 50}}),
        ),
        "Token": structure(token),
        "TokenSecret": structure({**token, "token": STRING}),
        "NewToken": structure(
            {},
            optional(
                {
                    "client": ID_IN,
                    "clientId": {**ID_IN, "description": "the same as client; one of the two is required"},
                    "scopes": {"type": "array", "items": {"enum": list(SCOPES)}, "minItems": 1},
                    "validDays": days,
                    "dialect": {"enum": list(DIALECTS)},
                }
            ),
        ),
    }
