"""What the paths of the OpenAPI document are put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mts_gateway.schemas import ID, Schema, ref


def method(summary: str, answer: Schema, *, body: Schema | None = None, parameters: Sequence[Schema] = ()) -> Schema:
    """A method that needs a token."""
    described: dict[str, object] = {
        "summary": summary,
        "responses": {
            "200": response("Done", answer),
            "400": response("The request is not valid; nothing was done", ref("Details")),
            "401": response("There is no valid access token", ref("Details"), ("WWW-Authenticate",)),
            "403": response("The access token does not have the scope", ref("Details")),
            "429": response("The client has no calls left in this window", ref("TooMany"), ("Retry-After",)),
            "500": response("A fault of the server", ref("Details")),
            "503": response("Not now; asking again is safe", ref("Details"), ("Retry-After",)),
        },
    }
    if parameters:
        described["parameters"] = list(parameters)
    if body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return described


def open_method(summary: str, answer: Schema, more: Mapping[str, object] | None = None) -> Schema:
    """A method that needs no token."""
    responses = {
        "200": response("Done", answer),
        "400": response("The request is not valid", ref("Details")),
        "500": response("A fault of the server", ref("Details")),
        "503": response("Not now", ref("Details"), ("Retry-After",)),
    }
    return {"summary": summary, "security": [], "responses": {**responses, **(more or {})}}


def response(description: str, schema: Schema, headers: Sequence[str] = ()) -> Schema:
    """One of a method's answers."""
    described: dict[str, object] = {
        "description": description,
        "content": {"application/json; charset=utf-8": {"schema": schema}},
    }
    if headers:
        described["headers"] = {name: {"required": True, "schema": {"type": "string"}} for name in headers}
    return described


def query_parameter(name: str, schema: Schema, *, required: bool = False) -> Schema:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema}


def path_parameter(name: str, schema: Schema | None = None) -> Schema:
    """A parameter of the path; an id unless told otherwise."""
    return {"name": name, "in": "path", "required": True, "schema": schema or ID}
