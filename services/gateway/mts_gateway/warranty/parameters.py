"""The query parameters of a request (§4), read once: bounded, typed, every name known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mts_gateway.warranty import query_by_example, rowmatch
from mts_gateway.warranty.bodies import Values, bounded
from mts_gateway.warranty.faults import Code, Fault, bad, unknown_name
from mts_gateway.warranty.literals import LARGEST_INTEGER
from mts_gateway.warranty.negotiation import ROWMATCH
from mts_gateway.warranty.query_sql import literal
from mts_gateway.warranty.query_tree import Node, QuerySyntax
from mts_gateway.warranty.resources import Attribute, Change, Resource

DEFAULT_LIMIT = 25
LARGEST_LIMIT = 500

Given = Mapping[str, str]
"""The parameters as they came, the last of each name."""

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_PAIR = re.compile(r"\s*([^=,'\"\s]+)\s*=\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\"|([^,'\"]*))\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Order:
    """One term of an order."""

    attribute: Attribute
    descending: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What is shown of each item. `own`, `child`: names of attributes, None = all. `expand`: the child is shown too.
    `links`: relations that are shown, None = all; `only_data`: items have no links at all.
    """

    own: frozenset[str] | None = None
    child: frozenset[str] | None = None
    expand: bool = False
    links: frozenset[str] | None = None
    only_data: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Which items of a collection are shown."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    total: bool = False
    key: int | None = None
    query: Node | None = None
    order: tuple[Order, ...] = ()


def read_query(query: bytes) -> Given:
    """A query string as names and values; "+" is a space. Raises `Fault` for what is not UTF-8."""
    given: dict[str, str] = {}
    for part in query.split(b"&"):
        name, _, value = (unquote_to_bytes(piece.replace(b"+", b" ")) for piece in part.partition(b"="))
        try:
            given[name.decode()] = value.decode()
        except UnicodeDecodeError:
            raise bad(Code.PARAMETER, f"{name[:40]!r} is not UTF-8") from None
    return given


def read_shape(given: Given, resource: Resource) -> Shape:
    """`fields`, `expand`, `links` and `onlyData`; `fields` goes over `expand`. Raises `Fault`."""
    links = given.get("links")
    own, child, expand = _read_fields(given, resource)
    return Shape(
        own=own,
        child=child,
        expand=expand,
        links=None if links is None else frozenset(_listed(links)),
        only_data=_flag(given, "onlyData"),
    )


def read_page(given: Given, resource: Resource, framework: int) -> Page:
    """What a collection is asked for. Raises `Fault`."""
    return Page(
        limit=min(_whole(given, "limit", DEFAULT_LIMIT), LARGEST_LIMIT),
        offset=_whole(given, "offset", 0),
        total=_flag(given, "totalResults"),
        key=_read_finder(given.get("finder", ""), resource),
        query=_read_q(given.get("q", ""), framework),
        order=tuple(_read_order(term, resource) for term in _listed(given.get("orderBy", ""))),
    )


def read_dependency(given: Given, resource: Resource) -> Values:
    """The attributes that are set for a preview. Raises `Fault`."""
    values: Values = {}
    for name, text in _pairs(given.get("dependency", ""), lambda: _malformed("dependency")):
        attribute = resource.find(name)
        if attribute is None:
            raise unknown_name(name, "dependency")
        if attribute.change is Change.NEVER or name == "AssetNumber":
            raise bad(Code.READ_ONLY, f"dependency: {name} cannot be set")
        value = literal(attribute, text, "dependency") if text or not attribute.nullable else None
        values[name] = bounded(attribute, value, "dependency")
    return values


def _whole(given: Given, name: str, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or text.startswith("-"):
        raise bad(Code.PARAMETER, f"{name} is a whole number, not {text[:40]!r}")
    return LARGEST_INTEGER if len(text.lstrip("0")) > len("1000000000000000000") - 1 else int(text)


def _flag(given: Given, name: str) -> bool:
    text = given.get(name, "false").lower()
    if text not in ("true", "false"):
        raise bad(Code.PARAMETER, f"{name} is true or false, not {text[:40]!r}")
    return text == "true"


def _listed(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _read_fields(given: Given, resource: Resource) -> tuple[frozenset[str] | None, frozenset[str] | None, bool]:
    """The own attributes, those of the child, and whether the child is shown."""
    if "fields" not in given:
        return None, None, _read_expand(given.get("expand", ""), resource)
    own: set[str] = set()
    child: set[str] | None = None
    for part in given["fields"].split(";"):
        accessor, colon, names = part.partition(":")
        if not colon:
            own |= _known(_listed(part), resource)
        elif resource.child is None or accessor.strip() != resource.child.name:
            raise unknown_name(accessor.strip(), "fields")
        else:
            child = (child or set()) | _known(_listed(names), resource.child)
    return frozenset(own), None if child is None else frozenset(child), child is not None


def _known(names: Sequence[str], resource: Resource) -> set[str]:
    for name in names:
        if resource.find(name) is None:
            raise unknown_name(name, "fields")
    return set(names)


def _read_expand(text: str, resource: Resource) -> bool:
    children = _listed(text)
    for name in children:
        if name != "all" and (resource.child is None or name != resource.child.name):
            raise unknown_name(name, "expand")
    return bool(children) and resource.child is not None


def _read_finder(text: str, resource: Resource) -> int | None:
    """The key that the one finder there is looks for."""
    if not text.strip():
        return None
    name, _, variables = text.partition(";")
    if name.strip() != "PrimaryKey":
        raise bad(Code.FINDER, f"finder: there is none of the name {name.strip()!r}")
    found: int | None = None
    for variable, value in _pairs(variables, lambda: bad(Code.FINDER, "finder: a variable is NAME=VALUE")):
        if variable != resource.key:
            raise bad(Code.FINDER, f"finder: PrimaryKey has no variable {variable!r}")
        if not _WHOLE.fullmatch(value) or len(value) > len(str(LARGEST_INTEGER)) or int(value) > LARGEST_INTEGER:
            raise bad(Code.FINDER, f"finder: {variable} is an integer, not {value[:40]!r}")
        found = int(value)
    if found is None:
        raise bad(Code.FINDER, f"finder: PrimaryKey needs the variable {resource.key}")
    return found


def _read_q(text: str, framework: int) -> Node | None:
    if not text.strip():
        return None
    try:
        return rowmatch.parse(text) if framework >= ROWMATCH else query_by_example.parse(text)
    except QuerySyntax as error:
        raise bad(Code.SYNTAX, str(error)) from None


def _read_order(term: str, resource: Resource) -> Order:
    name, colon, direction = (part.strip() for part in term.partition(":"))
    attribute = resource.find(name)
    if attribute is None:
        raise unknown_name(name, "orderBy")
    if colon and direction.lower() not in ("asc", "desc"):
        raise bad(Code.DIRECTION, f"orderBy: {name} is ordered asc or desc, not {direction[:40]!r}")
    return Order(attribute, direction.lower() == "desc")


def _pairs(text: str, fault: Callable[[], Fault]) -> list[tuple[str, str]]:
    """`name=value,…`; a value may stand in quotes."""
    pairs, place = [], 0
    while place < len(text.rstrip()):
        found = _PAIR.match(text, place)
        if found is None:
            raise fault()
        name, single, double, bare = found.groups()
        value = single.replace("''", "'") if single is not None else double if double is not None else bare.strip()
        pairs.append((name, value))
        place = found.end()
    return pairs


def _malformed(name: str) -> Fault:
    return bad(Code.PARAMETER, f"{name} is NAME=VALUE, with commas between")
