"""Writing (E3, E5, E7, E9): one transaction each, answered with what is stored then."""

from __future__ import annotations

from mts_common.database import Connection, Pool, transaction
from mts_gateway.warranty.bodies import check_complete, read_new, read_update
from mts_gateway.warranty.exchange import Answer, Asked
from mts_gateway.warranty.faults import not_found, stale
from mts_gateway.warranty.negotiation import matches
from mts_gateway.warranty.rendering import etag
from mts_gateway.warranty.resources import CONTRACTS, METERS
from mts_gateway.warranty.selection import Row, one_contract, one_meter
from mts_gateway.warranty.writing import (
    Author,
    add_contract,
    add_meter,
    change_contract,
    change_meter,
    lock_contract,
)


class Writes:
    """Answers what changes something."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_contract(self, asked: Asked) -> Answer:
        """E3."""
        item = read_new(asked.body, CONTRACTS)
        author = _author(asked)
        async with transaction(self._pool) as connection:
            contract_id, is_new = await add_contract(connection, author, item, upsert=asked.upserts)
            row = _seen(await one_contract(connection, author.view, contract_id))
        show = asked.renderer()
        return _written(row, show.contract(row, None), show.contract_href(contract_id), is_new=is_new)

    async def change_contract(self, asked: Asked) -> Answer:
        """E5."""
        values = read_update(asked.body, CONTRACTS)
        author, contract_id = _author(asked), asked.target.contract_id
        async with transaction(self._pool) as connection:
            await _lock(connection, author, contract_id)
            _check_unchanged(asked, _seen(await one_contract(connection, author.view, contract_id)))
            await change_contract(connection, author, contract_id, values)
            row = _seen(await one_contract(connection, author.view, contract_id))
        return _written(row, asked.renderer().contract(row, None))

    async def add_meter(self, asked: Asked) -> Answer:
        """E7."""
        item = read_new(asked.body, METERS)
        check_complete(item.values, METERS)
        author, contract_id = _author(asked), asked.target.contract_id
        async with transaction(self._pool) as connection:
            await _lock(connection, author, contract_id)
            meter_id, is_new = await add_meter(connection, author, contract_id, item.values, upsert=asked.upserts)
            row = _seen(await one_meter(connection, author.view, contract_id, meter_id))
        show = asked.renderer()
        return _written(row, show.meter(row, None), show.meter_href(contract_id, meter_id), is_new=is_new)

    async def change_meter(self, asked: Asked) -> Answer:
        """E9."""
        values = read_update(asked.body, METERS)
        author, target = _author(asked), asked.target
        key = (target.contract_id, target.contract_meter_id)
        async with transaction(self._pool) as connection:
            await _lock(connection, author, target.contract_id)
            _check_unchanged(asked, _seen(await one_meter(connection, author.view, *key)))
            await change_meter(connection, author, *key, values)
            row = _seen(await one_meter(connection, author.view, *key))
        return _written(row, asked.renderer().meter(row, None))


def _author(asked: Asked) -> Author:
    return Author(asked.caller.name, asked.caller.view)


async def _lock(connection: Connection, author: Author, contract_id: int) -> None:
    if not await lock_contract(connection, author.view, contract_id):
        raise not_found()


def _check_unchanged(asked: Asked, row: Row) -> None:
    """That the item is the one that the client knows, if it says which it knows. Raises `Fault` (412)."""
    known = asked.headers.get("if-match")
    if known is not None and not matches(known, etag(row)):
        raise stale(etag(row))


def _written(row: Row, body: dict[str, object], href: str | None = None, *, is_new: bool = False) -> Answer:
    headers = {"ETag": etag(row)}
    if is_new and href is not None:
        headers["Location"] = href
    return Answer(body, 201 if is_new else 200, headers)


def _seen(row: Row | None) -> Row:
    if row is None:
        raise not_found()
    return row
