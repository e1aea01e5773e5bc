"""Holds every answer against the OpenAPI document: a status that is not listed, or another shape, is a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


class ContractBroken(AssertionError):
    """An answer that the document does not describe, or that breaks what holds for every answer."""


class Contract:
    """The OpenAPI document, as far as our own documents use the language."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._operations: list[tuple[re.Pattern[str], Mapping[str, Any]]] = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), verbs) for path, verbs in document["paths"].items()
        ]

    def check(self, response: httpx.Response) -> None:
        """Raises `ContractBroken`."""
        response.read()
        faults = list(self._faults_of_headers(response.headers))
        if response.request.method != "HEAD":
            faults += self._faults_of_body(response)
        if faults:
            raise ContractBroken(f"{response.request.method} {response.request.url}: {'; '.join(faults)}")

    def _faults_of_headers(self, headers: httpx.Headers) -> Iterator[str]:
        if headers.get("Content-Type") != "application/json; charset=utf-8":
            yield "the content type is not JSON in UTF-8"
        for name in headers:
            if name.lower().startswith("access-control-") or name.lower() == "server":
                yield f"there is a header {name}"

    def _faults_of_body(self, response: httpx.Response) -> Iterator[str]:
        request, status, body = response.request, response.status_code, response.json()
        if status != HTTPStatus.OK and request.url.path.startswith("/MTS") and not _is_details(body):
            yield "the body does not hold details"
        verbs = next((verbs for pattern, verbs in self._operations if pattern.fullmatch(request.url.path)), {})
        operation = verbs.get(request.method.lower())
        if operation is None:
            return
        answer = operation["responses"].get(str(status))
        if answer is None:
            yield f"{status} is not documented"
            return
        yield from (f"header {name} is missing" for name in answer.get("headers", {}) if name not in response.headers)
        (content,) = answer["content"].values()
        yield from self._flaws(content["schema"], body, "body")

    def takes(self, method: str, path: str, body: object) -> bool:
        """Whether the document allows this request body."""
        schema = self._document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
        return not list(self._flaws(schema, body, "body"))

    def _flaws(self, schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "anyOf" in schema and all(list(self._flaws(choice, value, where)) for choice in schema["anyOf"]):
            yield f"{where} fits none of the choices"
        if "type" in schema and not _is_of_type(schema["type"], value):
            yield f"{where} is not of type {schema['type']}"
            return
        if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
            yield f"{where} is not one of the values"
        yield from self._bounds(schema, value, where)
        yield from self._parts(schema, value, where)

    def _bounds(self, schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if isinstance(value, str):
            if not re.search(schema.get("pattern", ""), value, re.DOTALL):
                yield f"{where} does not match {schema['pattern']}"
            if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
                yield f"{where} is not of the right length"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{where} is out of range"
        elif isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get(
            "maxItems", len(value)
        ):
            yield f"{where} is not of the right length"

    def _parts(self, schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
            for name, part in schema.get("properties", {}).items():
                if name in value:
                    yield from self._flaws(part, value[name], f"{where}.{name}")
        if isinstance(value, list) and "items" in schema:
            for place, item in enumerate(value):
                yield from self._flaws(schema["items"], item, f"{where}[{place}]")


def _is_details(body: Any) -> bool:
    details = body.get("details") if isinstance(body, dict) else None
    return isinstance(details, list) and bool(details) and all(isinstance(detail, str) for detail in details)


def _is_of_type(names: str | list[str], value: object) -> bool:
    wanted = [names] if isinstance(names, str) else names
    if isinstance(value, bool):
        return "boolean" in wanted
    return any(isinstance(value, _TYPES[name]) for name in wanted)
