"""Loading a registry seed file into the running stack: the gateway's part and the results' part in one transaction."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from mts_common import database
from mts_common.database import Connection
from mts_gateway.registry.seed import Seed, load_seed, read_seed
from mts_gateway.users import Passwords
from mts_results.seed import replace_readings
from mts_stack.processes import StackFault
from mts_stack.stack import STACK_FILE

LOAD_SECONDS = 600.0
LOCK_SECONDS = 30

_COUNTRY_CODE = "MTS_COUNTRY_CODE"


def seed_stack(directory: Path, file: Path) -> dict[str, int]:
    """Load `file` into the stack that runs in `directory`; the number of items of each kind.

    Raises `RegistryFaults`, or `StackFault` where the file or the stack cannot be reached; then nothing has changed.
    """
    try:
        seed = read_seed(file.read_bytes(), datetime.now(UTC).date())
    except OSError as error:
        raise StackFault(f"{file}: {error.strerror}") from error
    try:
        asyncio.run(_load(_owner_url(directory), seed))
    except (*database.UNAVAILABLE, asyncpg.PostgresError) as error:
        raise StackFault(f"the database refused, nothing has changed: {error}") from error
    return {kind: len(items) for kind, items in seed.items.items()}


def _owner_url(directory: Path) -> str:
    try:
        description = json.loads((directory / STACK_FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise StackFault(f"no stack runs in {directory}: `make up` starts one") from None
    return str(description["postgres"])


async def _load(url: str, seed: Seed) -> None:
    async with database.open_pool(url, "mts-stack seed", 2, LOAD_SECONDS) as pool, database.transaction(pool) as owner:
        await owner.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        await load(owner, seed, os.environ.get(_COUNTRY_CODE) or "44")


async def load(owner: Connection, seed: Seed, country_code: str = "44") -> None:
    """Load a seed in the owner's transaction, each service's part with no more than that service's rights."""
    await owner.execute("SET LOCAL ROLE mts_gateway")
    await load_seed(owner, seed, Passwords(), country_code)
    await owner.execute("SET LOCAL ROLE mts_results")
    await replace_readings(
        owner, list(seed.measurements()), list(seed.register_readings()), list(seed.facts()), datetime.now(UTC)
    )
    await owner.execute("RESET ROLE")
