"""What the registry becomes by an import: the items of a file laid over those that are stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mts_gateway.registry.items import Item, Items

IDS = {
    "distributors": "id",
    "timezones": "id",
    "users": "id",
    "customers": "id",
    "devices": "deviceId",
    "assets": "id",
    "meters": "meterId",
    "contracts": "ContractId",
    "contractMeters": "ContractMeterId",
}
IMPORTED = "REGISTRY"
"""Who has changed what an import changes without saying who."""

# What a meter has told is not the registry's: only a seed sets it.
_TOLD = ("firmware", "lastTestEnd")
_AUDIT = ("CreatedBy", "CreationDate", "LastUpdatedBy", "LastUpdateDate", "objectVersion")
# The gateway's own: of a contract that is known they are never a file's to say.
_OWN = ("CalculatedDueDate", "CalculatedExpirationDate", "ObjectTypeCode", "ObjectId")
_REGISTER = ("deviceId", "register")


@dataclass(frozen=True, slots=True)
class Merged:
    """`whole` is the registry as it is to be, `changed` the items that are new or different.

    `new_contracts` are those of `changed` that were not there, `recounted` the meters that count another register than
    before, `due` those whose due dates may change.
    """

    whole: Items
    changed: Items
    new_contracts: Sequence[Item]
    recounted: Sequence[object]
    due: Sequence[object]


def merge(stored: Items, file: Items, now: str) -> Merged:
    """An item of a known id takes on the keys that the file gives, a new one also the defaults; others stay.

    A contract or contract meter that changes is one version more. What the file says of its versions and changes counts
    only where it is newer than what is stored, so that an old file takes nothing back.
    """
    whole: dict[str, list[Item]] = {}
    changed: dict[str, list[Item]] = {}
    for kind, items in stored.items():
        known = _by_id(kind, items)
        laid = [_lay(kind, known.get(_id(kind, item)), item, now) for item in file[kind]]
        named = {_id(kind, item) for item in laid}
        whole[kind] = [item for key, item in known.items() if key not in named] + laid
        changed[kind] = [item for item in laid if _differs(known.get(_id(kind, item)), item)]
    contracts, meters = _by_id("contracts", stored["contracts"]), _by_id("meters", stored["meters"])
    return Merged(
        whole,
        changed,
        [item for item in changed["contracts"] if _id("contracts", item) not in contracts],
        [_id("meters", item) for item in changed["meters"] if _recounts(meters.get(_id("meters", item)), item)],
        _due(contracts, changed),
    )


def _id(kind: str, item: Item) -> object:
    return item.values.get(IDS[kind])


def _by_id(kind: str, items: Sequence[Item]) -> dict[object, Item]:
    return {_id(kind, item): item for item in items}


def _lay(kind: str, before: Item | None, item: Item, now: str) -> Item:
    values = {name: value for name, value in item.values.items() if name not in _TOLD}
    if before is not None:
        values = before.values | {name: values[name] for name in _counting(before, item) if name in values}
    laid = Item(item.pointer, values, item.given)
    if kind == "contracts":
        inner = {} if before is None else _by_id("contractMeters", before.nested("contractMeters"))
        lain = [
            _lay("contractMeters", inner.get(_id("contractMeters", each)), each, now)
            for each in item.nested("contractMeters")
        ]
        named = {_id("contractMeters", each) for each in lain}
        laid.values["contractMeters"] = [each for key, each in inner.items() if key not in named] + lain
    if before is not None and "objectVersion" in before.values:
        _count_change(before, laid, now)
    return laid


def _counting(before: Item, item: Item) -> frozenset[str]:
    """The keys that the file may change of a known item."""
    given = item.given - set(_OWN)
    return given if _version(item) > _version(before) else given - set(_AUDIT)


def _version(item: Item) -> int:
    version = item.values.get("objectVersion")
    return version if isinstance(version, int) else 0


def _count_change(before: Item, laid: Item, now: str) -> None:
    if _version(laid) == _version(before) and _content(before) != _content(laid):
        changed = {"objectVersion": _version(before) + 1, "LastUpdateDate": now, "LastUpdatedBy": IMPORTED}
        laid.values.update(changed)


def _content(item: Item) -> dict[str, object]:
    return {name: value for name, value in item.values.items() if name not in (*_AUDIT, "contractMeters")}


def _differs(before: Item | None, item: Item) -> bool:
    return before is None or before.to_json() != item.to_json()


def _recounts(before: Item | None, item: Item) -> bool:
    return before is None or any(before.values[name] != item.values[name] for name in _REGISTER)


def _due(known: Mapping[object, Item], changed: Items) -> list[object]:
    """The meters that changed, and those of contract meters that are new in, or changed with, a known contract."""
    found = [_id("meters", item) for item in changed["meters"]]
    for contract in changed["contracts"]:
        before = known.get(_id("contracts", contract))
        if before is None:
            continue
        inner = _by_id("contractMeters", before.nested("contractMeters"))
        restarts = before.values["ContractStartDate"] != contract.values["ContractStartDate"]
        for meter in contract.nested("contractMeters"):
            same = inner.get(_id("contractMeters", meter))
            if restarts or same is None or _content(same) != _content(meter):
                found.append(meter.values["MeterId"])
    return found
