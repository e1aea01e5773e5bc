"""The catalogue of versions (E1), and what describe says of the resources (§9)."""

from __future__ import annotations

from typing import Any

from mts_gateway.warranty.negotiation import COLLECTION, FRAMEWORKS, ITEM
from mts_gateway.warranty.parameters import DEFAULT_LIMIT
from mts_gateway.warranty.rendering import ROOT, VERSION
from mts_gateway.warranty.resources import Attribute, Change, Resource

Body = dict[str, Any]


def catalogue(origin: str) -> Body:
    """The one version there is, and the framework versions it is offered in."""
    href = f"{origin}{ROOT}"
    version = {
        "version": VERSION,
        "isLatest": True,
        "adf:extension": {
            "defaultFrameworkVersion": str(FRAMEWORKS[0]),
            "allowedFrameworkVersions": [str(number) for number in FRAMEWORKS],
        },
        "links": [
            {"rel": "self", "href": f"{href}/{VERSION}", "name": "self", "kind": "item"},
            {"rel": "canonical", "href": f"{href}/{VERSION}", "name": "canonical", "kind": "item"},
            {"rel": "describe", "href": f"{href}/{VERSION}/describe", "name": "describe", "kind": "describe"},
        ],
    }
    return {"items": [version], "links": [{"rel": "self", "href": href, "name": "self", "kind": "collection"}]}


def describe(resource: Resource, href: str) -> Body:
    """What a resource at `href` has, and may be asked; within `Resources`."""
    return {"Resources": {resource.name: _resource(resource, href)}}


def _resource(resource: Resource, href: str) -> Body:
    child = resource.child
    children = {child.name: _resource(child, f"{href}/{{id}}/child/{child.name}")} if child is not None else {}
    return {
        "discrColumnType": False,
        "title": resource.title,
        "titlePlural": resource.plural,
        "attributes": [_attribute(attribute) for attribute in resource.attributes],
        "collection": {
            "rangeSize": DEFAULT_LIMIT,
            "finders": [_primary_key(resource)],
            "links": [{"rel": "self", "href": href, "name": "self", "kind": "collection"}],
            "actions": [_action("get", "GET", COLLECTION), _action("create", "POST", ITEM)],
        },
        "item": {
            "links": [{"rel": "self", "href": f"{href}/{{id}}", "name": "self", "kind": "item"}],
            "actions": [_action("get", "GET", ITEM), _action("update", "PATCH", ITEM)],
        },
        "links": [{"rel": "self", "href": f"{href}/describe", "name": "self", "kind": "describe"}],
        "children": children,
    }


def _attribute(attribute: Attribute) -> Body:
    return {
        "name": attribute.name,
        "type": attribute.kind.value,
        "updatable": attribute.change is Change.ALWAYS,
        "mandatory": not attribute.nullable,
        "queryable": True,
        "allowChanges": attribute.change.value,
        **({} if attribute.length is None else {"maxLength": attribute.length}),
        "title": attribute.title,
    }


def _primary_key(resource: Resource) -> Body:
    key = resource.find(resource.key)
    if key is None:
        raise LookupError(resource.key)
    variable = {"name": key.name, "type": key.kind.value, "required": True}
    return {"name": "PrimaryKey", "title": f"Finds by {key.title}", "attributes": [variable]}


def _action(name: str, method: str, media_type: str) -> Body:
    return {"name": name, "method": method, "requestType" if method != "GET" else "responseType": [media_type]}
