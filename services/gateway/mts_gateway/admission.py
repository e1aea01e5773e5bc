"""Who is calling, whether the token allows it, and whether the client has calls left: one short statement per batch.

Nothing is cached: a token that is deleted or has expired opens nothing from that moment on, and the count of a window
is exact over all replicas. The time is the database's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from mts_common import database, metrics
from mts_common.database import Pool
from mts_common.messages import RunWindow
from mts_common.security import token_digest
from mts_gateway import refusals
from mts_gateway.batcher import Batcher
from mts_gateway.refusals import Refused
from mts_gateway.settings import Limits

ADMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A client with a valid token; `dialect` is how the token wants registers shown."""

    client_id: int
    dialect: str
    run_windows: tuple[RunWindow, ...] | None = None


Call = tuple[bytes, str]
"""The digest of the token, and the scope that is needed."""


class Admission:
    """Admits calls. `run` must be running."""

    def __init__(self, pool: Pool, admit: str, limits: Limits) -> None:
        self._pool = pool
        self._admit = admit
        self._limits = limits
        self._batcher: Batcher[Call, Caller] = Batcher(self._admit_all, most=200, workers=2, waiting=5000)

    async def run(self) -> None:
        """Admit until cancelled."""
        await self._batcher.run()

    async def admit(self, token: str | None, scope: str) -> Caller:
        """The caller. Raises `Refused` with 401, 403 or 429."""
        if not token:
            raise refusals.unauthorised()
        return await self._batcher.submit((token_digest(token), scope))

    async def _admit_all(self, calls: Sequence[Call]) -> Sequence[Caller | Exception]:
        async with asyncio.timeout(ADMIT_SECONDS), self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(
                self._admit,
                [digest for digest, _ in calls],
                [scope for _, scope in calls],
                self._limits.window_seconds,
            )
        found = {row["place"]: row for row in rows}
        return [self._judge(found.get(place), scope) for place, (_, scope) in enumerate(calls, start=1)]

    def _judge(self, row: asyncpg.Record | None, scope: str) -> Caller | Refused:
        if row is None:
            return refusals.unauthorised()
        if not row["allowed"]:
            return refusals.forbidden(scope)
        if row["call_number"] > self._limits.calls_per_window:
            metrics.RATE_LIMITED.add(1, {"mts.client_id": str(row["client_id"])})
            seconds = max(1, row["seconds_left"])
            return refusals.too_many_requests(seconds, self._limits.calls_per_window, self._limits.window_seconds)
        return Caller(row["client_id"], row["dialect"], read_windows(row["run_windows"]))


def read_windows(stored: list[object] | None) -> tuple[RunWindow, ...] | None:
    """Run windows as they stand in the database."""
    return None if stored is None else tuple(RunWindow.model_validate(window) for window in stored)


def bearer_token(values: Sequence[str]) -> str | None:
    """The token in the Authorization headers of a request; None unless there is exactly one, of scheme Bearer."""
    if len(values) != 1:
        return None
    scheme, _, token = values[0].strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token and " " not in token else None
