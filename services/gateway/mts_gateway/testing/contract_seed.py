"""Small registries for tests of the contract meters API, in the form of registry-seed.md."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from argon2 import PasswordHasher

from mts_common.database import Pool, Statements, from_json, transaction
from mts_gateway.warranty.recalculation import recalculate

Seed = Mapping[str, Any]

_LOADING = (
    "seed_distributors",
    "seed_users",
    "seed_devices",
    "seed_assets",
    "seed_meters",
    "seed_contracts",
    "seed_contract_meters",
    "seed_readings",
)


@lru_cache
def hashed(password: str) -> str:
    """The password's hash, cheaper to check than those of people."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


def acceptance_seed() -> Any:
    """What the acceptance examples of contract-meters.md assume, and the contract of another distributor."""
    return from_json((resources.files(__package__) / "contract_seed.json").read_text("utf-8"))


async def load_into(pool: Pool, seed: Seed) -> None:
    """Replace the registry by `seed`, and calculate its due dates."""
    sql = Statements(__package__)
    users = [{**user, "password": hashed(user["password"])} for user in seed["users"]]
    async with transaction(pool) as connection:
        await connection.execute(sql["empty_registry"])
        for name in _LOADING:
            await connection.execute(sql[name], {**seed, "users": users})
        await recalculate(connection, [meter["meterId"] for meter in seed["meters"]])
        for name in ("seed_contract_audit", "seed_contract_meter_audit"):
            await connection.execute(sql[name], seed)
