"""Handing out calls to diallers that ask."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import asyncpg

from mts_common import database, failpoints, metrics, telemetry
from mts_common.database import Connection, Pool
from mts_common.messages import CallGrant, CallWant, GrantedCall, GrantedTest, RunWindow, Transport
from mts_scheduler.lifecycle import Lane
from mts_scheduler.numbers import Admission, FilterFault, admission
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.statements import SQL
from mts_scheduler.windows import open_since, open_until

TESTS_IN_CALL = 16
CALLS_IN_GRANT = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grants:
    """Claims work for diallers. Safe to use from any number of schedulers at once."""

    pool: Pool
    settings: SchedulerSettings

    async def claim(self, want: CallWant) -> CallGrant | None:
        """Calls for the dialler; None if there are none now.

        An ask that was granted calls before gets the same, less what has ended since, be that nothing.
        """
        try:
            admitted = self._admission(want)
        except FilterFault as fault:
            _log.error("dialler %s: its number filter is not valid: %s", want.dialler, fault)
            return None
        async with database.transaction(self.pool) as connection:
            await connection.execute(SQL["begin_claim"], want.nonce)
            await connection.execute(
                SQL["welcome"], want.dialler, want.transport, want.free_lines, self.settings.lease_seconds
            )
            granted_before = await connection.fetch(SQL["granted_before"], want.nonce)
            rows = granted_before or await self._claim_calls(connection, want, admitted)
        if not rows:
            return None
        failpoints.reach("scheduler.granted")
        if not granted_before:
            _note(rows)
        return CallGrant(nonce=want.nonce, calls=_calls(rows))

    async def _claim_calls(self, connection: Connection, want: CallWant, admitted: Admission) -> list[asyncpg.Record]:
        return await connection.fetch(
            SQL["claim_calls"],
            want.dialler,
            want.nonce,
            want.transport,
            min(want.free_lines, CALLS_IN_GRANT),
            await self.openings(connection),
            admitted.allowed,
            admitted.forbidden,
            TESTS_IN_CALL,
        )

    def _admission(self, want: CallWant) -> Admission:
        if want.transport is Transport.TCP:
            return Admission()
        return admission(want.number_filter, self.settings.country_code)

    async def openings(self, connection: Connection) -> list[dict[str, Any]]:
        """The run windows that lanes have and that are open now, since when and until when."""
        return [
            {"windows": row["windows"], "opened_at": opened.isoformat(), "closes_at": closes.isoformat()}
            for row in await connection.fetch(SQL["window_sets"])
            if (opened := open_since(lane_windows(row["windows"], self.settings), row["now"])) is not None
            and (closes := open_until(lane_windows(row["windows"], self.settings), row["now"])) is not None
        ]


def lane_windows(kept: Sequence[Mapping[str, Any]], settings: SchedulerSettings) -> tuple[RunWindow, ...]:
    """A lane's run windows, from what it keeps of its client's own."""
    return tuple(map(RunWindow.model_validate, kept)) or settings.run_windows


def _note(rows: Sequence[asyncpg.Record]) -> None:
    """An immediate test's grant belongs to its request's trace; an overnight one starts anew and names it."""
    for row in rows:
        attributes = {"mts.test_id": row["terms"]["test_id"], "mts.attempt": row["attempt"]}
        asked = row["traceparent"]
        if row["kind"] == Lane.IMMEDIATE:
            with telemetry.span("grant", parent=asked, attributes=attributes):
                _measure(row)
        else:
            with telemetry.span("grant", links=[asked], attributes=attributes):
                _measure(row)


def _measure(row: asyncpg.Record) -> None:
    metrics.GRANT_LAG.record(row["lag"], {"mts.lane": row["kind"], "mts.transport": row["transport"]})


def _calls(rows: Sequence[asyncpg.Record]) -> tuple[GrantedCall, ...]:
    running = (row for row in rows if row["terms"] is not None)
    return tuple(_call(list(tests)) for _, tests in groupby(running, key=lambda row: row["call_id"]))


def _call(tests: Sequence[asyncpg.Record]) -> GrantedCall:
    first = tests[0]
    return GrantedCall(
        call_id=first["call_id"],
        remote_address=first["remote_address"],
        canonical_address=first["canonical_address"],
        transport=first["transport"],
        coms_settings=first["coms_settings"] or None,
        seconds_left=first["seconds_left"],
        tests=tuple(
            GrantedTest.model_validate(
                row["terms"] | {"attempt": row["attempt"], "tries": row["tries"], "traceparent": row["traceparent"]}
            )
            for row in tests
        ),
    )
