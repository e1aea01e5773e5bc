"""Reading (E2, E4, E6, E8), previews included: what would be after a change that nobody makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mts_common import database
from mts_common.database import Connection, Pool
from mts_gateway.warranty.bodies import Values
from mts_gateway.warranty.exchange import Answer, Asked
from mts_gateway.warranty.faults import not_found
from mts_gateway.warranty.negotiation import EXPANDED_COLLECTIONS, matches
from mts_gateway.warranty.parameters import read_dependency, read_page, read_shape
from mts_gateway.warranty.recalculation import NO_VERSION
from mts_gateway.warranty.rendering import Body, Renderer, etag
from mts_gateway.warranty.resources import CONTRACTS, METERS
from mts_gateway.warranty.selection import (
    EXPANDED_ARRAY,
    EXPANDED_ROWS,
    Row,
    meters_of,
    one_contract,
    one_meter,
    page,
)
from mts_gateway.warranty.targets import Place
from mts_gateway.warranty.writing import Author, change_contract, change_meter, lock_contract


class Reads:
    """Answers what only reads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def exists(self, asked: Asked) -> bool:
        """Whether the caller sees the contract, and the meter of it, that the URL names."""
        target, view = asked.target, asked.caller.view
        if not target.contract_id:
            return True
        async with self._snapshot() as connection:
            if target.place is Place.METER:
                return await one_meter(connection, view, target.contract_id, target.contract_meter_id) is not None
            return await one_contract(connection, view, target.contract_id) is not None

    async def contracts(self, asked: Asked) -> Answer:
        """E2."""
        wanted = read_page(asked.given, CONTRACTS, asked.framework)
        show = asked.renderer(read_shape(asked.given, CONTRACTS))
        async with self._snapshot() as connection:
            found = await page(connection, CONTRACTS, asked.caller.view, None, wanted)
            items = await _contracts(connection, asked, show, found.rows)
        body = show.collection(CONTRACTS.name, show.contracts_href, items, found, wanted.limit, wanted.offset)
        return Answer(body)

    async def contract(self, asked: Asked) -> Answer:
        """E4."""
        show = asked.renderer(read_shape(asked.given, CONTRACTS))
        async with self._as_if(asked) as connection:
            row = _seen(await one_contract(connection, asked.caller.view, asked.target.contract_id))
            (body,) = await _contracts(connection, asked, show, [row])
        return _item(asked, body, row)

    async def meters(self, asked: Asked) -> Answer:
        """E6."""
        wanted = read_page(asked.given, METERS, asked.framework)
        shape = read_shape(asked.given, METERS)
        show = asked.renderer(shape)
        contract_id = asked.target.contract_id
        async with self._as_if(asked) as connection:
            found = await page(connection, METERS, asked.caller.view, contract_id, wanted)
        items = [show.meter(row, shape.own) for row in found.rows]
        href = show.meters_href(contract_id)
        return Answer(show.collection(METERS.name, href, items, found, wanted.limit, wanted.offset))

    async def meter(self, asked: Asked) -> Answer:
        """E8."""
        shape = read_shape(asked.given, METERS)
        target = asked.target
        async with self._as_if(asked) as connection:
            row = _seen(await one_meter(connection, asked.caller.view, target.contract_id, target.contract_meter_id))
        return _item(asked, asked.renderer(shape).meter(row, shape.own), row)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """All that is read in it is of one moment."""
        async with (
            self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def _as_if(self, asked: Asked) -> AsyncIterator[Connection]:
        """What is stored, with the attributes of the parameter `dependency` set on it; nothing of that is kept."""
        values = read_dependency(asked.given, METERS if asked.target.place is Place.METER else CONTRACTS)
        if not values:
            async with self._snapshot() as connection:
                yield connection
            return
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await _set(connection, asked, values)
                yield connection
            finally:
                await transaction.rollback()


async def _set(connection: Connection, asked: Asked, values: Values) -> None:
    target = asked.target
    author = Author(asked.caller.name, asked.caller.view, NO_VERSION)
    if not await lock_contract(connection, author.view, target.contract_id):
        raise not_found()
    if target.place is Place.METER:
        await change_meter(connection, author, target.contract_id, target.contract_meter_id, values)
    else:
        await change_contract(connection, author, target.contract_id, values)


async def _contracts(connection: Connection, asked: Asked, show: Renderer, rows: Sequence[Row]) -> list[Body]:
    if not show.shape.expand:
        return [show.contract(row, None) for row in rows]
    most = EXPANDED_ARRAY if asked.framework < EXPANDED_COLLECTIONS else EXPANDED_ROWS
    meters = await meters_of(connection, asked.caller.view, [row["ContractId"] for row in rows], most)
    return [show.contract(row, meters[row["ContractId"]]) for row in rows]


def _item(asked: Asked, body: Body, row: Row) -> Answer:
    """An item, or that it is the one that the client has."""
    tag = etag(row)
    known = asked.headers.get("if-none-match")
    if known is not None and matches(known, tag):
        return Answer(None, 304, {"ETag": tag})
    return Answer(body, 200, {"ETag": tag})


def _seen(row: Row | None) -> Row:
    if row is None:
        raise not_found()
    return row
