"""Answering queries from the gateway's own rows and the views that results publishes.

Where the views are missing or cannot be read, queries are put off (503); accepting does not need them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg
from simplejson import RawJSON

from mts_common import database
from mts_common.database import Pool
from mts_common.security import SealedWithUnknownKey, Vault
from mts_gateway import refusals, render, wire_trace
from mts_gateway.queries import Search

QUERY_SECONDS = 15.0

_VIEWS_AWAY = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError)


class Reader:
    """Answers queries; at most `at_once` of them hold a connection, so that accepting always gets one."""

    def __init__(
        self, pool: Pool, own: Mapping[str, str], views: Mapping[str, str], vault: Vault, *, mask: bool, at_once: int
    ) -> None:
        self._pool = pool
        self._own = own
        self._views = views
        self._vault = vault
        self._mask = mask
        self._turns = asyncio.Semaphore(at_once)

    async def test_status(self, client_id: int, test_id: int, dialect: str) -> dict[str, object]:
        """The answer to test-status. Raises `Refused`."""
        rows = await self._fetch(self._views["status"], test_id, client_id)
        if not rows:
            raise unknown_test(test_id)
        row = rows[0]
        if row["removed_why"] is not None:
            raise refusals.bad_request(f"testId {test_id} was {row['removed_why']}")
        return render.show_test(row, dialect, self._show_password(row["password"]))

    async def batch_status(self, client_id: int, batch_id: int) -> dict[str, object]:
        """The answer to batch-status. Raises `Refused`."""
        if not await self._fetch(self._own["own_batch"], batch_id, client_id):
            raise unknown_batch(batch_id)
        return render.show_batch(batch_id, await self._fetch(self._views["batch_status"], batch_id))

    async def search(self, client_id: int, search: Search) -> dict[str, object]:
        """The answer to test-search. Raises `Refused`."""
        rows = await self._fetch(
            self._views["search"],
            client_id,
            search.from_time,
            search.to_time,
            search.request_reference,
            search.meter_type,
            search.remote_address,
            search.status,
            search.reverse,
            search.limit,
            search.offset,
        )
        return render.show_found(rows, search.offset)

    async def own_trace(self, client_id: int, test_id: int) -> RawJSON:
        """The wire trace of a client's own test. Raises `Refused`."""
        rows = await self._fetch(self._own["own_test"], test_id, client_id)
        if not rows:
            raise unknown_test(test_id)
        if rows[0]["removed_why"] is not None:
            raise refusals.bad_request(f"testId {test_id} was {rows[0]['removed_why']}")
        return await self._trace(test_id, rows[0]["traceparent"])

    async def any_trace(self, test_id: int) -> RawJSON:
        """The wire trace of anybody's test. Raises `Refused`."""
        rows = await self._fetch(self._own["any_test"], test_id)
        if not rows:
            raise unknown_test(test_id)
        return await self._trace(test_id, rows[0]["traceparent"])

    async def _trace(self, test_id: int, traceparent: str | None) -> RawJSON:
        rows = await self._fetch(self._views["trace"], test_id)
        return await asyncio.to_thread(_encode_trace, test_id, rows, traceparent)

    async def _fetch(self, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
        try:
            async with (
                asyncio.timeout(QUERY_SECONDS),
                self._turns,
                self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection,
            ):
                return await connection.fetch(statement, *arguments)
        except _VIEWS_AWAY as error:
            raise refusals.unavailable("the results cannot be read at the moment") from error

    def _show_password(self, sealed: str | None) -> str | None:
        """As given; masked if that is wished, or if the key that sealed it has been given up."""
        if sealed is None:
            return None
        try:
            return render.MASK if self._mask else self._vault.open(sealed)
        except SealedWithUnknownKey:
            return render.MASK


def _encode_trace(test_id: int, rows: Sequence[asyncpg.Record], traceparent: str | None) -> RawJSON:
    return RawJSON(render.to_json(wire_trace.show_trace(test_id, rows, traceparent)).decode())


def unknown_test(test_id: int) -> refusals.Refused:
    """400, in the same words for another client's test and for none."""
    return refusals.bad_request(f"testId {test_id} is not known")


def unknown_batch(batch_id: int) -> refusals.Refused:
    """400, in the same words for another client's batch and for none."""
    return refusals.bad_request(f"batchId {batch_id} is not known")
