"""docs/openapi.json and docs/asyncapi.yaml are valid, and say what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mts_common import topology
from mts_common.messages import CancelTests, encode
from mts_stack.contracts import ASYNCAPI, OPENAPI, asyncapi, asyncapi_text, openapi_text

SCHEMA = Path(__file__).parent / "asyncapi-3.0.0.json"


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_openapi_document_is_what_the_gateway_serves() -> None:
    assert OPENAPI.read_text("utf-8") == openapi_text(), "run make contracts"


def test_the_asyncapi_document_is_what_the_messages_and_the_topology_make() -> None:
    assert ASYNCAPI.read_text("utf-8") == asyncapi_text(), "run make contracts"


def test_the_asyncapi_document_is_valid() -> None:
    document = yaml.safe_load(ASYNCAPI.read_text("utf-8"))
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)


@pytest.mark.parametrize("file", [OPENAPI, ASYNCAPI], ids=lambda file: file.name)
def test_every_reference_of_a_document_leads_somewhere(file: Path) -> None:
    document = yaml.safe_load(file.read_text("utf-8"))
    found = references(document)
    assert found
    for reference in found:
        resolve(document, reference)


def test_every_queue_is_a_channel_and_every_kind_a_message() -> None:
    document = asyncapi()
    queues = {queue.name for queue in (*topology.EVENT_QUEUES, *topology.REQUEST_QUEUES)}
    assert set(document["channels"]) == queues | {"replies"}
    kinds = {kind.kind for queue in topology.EVENT_QUEUES for kind in queue.kinds}
    kinds |= {kind.kind for queue in topology.REQUEST_QUEUES for kind in (queue.kind, queue.reply)}
    assert set(document["components"]["messages"]) == kinds


def test_a_message_is_as_its_schema_says() -> None:
    document = asyncapi()
    payload = {**document["components"]["messages"]["test.cancel"]["payload"], "components": document["components"]}
    validator = jsonschema.Draft202012Validator(payload)
    validator.validate(json.loads(encode([CancelTests(test_ids=(1, 2))])))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"v": 1, "items": [{"test_ids": "1"}]})
