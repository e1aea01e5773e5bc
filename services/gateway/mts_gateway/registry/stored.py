"""The registry as it is stored, in the form of a registry file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg

from mts_common.database import Connection
from mts_gateway.registry.items import Item, Items
from mts_gateway.registry.statements import SQL
from mts_gateway.registry.store import KINDS_IN_ORDER

HERE = "the registry"


async def read_stored(connection: Connection) -> Items:
    """All that is registered. Users have their hashes for passwords."""
    found = {kind: [_item(row) for row in await connection.fetch(SQL[f"export_{kind}"])] for kind in KINDS_IN_ORDER}
    meters: dict[object, list[Item]] = defaultdict(list)
    for row in await connection.fetch(SQL["export_contract_meters"]):
        meter = _item(row)
        meters[meter.values.pop("ContractId")].append(meter)
    for contract in found["contracts"]:
        contract.values["contractMeters"] = meters[contract.values["ContractId"]]
    return found


def show(items: Items) -> Mapping[str, object]:
    """The items as a registry file, which holds no password."""
    return {
        kind: [{name: value for name, value in item.to_json().items() if name != "password"} for item in items[kind]]
        for kind in KINDS_IN_ORDER
    }


def _item(row: asyncpg.Record) -> Item:
    return Item(HERE, {name: _plain(value) for name, value in row.items()}, frozenset(row.keys()))


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case _:
            return value
