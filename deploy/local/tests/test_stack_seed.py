"""Loading a registry seed: the whole of it or nothing, in place of what was there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mts_common.database import Pool, migrate, open_pool
from mts_stack.__main__ import app
from mts_stack.paths import ROOT
from mts_stack.postgres import RoleUrls

EXAMPLE = ROOT / "examples" / "registry-seed.json"
D1 = "7d0f1d0e-1111-4a6b-9c1e-000000000001"


@pytest.fixture
def stack(database: RoleUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a running stack has that matters here: its database, and the file that names it."""
    asyncio.run(migrate(database.url("gateway"), "gateway", "mts_gateway"))
    asyncio.run(migrate(database.url("results"), "results", "mts_results"))
    monkeypatch.setenv("MTS_LOCAL_DIR", str(tmp_path))
    (tmp_path / "stack.json").write_text(json.dumps({"postgres": database.admin_url}))
    return tmp_path


@pytest.fixture
async def owner(stack: Path, database: RoleUrls) -> AsyncIterator[Pool]:
    async with open_pool(database.admin_url, "test", 2) as pool:
        yield pool


async def seed(file: Path) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["seed", str(file)])
    return result.exit_code, result.output


async def load(stack: Path, **kinds: Any) -> tuple[int, str]:
    file = stack / "seed.json"
    file.write_text(json.dumps(kinds))
    return await seed(file)


async def column(owner: Pool, statement: str) -> list[Any]:
    return [row[0] for row in await owner.fetch(statement)]


async def counts(owner: Pool) -> dict[str, int]:
    tables = (
        "gateway.distributor",
        "gateway.api_user",
        "gateway.customer",
        "gateway.device",
        "gateway.contract_meter",
        "gateway.meter_reading",
        "results.measurement",
        "results.register_reading",
    )
    return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}  # noqa: S608


async def test_the_example_is_loaded_whole_and_again(owner: Pool) -> None:
    for _ in range(2):
        assert await seed(EXAMPLE) == (
            0,
            "Loaded 2 distributors, 2 timezones, 4 users, 121 customers, 4 devices, 1 assets, 3 meters, 1 contracts, "
            "1204 measurements, 3 registerReadings.\n",
        )
    assert await counts(owner) == {
        "gateway.distributor": 2,
        "gateway.api_user": 4,
        "gateway.customer": 121,
        "gateway.device": 4,
        "gateway.contract_meter": 3,
        "gateway.meter_reading": 3,
        "results.measurement": 1209,
        "results.register_reading": 3,
    }


async def test_it_writes_what_it_is_given(owner: Pool) -> None:
    await seed(EXAMPLE)
    rows = await owner.fetch(
        "SELECT contract_meter_id, calculated_due_date::text AS due, creation_date::text AS created, last_updated_by,"
        " object_version FROM gateway.contract_meter ORDER BY contract_meter_id"
    )
    assert [tuple(row) for row in rows] == [
        (100100907385960, "2022-10-16", "2022-10-28 15:58:19+00", "USER", 1),
        (300100568130911, "2028-04-19", "2022-10-28 16:06:14+00", "USER", 1),
        (300100568130912, "2028-04-19", "2022-10-28 16:12:03+00", "USER", 1),
    ]
    passwords = await column(owner, "SELECT password FROM gateway.api_user")
    assert all(password.startswith("$argon2id$") for password in passwords)
    facts = await owner.fetch("SELECT device_id, newest_reading_at::text FROM results_v1.device_fact ORDER BY 1")
    assert [tuple(row) for row in facts] == [
        ("8796541235874587", "2024-01-01 01:30:00+00"),
        ("8796541235874589", "2024-02-25 23:30:00+00"),
    ]


async def test_the_services_own_what_was_loaded(owner: Pool) -> None:
    await seed(EXAMPLE)
    assert set(await column(owner, "SELECT tableowner FROM pg_tables WHERE schemaname = 'results'")) == {"mts_results"}


async def test_a_bad_file_changes_nothing_and_every_fault_is_named(stack: Path, owner: Pool) -> None:
    await seed(EXAMPLE)
    before = await counts(owner)
    code, output = await load(stack, distributors=[{"id": D1}], measurements=[{"deviceId": "1"}])
    assert code == 1
    for pointer in ("/distributors/0/userName", "/measurements/0/deviceId", "/measurements/0/values"):
        assert f"{pointer}: " in output
    assert await counts(owner) == before


async def test_an_empty_file_empties_the_registry_and_nothing_else(stack: Path, owner: Pool) -> None:
    await seed(EXAMPLE)
    clients = await column(owner, "SELECT client_id FROM gateway.client ORDER BY 1")
    assert (await load(stack))[0] == 0
    assert not any((await counts(owner)).values())
    assert await column(owner, "SELECT client_id FROM gateway.client ORDER BY 1") == clients


async def test_a_distributor_keeps_its_client_and_a_user_its_tokens(stack: Path, owner: Pool) -> None:
    await seed(EXAMPLE)
    clients = "SELECT client_id FROM gateway.distributor ORDER BY distributor_id"
    names = "SELECT name FROM gateway.client JOIN gateway.distributor USING (client_id) ORDER BY distributor_id"
    before = await column(owner, clients)
    assert await column(owner, names) == ["sunco", "windco"]
    await owner.execute(
        "INSERT INTO gateway.user_token (digest, user_id, kind, expires_at)"
        " SELECT sha256(user_name::bytea), user_id, 'access', now() FROM gateway.api_user"
    )
    assert (await seed(EXAMPLE))[0] == 0
    assert await column(owner, clients) == before
    assert await owner.fetchval("SELECT count(*) FROM gateway.user_token") == 4


async def test_facts_of_devices_are_loaded(stack: Path, owner: Pool) -> None:
    device = {
        "deviceId": "8796541235874587",
        "distributor": D1,
        "firmware": "B40",
        "lastTestEnd": "2024-05-01T10:00:00Z",
    }
    assert (await load(stack, distributors=[{"id": D1, "userName": "sunco"}], devices=[device]))[0] == 0
    [row] = await owner.fetch("SELECT firmware, last_test_end::text FROM results_v1.device_fact")
    assert tuple(row) == ("B40", "2024-05-01 10:00:00+00")


async def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTS_LOCAL_DIR", str(tmp_path))
    code, output = await seed(EXAMPLE)
    assert code == 1
    assert "make up" in output
