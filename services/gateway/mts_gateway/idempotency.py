"""Idempotency keys: a request repeated with its key gets the first answer and creates nothing.

Two requests with one key meet in the table's primary key, on whichever replicas they are: the second waits for the
first's commit and then finds its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mts_common.database import Connection

_KEY = re.compile(r"[\x20-\x7e]{1,128}")

Key = tuple[int, str]
"""A client's id and the key it chose."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a key stands for: the SHA-256 of the request, and the id that was its answer."""

    digest: bytes
    test_id: int | None
    batch_id: int | None

    @property
    def answer(self) -> int | None:
        """The id that the client is told."""
        return self.batch_id if self.test_id is None else self.test_id


def read_key(values: Sequence[str], faults: list[str]) -> str | None:
    """The key in the Idempotency-Key headers of a request; None without one, or with a fault."""
    if not values or values == [""]:
        return None
    if len(values) == 1 and _KEY.fullmatch(values[0]):
        return values[0]
    faults.append("Idempotency-Key must be one value of up to 128 printable ASCII characters")
    return None


async def bind(connection: Connection, sql: Mapping[str, str], wanted: Mapping[Key, Binding]) -> dict[Key, Binding]:
    """Bind the keys in the caller's transaction; what each stands for afterwards, which may be an older binding."""
    if not wanted:
        return {}
    rows = await connection.fetch(
        sql["claim_keys"],
        [client_id for client_id, _ in wanted],
        [key for _, key in wanted],
        [binding.digest for binding in wanted.values()],
        [binding.test_id for binding in wanted.values()],
        [binding.batch_id for binding in wanted.values()],
    )
    claimed = {(row["client_id"], row["key"]) for row in rows}
    others = [key for key in wanted if key not in claimed]
    held = {key: wanted[key] for key in claimed}
    if others:
        found = await connection.fetch(
            sql["find_keys"], [client_id for client_id, _ in others], [key for _, key in others]
        )
        held |= {
            (row["client_id"], row["key"]): Binding(row["digest"], row["test_id"], row["batch_id"]) for row in found
        }
    return held
