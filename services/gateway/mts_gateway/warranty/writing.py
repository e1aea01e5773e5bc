"""Changing contracts and their meters (E3, E5, E7, E9), each within the caller's transaction.

Whoever writes anything of an asset's contracts holds the lock on the asset, so that writes, previews and recalculations
of one asset follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import asyncpg

from mts_common.database import Connection
from mts_gateway.warranty.bodies import NewItem, Values, check_complete
from mts_gateway.warranty.faults import Code, bad
from mts_gateway.warranty.recalculation import NO_VERSION, ONE_MORE, Terms, due_dates, recalculate_contract
from mts_gateway.warranty.resources import CONTRACTS, METERS, Change
from mts_gateway.warranty.selection import Row, View, one_contract, one_meter
from mts_gateway.warranty.statements import SQL


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, seeing what; a preview's changes make no version."""

    name: str
    view: View
    versions: int = ONE_MORE


async def lock_contract(connection: Connection, view: View, contract_id: int) -> bool:
    """Lock the asset of a contract; whether the caller sees such a contract."""
    return await connection.fetchval(SQL["lock_asset_of_contract"], *_seen_by(view), contract_id) is not None


async def add_meter(
    connection: Connection, author: Author, contract_id: int, values: Values, *, upsert: bool, path: str = ""
) -> tuple[int, bool]:
    """A new meter of a locked contract: its id, and whether it is new. With `upsert`, the contract's meter of this
    identity is changed instead, if there is one. Raises `Fault`.
    """
    contract = await connection.fetchrow(SQL["terms_of_contract"], contract_id)
    if contract is None:
        raise LookupError(contract_id)
    meter = await _find_meter(connection, contract["asset_id"], values, path)
    known = await connection.fetchval(SQL["contract_meter_of_meter"], contract_id, meter["meter_id"])
    if known is not None and upsert:
        rest = {name: value for name, value in values.items() if name not in ("MeterId", "MeterCode")}
        await change_meter(connection, author, contract_id, known, rest)
        return known, False
    if known is not None:
        raise _duplicate_meter(path)
    _check_active(meter, path)
    start = _decimal(values.get("MeterStartValue", 0))
    interval = None if values.get("MeterIntervalValue") is None else _decimal(values["MeterIntervalValue"])
    terms = Terms(meter["meter_id"], start, interval, meter["base_daily_rate"], contract["start_date"])
    (due,) = await due_dates(connection, [terms])
    new = await connection.fetchval(
        SQL["insert_contract_meter"],
        contract_id,
        contract["asset_id"],
        meter["meter_id"],
        start,
        interval,
        due,
        values.get("DisabledFlag", False),
        author.name,
    )
    return new, True


async def change_meter(
    connection: Connection, author: Author, contract_id: int, contract_meter_id: int, values: Values
) -> None:
    """Set attributes of a meter of a locked contract; what changes nothing makes no version. Raises `Fault`."""
    before = await _present(one_meter(connection, author.view, contract_id, contract_meter_id))
    after = {attribute.name: before[attribute.name] for attribute in METERS.attributes} | values
    if all(after[name] == before[name] for name in values):
        return
    contract = await _present(connection.fetchrow(SQL["terms_of_contract"], contract_id))
    meter = await _meter_after(connection, contract["asset_id"], before, values)
    due = before["CalculatedDueDate"]
    if not after["DisabledFlag"]:
        interval = after["MeterIntervalValue"]
        terms = Terms(
            meter["meter_id"],
            _decimal(after["MeterStartValue"]),
            None if interval is None else _decimal(interval),
            meter["base_daily_rate"],
            contract["start_date"],
        )
        (due,) = await due_dates(connection, [terms])
    try:
        await connection.execute(
            SQL["update_contract_meter"],
            contract_meter_id,
            meter["meter_id"],
            after["MeterStartValue"],
            after["MeterIntervalValue"],
            due,
            None if after["DisabledFlag"] == before["DisabledFlag"] else after["DisabledFlag"],
            author.name,
            author.versions,
        )
    except asyncpg.UniqueViolationError:
        raise _duplicate_meter("") from None
    await connection.execute(SQL["refresh_expiration"], [contract_id], author.versions)


async def add_contract(connection: Connection, author: Author, item: NewItem, *, upsert: bool) -> tuple[int, bool]:
    """A new contract with its meters: its id, and whether it is new. With `upsert`, the contract of this number is
    changed instead, if there is one. Raises `Fault`.
    """
    values = item.values
    number = values.get("ContractNumber")
    known = number and await connection.fetchval(SQL["contract_of_number"], *_seen_by(author.view), number)
    if known and upsert:
        await _change_known(connection, author, known, item)
        return known, False
    check_complete(values, CONTRACTS)
    asset_id = await connection.fetchval(SQL["lock_asset"], *_seen_by(author.view), values["AssetNumber"])
    if asset_id is None:
        raise bad(Code.OUT_OF_RANGE, "AssetNumber: there is no such asset", "/AssetNumber")
    new = await connection.fetchval(
        SQL["insert_contract"], asset_id, *(values.get(name) for name in _COLUMNS), author.name
    )
    if new is None:
        raise bad(Code.DUPLICATE, "ContractNumber: there is a contract of this number", "/ContractNumber")
    await _add_meters(connection, author, new, item, upsert=False)
    return new, True


async def change_contract(connection: Connection, author: Author, contract_id: int, values: Values) -> None:
    """Set attributes of a locked contract; what changes nothing makes no version. Raises `Fault`."""
    before = await _present(one_contract(connection, author.view, contract_id))
    after = {attribute.name: before[attribute.name] for attribute in CONTRACTS.attributes} | values
    if all(after[name] == before[name] for name in values):
        return
    try:
        await connection.execute(
            SQL["update_contract"], contract_id, *(after[name] for name in _COLUMNS), author.name, author.versions
        )
    except asyncpg.UniqueViolationError:
        raise bad(Code.DUPLICATE, "ContractNumber: there is a contract of this number") from None
    if after["ContractStartDate"] != before["ContractStartDate"]:
        await recalculate_contract(connection, contract_id, author.versions)
        await connection.execute(SQL["refresh_expiration"], [contract_id], NO_VERSION)


_COLUMNS = (
    "ContractNumber",
    "CoverageCode",
    "CoverageId",
    "ContractStatusCode",
    "ContractStartDate",
    "ContractEndDate",
    "ContractNotes",
    "ExternalReferenceNumber",
)


async def _change_known(connection: Connection, author: Author, contract_id: int, item: NewItem) -> None:
    await lock_contract(connection, author.view, contract_id)
    before = await _present(one_contract(connection, author.view, contract_id))
    fixed = {each.name for each in CONTRACTS.attributes if each.change is Change.ON_INSERT}
    for name in sorted(fixed & item.values.keys()):
        if item.values[name] != before[name]:
            raise bad(Code.READ_ONLY, f"{name} cannot be changed", f"/{name}")
    rest = {name: value for name, value in item.values.items() if name not in fixed}
    await change_contract(connection, author, contract_id, rest)
    await _add_meters(connection, author, contract_id, item, upsert=True)


async def _add_meters(connection: Connection, author: Author, contract_id: int, item: NewItem, *, upsert: bool) -> None:
    for place, child in enumerate(item.children):
        await add_meter(connection, author, contract_id, child, upsert=upsert, path=f"/{METERS.name}/{place}")
    await connection.execute(SQL["refresh_expiration"], [contract_id], author.versions if upsert else NO_VERSION)


async def _meter_after(connection: Connection, asset_id: int, before: Row, values: Values) -> Row:
    """The meter that a contract meter counts once `values` are set."""
    identity: Values = {name: values[name] for name in ("MeterId", "MeterCode") if name in values}
    if all(before[name] == value for name, value in identity.items()):
        return await _find_meter(connection, asset_id, {"MeterId": before["MeterId"]}, "")
    meter = await _find_meter(connection, asset_id, identity, "")
    _check_active(meter, "")
    return meter


async def _find_meter(connection: Connection, asset_id: int, values: Values, path: str) -> Row:
    """The meter of the asset that the id, the code, or both name. Raises `Fault`."""
    meter_id, code = values.get("MeterId"), values.get("MeterCode")
    for meter in await connection.fetch(SQL["meters_of_asset"], asset_id, meter_id, code):
        if meter_id in (None, meter["meter_id"]) and code in (None, meter["code"]):
            return meter
    raise _not_active(path, "MeterId" if "MeterId" in values else "MeterCode")


def _check_active(meter: Row, path: str) -> None:
    if not meter["active"]:
        raise _not_active(path, "MeterId")


def _not_active(path: str, name: str) -> Exception:
    return bad(Code.NOT_ACTIVE, f"{name}: this is no active meter of the contract's asset", f"{path}/{name}")


def _duplicate_meter(path: str) -> Exception:
    return bad(Code.DUPLICATE, "MeterId: the contract has this meter already", f"{path}/MeterId")


async def _present(row: Any) -> Row:
    found = await row
    if found is None:
        raise LookupError
    return cast("Row", found)


def _decimal(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(cast("int", value))


def _seen_by(view: View) -> list[object]:
    return view.bound().values
