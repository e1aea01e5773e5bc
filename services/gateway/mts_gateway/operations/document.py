"""The operators' part of the OpenAPI document."""

from __future__ import annotations

from mts_gateway.openapi_parts import method, path_parameter, query_parameter
from mts_gateway.operations.requests import DEFAULT_ROWS, MAX_OFFSET, MAX_ROWS, MAX_TEST_IDS, MAX_TEXT, SERVICES
from mts_gateway.schemas import COUNT, ID, ID_IN, STRING, TIME, Schema, list_of, optional, ref, structure

_TRANSPORT: Schema = {"enum": ["modem", "tcp"]}
_BOOLEAN: Schema = {"type": "boolean"}
_SERVICE: Schema = {"enum": list(SERVICES)}
_PAGE = [
    query_parameter("limit", {"type": "integer", "minimum": 0, "maximum": MAX_ROWS, "default": DEFAULT_ROWS}),
    query_parameter("offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}),
]


def paths() -> dict[str, Schema]:
    """The paths."""
    text: Schema = {"type": "string", "maxLength": MAX_TEXT}
    letter = [path_parameter("service", _SERVICE), path_parameter("deadLetterId")]
    return {
        "/MTS/admin/jobs": {
            "get": method(
                "The tests that wait for a call",
                ref("WaitingTests"),
                parameters=[
                    query_parameter("clientId", ID),
                    query_parameter("immediate", _BOOLEAN),
                    query_parameter("onHold", _BOOLEAN),
                    query_parameter("remoteAddress", text),
                    *_PAGE,
                ],
            )
        },
        "/MTS/admin/jobs/hold": {
            "post": method("Keep waiting tests from being called", ref("ChangedTests"), body=ref("HoldTests"))
        },
        "/MTS/admin/jobs/release": {
            "post": method("Let waiting tests be called", ref("ChangedTests"), body=ref("ReleaseTests"))
        },
        "/MTS/admin/lines": {"get": method("Diallers, running calls, quarantined addresses", ref("Lines"))},
        "/MTS/admin/lines/quarantine": {
            "delete": method("Call an address again", ref("QuarantineLifted"), body=ref("LiftQuarantine"))
        },
        "/MTS/admin/dead-letters": {
            "get": method(
                "What no service could handle",
                ref("DeadLetters"),
                parameters=[query_parameter("service", _SERVICE), query_parameter("queue", text), *_PAGE],
            )
        },
        "/MTS/admin/dead-letters/{service}/{deadLetterId}": {
            "get": method("A dead letter and what it says", ref("DeadLetter"), parameters=letter)
        },
        "/MTS/admin/dead-letters/{service}/{deadLetterId}/requeue": {
            "post": method("Put a dead letter back into its queue", ref("DeadLetterRequeued"), parameters=letter)
        },
    }


def components() -> dict[str, Schema]:
    """The shapes they refer to."""
    page: dict[str, Schema] = {"totalResultCount": COUNT, "resultCount": COUNT, "offset": COUNT}
    ids: Schema = {"type": "array", "items": ID_IN, "minItems": 1, "maxItems": MAX_TEST_IDS}
    letter = {"service": _SERVICE, "deadLetterId": ID}
    return {
        "WaitingTests": structure({**page, "jobs": list_of(_waiting_test())}),
        "HoldTests": structure({"testIds": ids}),
        "ReleaseTests": structure({"testIds": ids}, optional({"now": {"type": "boolean", "default": False}})),
        "ChangedTests": structure({"testIds": list_of(ID)}),
        "Lines": _lines(),
        "LiftQuarantine": structure({"remoteAddress": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}}),
        "QuarantineLifted": structure({"remoteAddress": STRING, "lifted": _BOOLEAN}),
        "DeadLetters": structure({**page, "deadLetters": list_of(ref("DeadLetter"))}),
        "DeadLetter": structure(
            {**letter, "queue": STRING, "kind": STRING, "reason": STRING, "size": COUNT, "diedTime": TIME},
            {"text": STRING},
        ),
        "DeadLetterRequeued": structure(letter),
    }


def _waiting_test() -> Schema:
    return structure(
        {
            "testId": ID,
            "clientId": ID,
            "meterType": STRING,
            "remoteAddress": STRING,
            "transport": _TRANSPORT,
            "immediate": _BOOLEAN,
            "onHold": _BOOLEAN,
            "attempts": COUNT,
            "tries": COUNT,
            "receivedTime": TIME,
        },
        {"readyTime": TIME, "failure": STRING},
    )


def _lines() -> Schema:
    dialler = {"dialler": STRING, "transport": _TRANSPORT, "lines": COUNT, "calls": COUNT, "leaseUntilTime": TIME}
    call = {
        "callId": STRING,
        "dialler": STRING,
        "clientId": ID,
        "remoteAddress": STRING,
        "transport": _TRANSPORT,
        "startTime": TIME,
        "testIds": list_of(ID),
    }
    address = {"remoteAddress": STRING, "untilTime": TIME, "reason": STRING}
    return structure(
        {
            "diallers": list_of(structure(dialler)),
            "calls": list_of(structure(call, {"notAfterTime": TIME})),
            "quarantine": list_of(structure(address)),
        }
    )
