"""Importing into the registry, all or nothing, and exporting it, over the admin API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import asyncpg

from mts_common import database
from mts_common.database import Connection, Pool
from mts_gateway.registry.due_dates import date_contracts, date_meters, undated
from mts_gateway.registry.items import Items, RegistryFaults, check_required, read_items
from mts_gateway.registry.kinds import REGISTRY
from mts_gateway.registry.merge import Merged, merge
from mts_gateway.registry.references import check_references
from mts_gateway.registry.statements import SQL
from mts_gateway.registry.store import put, put_contracts
from mts_gateway.registry.stored import read_stored, show
from mts_gateway.users import Passwords
from mts_gateway.warranty.recalculation import due_dates, recalculate


class Transfer:
    """The registry's way in and out. `views` are the statements over the published views."""

    def __init__(
        self,
        pool: Pool,
        views: Mapping[str, str],
        passwords: Passwords,
        country_code: str,
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._views = views
        self._passwords = passwords
        self._country_code = country_code
        self._now = now

    async def export(self) -> Mapping[str, object]:
        """The whole registry as a file without passwords."""
        async with database.transaction(self._pool) as connection:
            return show(await read_stored(connection))

    async def load(self, body: bytes) -> Mapping[str, int]:
        """Make the registry's items of these ids what the file says; how many changed, by kind.

        Raises `RegistryFaults`; then nothing has changed.
        """
        faults: list[str] = []
        items = await asyncio.to_thread(read_items, body, REGISTRY, faults)
        async with database.transaction(self._pool) as connection:
            await connection.execute(SQL["lock_registry"])
            await connection.execute(SQL["lock_assets"])
            stored = await read_stored(connection)
            if not faults:
                await self._seal(stored, items)
            merged = await asyncio.to_thread(merge, stored, items, self._now().isoformat())
            await asyncio.to_thread(_check, merged, faults)
            if faults:
                raise RegistryFaults(faults)
            await self._store(connection, merged)
        return {kind: len(changed) for kind, changed in merged.changed.items() if changed}

    async def _store(self, connection: Connection, merged: Merged) -> None:
        """Names that two items exchange are free for neither: the database says so where the check cannot."""
        try:
            await put(connection, merged.changed, self._country_code)
            if merged.recounted:
                await connection.execute(SQL["forget_meter_readings"], merged.recounted)
                await connection.execute(self._views["fill_meter_readings"], merged.recounted)
            await self._calculate(connection, merged)
            await put_contracts(connection, merged.changed["contracts"])
        except asyncpg.UniqueViolationError as error:
            raise RegistryFaults([f"two items exchange what must differ ({error.constraint_name})"]) from error
        if merged.due:
            await recalculate(connection, (int(str(each)) for each in merged.due))

    async def _calculate(self, connection: Connection, merged: Merged) -> None:
        """The due dates of new contracts."""
        found = undated(merged.new_contracts, merged.whole["meters"])
        date_meters(found, await due_dates(connection, [terms for _, terms in found]))
        date_contracts(merged.new_contracts, self._now().date())

    async def _seal(self, stored: Items, file: Items) -> None:
        """Passwords become hashes; one that is there already stays what it is."""
        hashes = {user.values["id"]: str(user.values["password"]) for user in stored["users"]}
        for user in file["users"]:
            if "password" in user.given:
                known, plain = hashes.get(user.values["id"]), str(user.values["password"])
                same = known is not None and await self._passwords.check(known, plain)
                user.values["password"] = known if same else await self._passwords.hash(plain)


def _check(merged: Merged, faults: list[str]) -> None:
    for kind, keys in REGISTRY.items():
        check_required(merged.changed[kind], keys, faults)
    check_references(merged.whole, faults)
