"""Making projections again from what is stored, while results runs."""

from __future__ import annotations

from collections.abc import Sequence

from mts_common.database import Pool, transaction
from mts_results import projections
from mts_results.projections import PROJECTIONS
from mts_results.statements import SQL

_AT_ONCE = 50


async def rebuild(pool: Pool, names: Sequence[str]) -> int:
    """Apply the named projections to every test, some at a time; the number of tests. Safe to repeat."""
    chosen = [PROJECTIONS[name] for name in names]
    done, last = 0, -1
    while test_ids := [row["test_id"] for row in await pool.fetch(SQL["next_tests"], last, _AT_ONCE)]:
        async with transaction(pool) as connection:
            await connection.execute(SQL["lock_tests"], test_ids)
            await projections.apply(connection, test_ids, chosen, with_data=True)
        done, last = done + len(test_ids), test_ids[-1]
    return done
