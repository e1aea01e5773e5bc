"""Reading the items of a registry file: every fault is named by the JSON pointer (RFC 6901) of the value at fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mts_gateway.registry.kinds import Key, Keys, Nested
from mts_gateway.registry.values import Unfit
from mts_gateway.strict_json import MalformedBody, Members, parse

MAX_FAULTS = 1000


class RegistryFaults(Exception):
    """What is wrong with a registry file, a line each; nothing was changed."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(faults[:MAX_FAULTS])


@dataclass(slots=True)
class Item:
    """An item at `pointer`. `values` holds every key of its kind; `given` are the keys that the file has."""

    pointer: str
    values: dict[str, object] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    def nested(self, name: str) -> list[Item]:
        """The items of a list inside this one."""
        found = self.values.get(name)
        return [each for each in found if isinstance(each, Item)] if isinstance(found, list) else []

    def to_json(self) -> dict[str, object]:
        """The values, as JSON and Decimal."""
        return {
            name: [each.to_json() if isinstance(each, Item) else each for each in value]
            if isinstance(value, list)
            else value
            for name, value in self.values.items()
        }


Items = Mapping[str, Sequence[Item]]
"""The items of a file by their kind; every kind is there."""


def read_items(body: bytes, kinds: Mapping[str, Keys], faults: list[str]) -> Items:
    """The items in the JSON document `body`. Of an item at fault the keys that could be read are there."""
    try:
        document = parse(body)
    except MalformedBody as error:
        raise RegistryFaults([str(error)]) from None
    if not isinstance(document, Members):
        raise RegistryFaults(["the document must be a JSON object"])
    found: dict[str, Sequence[Item]] = dict.fromkeys(kinds, ())
    for kind, value in _members(document, "", kinds, faults):
        if value is not None:
            found[kind] = _list(value, f"/{kind}", kinds[kind], faults)
    return found


def _list(value: object, pointer: str, keys: Keys, faults: list[str]) -> list[Item]:
    if not isinstance(value, list) or isinstance(value, Members):
        faults.append(f"{pointer}: must be a list")
        return []
    items = (_item(each, f"{pointer}/{place}", keys, faults) for place, each in enumerate(value))
    return [item for item in items if item is not None]


def _item(value: object, pointer: str, keys: Keys, faults: list[str]) -> Item | None:
    if not isinstance(value, Members):
        faults.append(f"{pointer}: must be a JSON object")
        return None
    item, given = Item(pointer), set()
    for name, raw in _members(value, pointer, keys, faults):
        given.add(name)
        if raw is not None:
            item.values[name] = _value(raw, f"{pointer}/{name}", keys[name], faults)
    item.given = frozenset(given)
    for name, key in keys.items():
        item.values.setdefault(name, [] if isinstance(key, Nested) else _default(key))
    return item


def check_required(items: Sequence[Item], keys: Keys, faults: list[str]) -> None:
    """Note which keys these items must have and lack; what could not be read is a fault already."""
    known = {fault.partition(":")[0] for fault in faults}
    for item in items:
        for name, key in keys.items():
            pointer = f"{item.pointer}/{name}"
            if isinstance(key, Nested):
                check_required(item.nested(name), key.keys, faults)
            elif key.required and item.values[name] is None and pointer not in known:
                faults.append(f"{pointer}: is required")


def _value(raw: object, pointer: str, key: Key | Nested, faults: list[str]) -> object:
    if isinstance(key, Nested):
        found = _list(raw, pointer, key.keys, faults)
        if len(found) > key.most:
            faults.append(f"{pointer}: must be a list of at most {key.most}")
        return found
    try:
        return key.read(raw)
    except Unfit as unfit:
        faults.append(f"{pointer}: {unfit}")
        return None


def _default(key: Key) -> object:
    return list(key.default) if isinstance(key.default, tuple) else key.default


def _members(
    members: Members, pointer: str, known: Mapping[str, object], faults: list[str]
) -> Iterable[tuple[str, object]]:
    seen = set()
    for name, value in members:
        if name not in known:
            faults.append(f"{pointer}/{escape(name)}: is not a key that is known here")
        elif name in seen:
            faults.append(f"{pointer}/{name}: is given more than once")
        else:
            seen.add(name)
            yield name, value


def escape(name: str) -> str:
    """A name as a part of a JSON pointer, safe to print."""
    shown = name[:100].encode("unicode_escape").decode("ascii")
    return shown.replace("~", "~0").replace("/", "~1")
