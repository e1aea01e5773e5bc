"""The OpenAPI 3.1 document of the API, with the limits in force."""

from __future__ import annotations

from importlib import metadata

from mts_common.catalogue import CATALOGUE
from mts_gateway import schemas
from mts_gateway.fields import MAX_ID
from mts_gateway.openapi_parts import method, open_method, path_parameter, query_parameter, response
from mts_gateway.operations import document as operations
from mts_gateway.registry import document as registry
from mts_gateway.schemas import COUNT, ID, TIME, Schema, ref
from mts_gateway.settings import Limits

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
        "paths": {
            **_commands(limits),
            **_queries(limits),
            **_admin(),
            **operations.paths(),
            **registry.paths(),
            **_service(),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas.components(limits), **operations.components(), **registry.components()},
        },
    }


def _commands(limits: Limits) -> Schema:
    batch = {"type": "array", "minItems": 1, "maxItems": limits.max_batch_tests, "items": ref("TestRequest")}
    return {
        "/MTS/test-request": {
            "post": method("Request a test", ref("TestAccepted"), body=ref("TestRequest"), parameters=[_KEY])
        },
        "/MTS/batch-request": {
            "post": method("Request a batch of tests, all or none", ref("BatchAccepted"), body=batch, parameters=[_KEY])
        },
        "/MTS/test-cancel": {"delete": method("Cancel a pending test", ref("TestAccepted"), body=ref("TestCancel"))},
        "/MTS/batch-cancel": {
            "delete": method("Cancel the pending tests of a batch", ref("BatchCancelled"), body=ref("BatchCancel"))
        },
    }


def _queries(limits: Limits) -> Schema:
    test_id, batch_id = query_parameter("testId", ID, required=True), query_parameter("batchId", ID, required=True)
    return {
        "/MTS/test-status": {
            "get": method("What is known of a test", ref("TestStatus"), parameters=[test_id, _ACCEPT])
        },
        "/MTS/batch-status": {"get": method("A summary of a batch", ref("BatchStatus"), parameters=[batch_id])},
        "/MTS/test-search": {"get": method("Find tests", ref("Found"), parameters=_search(limits))},
        "/MTS/test-trace": {
            "get": method("What went over the wire in an own test", ref("Trace"), parameters=[test_id])
        },
        "/MTS/limits": {"get": method("The limits in force", ref("Limits"))},
        "/MTS/meter-types": {"get": method("The catalogue", {"type": "array", "items": ref("MeterType")})},
    }


def _search(limits: Limits) -> list[Schema]:
    return [
        query_parameter("fromTime", TIME, required=True),
        query_parameter("toTime", TIME),
        query_parameter("requestReference", {"type": "string", "maxLength": 100}),
        query_parameter("meterType", {"type": "string", "maxLength": 64, "examples": list(CATALOGUE)[:1]}),
        query_parameter("remoteAddress", {"type": "string", "maxLength": 400}),
        query_parameter("status", {"enum": ["ALL", "COMPLETED", "PENDING"], "default": "ALL"}),
        query_parameter(
            "limit",
            {
                "type": "integer",
                "minimum": 0,
                "maximum": limits.max_search_limit,
                "default": limits.default_search_limit,
            },
        ),
        query_parameter("offset", {**COUNT, "maximum": MAX_ID, "default": 0}),
        query_parameter("reverseOrder", {"type": "boolean", "default": False}),
    ]


def _admin() -> Schema:
    clients = schemas.structure({"clients": {"type": "array", "items": ref("Client")}})
    tokens = schemas.structure({"tokens": {"type": "array", "items": ref("Token")}})
    deleted = schemas.structure({"tokenId": ID})
    return {
        "/MTS/admin/clients": {
            "post": method("Create a client", ref("Client"), body=ref("NewClient")),
            "get": method("List the clients", clients),
        },
        "/MTS/admin/tokens": {
            "post": method("Create a token; its secret is shown this once", ref("TokenSecret"), body=ref("NewToken")),
            "get": method("List the tokens", tokens),
        },
        "/MTS/admin/tokens/{tokenId}": {
            "delete": method("Delete a token", deleted, parameters=[path_parameter("tokenId")])
        },
        "/MTS/admin/tests/{testId}/trace": {
            "get": method("What went over the wire in a test", ref("Trace"), parameters=[path_parameter("testId")])
        },
    }


def _service() -> Schema:
    health = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    return {
        "/MTS/service-status": {"get": open_method("Version and status of the service", ref("ServiceStatus"))},
        "/MTS/openapi.json": {"get": open_method("This document", {"type": "object"})},
        "/openapi.json": {"get": open_method("This document", {"type": "object"})},
        "/health/live": {
            "get": open_method("Whether the process works", health, {"503": response("It does not", health)})
        },
        "/health/ready": {
            "get": open_method("Whether requests can be served", health, {"503": response("Not now", health)})
        },
    }
