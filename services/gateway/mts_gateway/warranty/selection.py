"""Reading items: the named statements of the resources, narrowed, ordered and cut into pages.

The one place beside `query_sql` where SQL is put together, because filter and order are the client's choice. The parts
are the named statements, which are checked at start, and fragments that stand here; values are bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from mts_common.database import Connection
from mts_gateway.warranty.parameters import Page
from mts_gateway.warranty.query_sql import Bound, column, condition
from mts_gateway.warranty.resources import CONTRACTS, METERS, Resource
from mts_gateway.warranty.statements import SQL

EXPANDED_ROWS = 25
EXPANDED_ARRAY = 500

Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class View:
    """Whose contracts a caller sees: everybody's, or those of a distributor, or (None) nobody's."""

    everything: bool
    distributor_id: UUID | None

    def bound(self) -> Bound:
        """The first two parameters of the resources' statements."""
        return Bound(self.everything, self.distributor_id)


@dataclass(frozen=True, slots=True)
class Found:
    """A page: its rows, whether there are more after them, and how many there are in all, if that was asked."""

    rows: Sequence[Row]
    has_more: bool
    total: int | None = None


async def one_contract(connection: Connection, view: View, contract_id: int) -> Row | None:
    """A contract, if the caller may see it."""
    return await _one(connection, CONTRACTS, view, {"ContractId": contract_id})


async def one_meter(connection: Connection, view: View, contract_id: int, contract_meter_id: int) -> Row | None:
    """A meter of a contract, if the caller may see it."""
    return await _one(connection, METERS, view, {"ContractId": contract_id, "ContractMeterId": contract_meter_id})


async def page(connection: Connection, resource: Resource, view: View, contract_id: int | None, asked: Page) -> Found:
    """A page of all contracts, or of the meters of one. Raises `Fault` for a query that cannot be."""
    bound = view.bound()
    wanted = [] if contract_id is None else [f'item."ContractId" = {bound.add(contract_id, "bigint")}']
    if asked.key is not None:
        wanted.append(f'item."{resource.key}" = {bound.add(asked.key, "bigint")}')
    if asked.query is not None:
        wanted.append(condition(asked.query, resource, bound))
    source = f"FROM ({SQL[resource.statement]}) AS item WHERE {' AND '.join(wanted) or 'true'}"
    total = await connection.fetchval(f"SELECT count(*) {source}", *bound.values) if asked.total else None
    order = [f"{column(term.attribute)} {'DESC' if term.descending else 'ASC'}" for term in asked.order]
    order.append(f'item."{resource.key}"')
    cut = f"LIMIT {bound.add(asked.limit + 1, 'bigint')} OFFSET {bound.add(asked.offset, 'bigint')}"
    rows = await connection.fetch(
        f"SELECT item.* {source} ORDER BY {', '.join(order)} {cut}",
        *bound.values,
    )
    return Found(rows[: asked.limit], len(rows) > asked.limit, total)


async def meters_of(connection: Connection, view: View, contract_ids: Sequence[int], most: int) -> dict[int, Found]:
    """The first `most` meters of each of the contracts."""
    bound = view.bound()
    ranked = (
        f'SELECT item.*, row_number() OVER (PARTITION BY item."ContractId" ORDER BY item."ContractMeterId") AS place '  # noqa: S608
        f"FROM ({SQL[METERS.statement]}) AS item "
        f'WHERE item."ContractId" = ANY ({bound.add(list(contract_ids), "bigint[]")})'
    )
    rows = await connection.fetch(
        f"SELECT * FROM ({ranked}) AS ranked WHERE place <= {bound.add(most + 1, 'bigint')} "  # noqa: S608
        'ORDER BY "ContractMeterId"',
        *bound.values,
    )
    found: dict[int, list[Row]] = {contract_id: [] for contract_id in contract_ids}
    for row in rows:
        found[row["ContractId"]].append(row)
    return {contract_id: Found(of[:most], len(of) > most) for contract_id, of in found.items()}


async def _one(connection: Connection, resource: Resource, view: View, wanted: dict[str, Any]) -> Row | None:
    bound = view.bound()
    narrowed = " AND ".join(f'item."{name}" = {bound.add(value, "bigint")}' for name, value in wanted.items())
    return await connection.fetchrow(
        f"SELECT item.* FROM ({SQL[resource.statement]}) AS item WHERE {narrowed}",  # noqa: S608
        *bound.values,
    )
