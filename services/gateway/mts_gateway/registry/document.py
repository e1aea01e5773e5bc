"""The registry's part of the OpenAPI document, which leaves the keys of the items to registry-seed.md."""

from __future__ import annotations

from mts_gateway.openapi_parts import method
from mts_gateway.registry.store import KINDS_IN_ORDER
from mts_gateway.schemas import COUNT, Schema, ref


def paths() -> dict[str, Schema]:
    """The paths."""
    return {
        "/MTS/admin/registry": {
            "get": method("The registry, in the form of a registry file without passwords", ref("Registry")),
            "post": method("Put items into the registry, all or none", ref("RegistryChanged"), body=ref("Registry")),
        }
    }


def components() -> dict[str, Schema]:
    """The shapes."""
    items: Schema = {"type": "array", "items": {"type": "object"}}
    counts = dict.fromkeys(KINDS_IN_ORDER, COUNT)
    changed: Schema = {"type": "object", "properties": counts, "additionalProperties": False}
    return {
        "Registry": {
            "type": "object",
            "properties": dict.fromkeys(KINDS_IN_ORDER, items),
            "additionalProperties": False,
        },
        "RegistryChanged": {"type": "object", "required": ["changed"], "properties": {"changed": changed}},
    }
