"""The OpenAPI document: complete, consistent, and as strict as the code. Every HTTP test checks its answers by it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract import Contract

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}


@pytest.fixture
def document(gateway: RunningGateway) -> dict[str, Any]:
    with gateway.http() as nobody:
        found: dict[str, Any] = nobody.get("/MTS/openapi.json").json()
        assert nobody.get("/openapi.json").json() == found
        return found


def test_every_endpoint_is_documented_and_nothing_else(document: dict[str, Any], gateway: RunningGateway) -> None:
    with gateway.http() as nobody:
        for path, verbs in document["paths"].items():
            real = re.sub(r"{\w+}", "1", path)
            allowed = nobody.put(real).headers["Allow"].split(", ")
            assert {verb.upper() for verb in verbs} == set(allowed)
    assert len(document["paths"]) == 28


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])


def test_methods_with_a_token_document_every_status_of_the_contract(document: dict[str, Any]) -> None:
    for verbs in document["paths"].values():
        for operation in verbs.values():
            if "security" not in operation:
                assert set(operation["responses"]) == {"200", "400", "401", "403", "429", "500", "503"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("requestReference", ["", None, "x" * 100, "x" * 101, 5]),
        ("immediate", ["", None, True, "true", 1]),
        ("meterType", ["", None, "ELSTERA1700", "PREMIERPRI", "NONE", 5]),
        ("remoteAddress", ["", None, "07777 000-000", "+44123", "h:1", "[::1]:80", "abc", 5]),
        ("comsSettings", ["", None, "7E1", "7e1", "7E11", 5]),
        ("outstationAddress", ["", None, "1", "1" * 65, 5]),
        ("serialNumber", ["", None, "x" * 64, "x" * 65, 5]),
        ("password", ["", None, "AAAA0000", "x" * 129, 5]),
        ("surveyDays", ["", None, 0, 100, 101, -1, 1.5, "1", True]),
        ("surveyDate", ["", None, "2026-01-31", "31.01.2026", 5]),
        ("unknown", [None, {"x": [1]}]),
    ],
)
def test_the_document_allows_the_requests_that_are_accepted(
    document: dict[str, Any], api: httpx.Client, name: str, values: list[object]
) -> None:
    contract = Contract(document)
    for value in values:
        body = LEAST | {name: value}
        accepted = api.post("/MTS/test-request", json=body).status_code == 200
        assert contract.takes("POST", "/MTS/test-request", body) == accepted, body
        batch = api.post("/MTS/batch-request", json=[body]).status_code == 200
        assert contract.takes("POST", "/MTS/batch-request", [body]) == batch, body


def test_the_document_shows_the_limits_in_force(start_gateway: Any) -> None:
    gateway = start_gateway(max_batch_tests=7, max_survey_days=8, max_search_limit=99, default_search_limit=9)
    with gateway.http() as nobody:
        text = nobody.get("/MTS/openapi.json").text
    for part in ('"maxItems":7', '"maximum":8', '"maximum":99,"default":9'):
        assert part in text
