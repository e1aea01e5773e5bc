"""docs/openapi.json and docs/asyncapi.yaml: what the gateway serves, and what the services tell each other.

`python -m mts_stack.contracts` writes both anew.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mts_common import amqp, topology
from mts_common.messages import Message
from mts_common.topology import EventQueue, RequestQueue
from mts_gateway import openapi
from mts_gateway.settings import GatewaySettings
from mts_stack.paths import ROOT

OPENAPI = ROOT / "docs" / "openapi.json"
ASYNCAPI = ROOT / "docs" / "asyncapi.yaml"

_ABOUT = """\
What the services of MTS tell and ask each other over RabbitMQ. Made by `make contracts`; not to be edited by hand.

A body is `{"v": 1, "items": [...]}` in JSON, gzipped where `content_encoding` says so; the AMQP `type` names the kind
of its items. Events are persistent, go to a topic exchange under their kind, and reach each consumer any number of
times in any order. Requests are transient, coalesced, and answered to `reply_to` by a list of equal length.
"""

Document = dict[str, Any]


def openapi_text() -> str:
    """The OpenAPI document of a gateway with the limits that it has if nothing is set."""
    limits = GatewaySettings.model_construct().limits
    return json.dumps(openapi.document(limits), indent=2, ensure_ascii=False) + "\n"


def asyncapi_text() -> str:
    """The AsyncAPI document."""
    return yaml.dump(asyncapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as they are; what occurs twice is written twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def asyncapi() -> Document:
    """The same as data."""
    kinds = {kind for queue in topology.EVENT_QUEUES for kind in queue.kinds}
    for queue in topology.REQUEST_QUEUES:
        kinds |= {queue.kind, queue.reply}
    ordered = sorted(kinds, key=lambda kind: kind.kind)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "MTS messages", "version": metadata.version("mts-common"), "description": _ABOUT},
        "defaultContentType": "application/json",
        "channels": {
            **{queue.name: _event_channel(queue) for queue in topology.EVENT_QUEUES},
            **{queue.name: _request_channel(queue) for queue in topology.REQUEST_QUEUES},
            "replies": _channel(None, sorted({queue.reply.kind for queue in topology.REQUEST_QUEUES})),
        },
        "operations": {
            **{f"consume {queue.name}": _consumes(queue) for queue in topology.EVENT_QUEUES},
            **{f"serve {queue.name}": _serves(queue) for queue in topology.REQUEST_QUEUES},
        },
        "components": {
            "messages": {kind.kind: _message(kind) for kind in ordered},
            "schemas": _schemas(ordered),
        },
    }


def _event_channel(queue: EventQueue) -> Document:
    described = _channel(queue.name, [kind.kind for kind in queue.kinds])
    described["description"] = (
        f"Quorum queue, bound to the exchange {topology.EXCHANGE} by the kinds of its messages; at most "
        f"{amqp.MAX_QUEUE_BYTES} bytes, then publishing is refused. What cannot be handled goes to {queue.dead}."
    )
    return described


def _request_channel(queue: RequestQueue) -> Document:
    described = _channel(queue.name, [queue.kind.kind])
    described["description"] = "Classic queue of requests, which expire with their time limits."
    return described


def _channel(address: str | None, kinds: Iterable[str]) -> Document:
    described: Document = {
        "address": address,
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
    }
    if address is not None:
        queue = {"name": address, "durable": True, "exclusive": False, "autoDelete": False}
        described["bindings"] = {"amqp": {"is": "queue", "queue": queue}}
    return described


def _consumes(queue: EventQueue) -> Document:
    return {
        "action": "receive",
        "title": f"{_service(queue)} takes these events",
        "channel": {"$ref": f"#/channels/{queue.name}"},
        "messages": [{"$ref": f"#/channels/{queue.name}/messages/{kind.kind}"} for kind in queue.kinds],
    }


def _serves(queue: RequestQueue) -> Document:
    return {
        "action": "receive",
        "title": f"{_service(queue)} answers these requests",
        "channel": {"$ref": f"#/channels/{queue.name}"},
        "messages": [{"$ref": f"#/channels/{queue.name}/messages/{queue.kind.kind}"}],
        "reply": {
            "address": {"location": "$message.header#/reply_to"},
            "channel": {"$ref": "#/channels/replies"},
            "messages": [{"$ref": f"#/channels/replies/messages/{queue.reply.kind}"}],
        },
    }


def _service(queue: EventQueue | RequestQueue) -> str:
    return queue.name.partition(".")[0]


def _message(kind: type[Message]) -> Document:
    described: Document = {
        "name": kind.kind,
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "required": ["v", "items"],
            "properties": {
                "v": {"const": 1},
                "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{kind.__name__}"}},
            },
        },
    }
    summary = inspect.getdoc(kind)
    if summary and kind.__doc__:
        described["description"] = summary
    return described


def _schemas(kinds: Iterable[type[BaseModel]]) -> Document:
    _, schema = models_json_schema(
        [(kind, "serialization") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    schemas: Document = schema["$defs"]
    for described in schemas.values():
        described.pop("description", None)  # stands with the message
    return schemas


if __name__ == "__main__":
    OPENAPI.write_text(openapi_text(), "utf-8")
    ASYNCAPI.write_text(asyncapi_text(), "utf-8")
