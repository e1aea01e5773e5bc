"""Writing the items of a registry file into the gateway's tables, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from mts_common.database import Connection
from mts_gateway.registry.items import Item, Items
from mts_gateway.registry.kinds import SYSTEM
from mts_gateway.registry.statements import SQL
from mts_gateway.registry.values import canonical_address

KINDS_IN_ORDER = ("distributors", "timezones", "users", "customers", "devices", "assets", "meters", "contracts")

_CLEARED = (
    "clear_meter_readings",
    "clear_contract_meters",
    "clear_contracts",
    "clear_meters",
    "clear_assets",
    "clear_devices",
    "clear_customers",
)


async def clear(connection: Connection, kept: Items) -> None:
    """Empty the registry, except for the distributors and users among `kept`."""
    for name in _CLEARED:
        await connection.execute(SQL[name])
    users = [(item.values["id"], str(item.values["userName"]).lower()) for item in kept["users"]]
    await connection.execute(SQL["clear_users"], [each[0] for each in users], [each[1] for each in users])
    await connection.execute(SQL["free_users"])
    await connection.execute(SQL["clear_distributors"], [item.values["id"] for item in kept["distributors"]])
    await connection.execute(SQL["clear_timezones"])


async def put(connection: Connection, items: Items, country_code: str) -> None:
    """Make the items of these ids, but for the contracts, what `items` say, whose passwords are hashed already."""
    for kind in KINDS_IN_ORDER:
        if kind != "contracts" and items[kind]:
            rows = [_row(kind, item, country_code) for item in items[kind]]
            await connection.execute(SQL[f"put_{kind}"], rows)


async def put_contracts(connection: Connection, contracts: Sequence[Item]) -> None:
    """Make the contracts of these ids, and their meters, what `contracts` say; then no id is given out twice."""
    meters = [
        {**_audited(meter), "ContractId": contract.values["ContractId"]}
        for contract in contracts
        for meter in contract.nested("contractMeters")
    ]
    if contracts:
        await connection.execute(SQL["put_contracts"], [_audited(contract) for contract in contracts])
    if meters:
        await connection.execute(SQL["put_contract_meters"], meters)
    await connection.execute(SQL["pass_ids"])


def _row(kind: str, item: Item, country_code: str) -> dict[str, object]:
    row = item.to_json()
    if kind == "devices":
        address = item.values["remoteAddress"]
        row["canonicalAddress"] = None if address is None else canonical_address(str(address), country_code)
    if kind == "meters":
        row["name"] = item.values["name"] or item.values["code"]
    return row


def _audited(item: Item) -> dict[str, object]:
    row = {name: value for name, value in item.values.items() if name != "contractMeters"}
    created_by = row["CreatedBy"] or SYSTEM
    return row | {
        "CreatedBy": created_by,
        "LastUpdatedBy": row["LastUpdatedBy"] or created_by,
        "LastUpdateDate": row["LastUpdateDate"] or row["CreationDate"],
        "objectVersion": row["objectVersion"] or 1,
    }
