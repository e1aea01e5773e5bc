"""What clients read, each kind in tables of its own, made from the histories of tests and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mts_common.database import Connection
from mts_results.history import History, load
from mts_results.projections import device_facts, measurements, register_readings, search, status


class Projection(Protocol):
    """Brings its tables' rows for the tests of `histories` in line with them, inside the caller's transaction.

    The rows depend on the histories alone, so that applying them in any order and number leads to the same tables.
    Where a history was loaded without data, what was made of data stays as it is. The readings of devices outlive their
    tests: rows that histories told of stay when the histories are gone.
    """

    async def __call__(self, connection: Connection, histories: Sequence[History]) -> None: ...


PROJECTIONS: Mapping[str, Projection] = {
    "status": status.apply,
    "search": search.apply,
    "measurements": measurements.apply,
    "register_readings": register_readings.apply,
    "device_facts": device_facts.apply,
}

_AT_ONCE = 50  # tests whose data are in memory together


async def apply(
    connection: Connection, test_ids: Sequence[int], projections: Iterable[Projection], *, with_data: bool
) -> None:
    """Apply `projections` to the tests, whose rows the caller's transaction has locked."""
    chosen = tuple(projections)
    for start in range(0, len(test_ids), _AT_ONCE):
        histories = await load(connection, test_ids[start : start + _AT_ONCE], with_data=with_data)
        for projection in chosen:
            await projection(connection, histories)
