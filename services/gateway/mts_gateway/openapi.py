"""The OpenAPI 3.1 document of the API, with the limits in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

from mts_common.catalogue import CATALOGUE
from mts_gateway import schemas
from mts_gateway.fields import MAX_ID
from mts_gateway.schemas import Schema, ref
from mts_gateway.settings import Limits

_TIME = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeat within 24 hours with the same key and body gets the first answer and creates nothing.",
    "schema": {"type": "string", "maxLength": 128, "pattern": "^[ -~]*$"},
}
_ACCEPT = {
    "name": "Accept",
    "in": "header",
    "description": "`application/json; dialect=flat` or `dialect=grouped` overrides the token's dialect.",
    "schema": {"type": "string"},
}


def document(limits: Limits) -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MTS API",
            "version": metadata.version("mts-gateway"),
            "description": "Tests electricity meters remotely. Parameter names are taken in any case of letters; null "
            'and "" mean that an optional parameter is absent; unknown parameters are ignored.',
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {**_commands(limits), **_queries(limits), **_admin(), **_service()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.components(limits),
        },
    }


def _commands(limits: Limits) -> Schema:
    batch = {"type": "array", "minItems": 1, "maxItems": limits.max_batch_tests, "items": ref("TestRequest")}
    return {
        "/MTS/test-request": {
            "post": _method("Request a test", ref("TestAccepted"), body=ref("TestRequest"), parameters=[_KEY])
        },
        "/MTS/batch-request": {
            "post": _method(
                "Request a batch of tests, all or none", ref("BatchAccepted"), body=batch, parameters=[_KEY]
            )
        },
        "/MTS/test-cancel": {"delete": _method("Cancel a pending test", ref("TestAccepted"), body=ref("TestCancel"))},
        "/MTS/batch-cancel": {
            "delete": _method("Cancel the pending tests of a batch", ref("BatchCancelled"), body=ref("BatchCancel"))
        },
    }


def _queries(limits: Limits) -> Schema:
    test_id, batch_id = _query("testId", _ID, required=True), _query("batchId", _ID, required=True)
    return {
        "/MTS/test-status": {
            "get": _method("What is known of a test", ref("TestStatus"), parameters=[test_id, _ACCEPT])
        },
        "/MTS/batch-status": {"get": _method("A summary of a batch", ref("BatchStatus"), parameters=[batch_id])},
        "/MTS/test-search": {"get": _method("Find tests", ref("Found"), parameters=_search(limits))},
        "/MTS/test-trace": {
            "get": _method("What went over the wire in an own test", ref("Trace"), parameters=[test_id])
        },
        "/MTS/limits": {"get": _method("The limits in force", ref("Limits"))},
        "/MTS/meter-types": {"get": _method("The catalogue", {"type": "array", "items": ref("MeterType")})},
    }


def _search(limits: Limits) -> list[Schema]:
    return [
        _query("fromTime", _TIME, required=True),
        _query("toTime", _TIME),
        _query("requestReference", {"type": "string", "maxLength": 100}),
        _query("meterType", {"type": "string", "maxLength": 64, "examples": list(CATALOGUE)[:1]}),
        _query("remoteAddress", {"type": "string", "maxLength": 400}),
        _query("status", {"enum": ["ALL", "COMPLETED", "PENDING"], "default": "ALL"}),
        _query(
            "limit",
            {
                "type": "integer",
                "minimum": 0,
                "maximum": limits.max_search_limit,
                "default": limits.default_search_limit,
            },
        ),
        _query("offset", {**_COUNT, "maximum": MAX_ID, "default": 0}),
        _query("reverseOrder", {"type": "boolean", "default": False}),
    ]


def _admin() -> Schema:
    clients = schemas.structure({"clients": {"type": "array", "items": ref("Client")}})
    tokens = schemas.structure({"tokens": {"type": "array", "items": ref("Token")}})
    deleted = schemas.structure({"tokenId": _ID})
    return {
        "/MTS/admin/clients": {
            "post": _method("Create a client", ref("Client"), body=ref("NewClient")),
            "get": _method("List the clients", clients),
        },
        "/MTS/admin/tokens": {
            "post": _method("Create a token; its secret is shown this once", ref("TokenSecret"), body=ref("NewToken")),
            "get": _method("List the tokens", tokens),
        },
        "/MTS/admin/tokens/{tokenId}": {"delete": _method("Delete a token", deleted, parameters=[_path("tokenId")])},
        "/MTS/admin/tests/{testId}/trace": {
            "get": _method("What went over the wire in a test", ref("Trace"), parameters=[_path("testId")])
        },
    }


def _service() -> Schema:
    health = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    return {
        "/MTS/service-status": {"get": _open("Version and status of the service", ref("ServiceStatus"))},
        "/MTS/openapi.json": {"get": _open("This document", {"type": "object"})},
        "/openapi.json": {"get": _open("This document", {"type": "object"})},
        "/health/live": {"get": _open("Whether the process works", health, {"503": _answer("It does not", health)})},
        "/health/ready": {"get": _open("Whether requests can be served", health, {"503": _answer("Not now", health)})},
    }


def _method(summary: str, answer: Schema, *, body: Schema | None = None, parameters: Sequence[Schema] = ()) -> Schema:
    method: dict[str, object] = {
        "summary": summary,
        "responses": {
            "200": _answer("Done", answer),
            "400": _answer("The request is not valid; nothing was done", ref("Details")),
            "401": _answer("There is no valid access token", ref("Details"), ("WWW-Authenticate",)),
            "403": _answer("The access token does not have the scope", ref("Details")),
            "429": _answer("The client has no calls left in this window", ref("TooMany"), ("Retry-After",)),
            "500": _answer("A fault of the server", ref("Details")),
            "503": _answer("Not now; asking again is safe", ref("Details"), ("Retry-After",)),
        },
    }
    if parameters:
        method["parameters"] = list(parameters)
    if body is not None:
        method["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return method


def _open(summary: str, answer: Schema, more: Mapping[str, object] | None = None) -> Schema:
    """A method that needs no token."""
    responses = {
        "200": _answer("Done", answer),
        "400": _answer("The request is not valid", ref("Details")),
        "500": _answer("A fault of the server", ref("Details")),
        "503": _answer("Not now", ref("Details"), ("Retry-After",)),
    }
    return {"summary": summary, "security": [], "responses": {**responses, **(more or {})}}


def _answer(description: str, schema: Schema, headers: Sequence[str] = ()) -> Schema:
    answer: dict[str, object] = {
        "description": description,
        "content": {"application/json; charset=utf-8": {"schema": schema}},
    }
    if headers:
        answer["headers"] = {name: {"required": True, "schema": {"type": "string"}} for name in headers}
    return answer


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _ID}
