"""What the items of a registry must be to each other: unlike where they must differ, and there where they are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from mts_gateway.registry.items import Item, Items

_NESTED = {"contractMeters": "contracts"}

# No two items of a kind have the same values of these keys. A null is unlike any other.
_UNLIKE = (
    ("distributors", ("id",)),
    ("timezones", ("id",)),
    ("timezones", ("name",)),
    ("users", ("id",)),
    ("users", ("userName",)),
    ("customers", ("id",)),
    ("customers", ("distributor", "accountNumber")),
    ("devices", ("deviceId",)),
    ("assets", ("id",)),
    ("assets", ("number",)),
    ("meters", ("meterId",)),
    ("meters", ("asset", "code")),
    ("contracts", ("ContractId",)),
    ("contracts", ("ContractNumber",)),
    ("contractMeters", ("ContractMeterId",)),
    ("measurements", ("deviceId", "timestamp")),
    ("registerReadings", ("meterId", "timestamp")),
)

# What differs in the case of its letters alone is the same.
_ANY_CASE = {("users", "userName"), ("customers", "accountNumber")}

# The value of a key is that of another kind's key.
_NAMES = (
    ("users", "distributor", "distributors", "id"),
    ("customers", "distributor", "distributors", "id"),
    ("customers", "timezone", "timezones", "id"),
    ("devices", "distributor", "distributors", "id"),
    ("devices", "customer", "customers", "id"),
    ("devices", "timezone", "timezones", "id"),
    ("assets", "distributor", "distributors", "id"),
    ("meters", "asset", "assets", "number"),
    ("meters", "deviceId", "devices", "deviceId"),
    ("contracts", "AssetNumber", "assets", "number"),
    ("contractMeters", "MeterId", "meters", "meterId"),
    ("measurements", "deviceId", "devices", "deviceId"),
    ("registerReadings", "meterId", "meters", "meterId"),
)


def check_references(items: Items, faults: list[str]) -> None:
    """Note what does not fit together in a whole registry."""
    for kind, keys in _UNLIKE:
        faults += _doubles(kind, keys, _of(items, kind))
    for kind, key, named, named_key in _NAMES:
        known = {item.values.get(named_key) for item in _of(items, named)}
        faults += [
            f"{item.pointer}/{key}: is not among the {named}"
            for item in _of(items, kind)
            if (value := item.values.get(key)) is not None and value not in known
        ]
    for check in _CHECKS:
        faults += check(items)


def _of(items: Items, kind: str) -> Iterable[Item]:
    if kind in _NESTED:
        return (inner for outer in items[_NESTED[kind]] for inner in outer.nested(kind))
    return items.get(kind, ())


def _doubles(kind: str, keys: tuple[str, ...], items: Iterable[Item]) -> Iterator[str]:
    first: dict[tuple[object, ...], str] = {}
    for item in items:
        values = tuple(_compared(kind, key, item.values.get(key)) for key in keys)
        if None in values:
            continue
        before = first.setdefault(values, item.pointer)
        if before != item.pointer:
            yield f"{item.pointer}/{keys[-1]}: is the same as in {before}"


def _compared(kind: str, key: str, value: object) -> object:
    return value.lower() if (kind, key) in _ANY_CASE and isinstance(value, str) else value


def _customers_of_devices(items: Items) -> Iterator[str]:
    owners = {item.values.get("id"): item.values.get("distributor") for item in items["customers"]}
    for device in items["devices"]:
        owner = owners.get(device.values.get("customer"))
        if owner is not None and owner != device.values.get("distributor"):
            yield f"{device.pointer}/customer: is another distributor's customer"


def _objects_of_contracts(items: Items) -> Iterator[str]:
    assets = {item.values.get("number"): item.values.get("id") for item in items["assets"]}
    for contract in items["contracts"]:
        named = contract.values.get("ObjectId")
        if named is not None and named != assets.get(contract.values.get("AssetNumber")):
            yield f"{contract.pointer}/ObjectId: is not the id of the asset"


def _meters_of_contracts(items: Items) -> Iterator[str]:
    assets: Mapping[object, object] = {item.values.get("meterId"): item.values.get("asset") for item in items["meters"]}
    for contract in items["contracts"]:
        inner = contract.nested("contractMeters")
        yield from _doubles("contractMeters", ("MeterId",), inner)
        for meter in inner:
            asset = assets.get(meter.values.get("MeterId"))
            if asset is not None and asset != contract.values.get("AssetNumber"):
                yield f"{meter.pointer}/MeterId: is a meter of another asset"


_CHECKS: tuple[Callable[[Items], Iterator[str]], ...] = (
    _customers_of_devices,
    _objects_of_contracts,
    _meters_of_contracts,
)
