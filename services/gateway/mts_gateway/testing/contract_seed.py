"""Registries for tests of the contract meters API, loaded as seed files are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from mts_common.database import Pool, from_json, open_pool, to_json, transaction
from mts_gateway.registry.seed import load_seed, read_seed
from mts_gateway.testing import Roles
from mts_gateway.users import Passwords


class CheapPasswords(Passwords):
    """Makes hashes that are quick to make and to check."""

    async def hash(self, password: str) -> str:
        """The argon2id hash to store."""
        return _hashed(password)


@lru_cache
def _hashed(password: str) -> str:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


def contract_seed(example: Path) -> bytes:
    """The repository's example without its survey data, and beside it a second tenant and users of other roles."""
    seed: dict[str, Any] = from_json(example.read_text("utf-8"))
    more = from_json((resources.files(__package__) / "contract_seed.json").read_text("utf-8"))
    seed.pop("measurements")
    return to_json({kind: [*items, *more.get(kind, ())] for kind, items in seed.items()}).encode()


async def load_into(pool: Pool, seed: bytes) -> None:
    """Replace the registry by `seed`."""
    found = read_seed(seed, datetime.now(UTC).date())
    async with transaction(pool) as connection:
        await load_seed(connection, found, CheapPasswords(), "44")


class SeededRegistry:
    """A database whose registry is `seed`, until a test has changed it."""

    def __init__(self, roles: Roles, seed: bytes) -> None:
        self._roles = roles
        self._seed = seed
        self.changed = True

    def restore(self) -> None:
        """Make the registry the seed again, and let nobody have failed to log in yet."""
        if self.changed:
            asyncio.run(self._load())
            self.changed = False

    async def _load(self) -> None:
        async with open_pool(self._roles.url("gateway"), "seed", 2) as pool:
            await load_into(pool, self._seed)
            await pool.execute("TRUNCATE gateway.login_failure")
