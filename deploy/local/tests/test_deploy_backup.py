"""A backup brings back every row, right and number of every schema."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from mts_common import database as schemas
from mts_stack.fixtures import fresh_database
from mts_stack.paths import ROOT
from mts_stack.postgres import ROLES, RoleUrls
from mts_stack.servers import Servers

SCHEMAS = [*ROLES, "results_v1"]
SECONDS = 60.0

_CONTENT = {
    "gateway": """
        INSERT INTO gateway.client (name) VALUES ('north'), ('south');
        INSERT INTO gateway.outbox (kind, item) SELECT 'test.requested', 'item ' || n FROM generate_series(1, 50) n;
        DELETE FROM gateway.outbox WHERE id > 40;
    """,
    "scheduler": """
        INSERT INTO scheduler.job (test_id, state, ended_at) SELECT n, 'cancelled', now() FROM generate_series(1, 20) n;
    """,
    "results": """
        SELECT results.ensure_partition(1, 100);
        INSERT INTO results.test (test_id, seen_at) SELECT n, now() FROM generate_series(1, 20) n;
        INSERT INTO results.trace VALUES (1, 1, decode('1f8b00ff', 'hex'));
        INSERT INTO results.request VALUES (1, '{"exact": 12345678901234567890.120}');
    """,
}
_RELATIONS = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner,
    (SELECT array_agg(right_::text ORDER BY right_::text) FROM unnest(c.relacl) AS right_) AS rights,
    CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'i' THEN pg_get_indexdef(c.oid) END AS definition,
    pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relkind <> 't' ORDER BY 1, 2
"""
_CONSTRAINTS = """
SELECT n.nspname, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname = ANY ($1) ORDER BY 1, 2, 3
"""
_ROUTINES = """
SELECT n.nspname, p.proname, pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY ($1) ORDER BY 1, 2
"""
_NAMESPACES = """
SELECT nspname, pg_get_userbyid(nspowner), (SELECT array_agg(r::text ORDER BY r::text) FROM unnest(nspacl) AS r)
FROM pg_namespace WHERE nspname = ANY ($1) ORDER BY 1
"""


@pytest.fixture
def other_database(servers: Servers) -> Iterator[RoleUrls]:
    with fresh_database(servers) as urls:
        yield urls


def _backup(database: RoleUrls, *arguments: str) -> subprocess.CompletedProcess[str]:
    parts = urlsplit(database.admin_url)
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path[1:],
    }
    command = [str(ROOT / "deploy" / "backup.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)


async def _fill(database: RoleUrls) -> None:
    for role in ROLES:
        await schemas.migrate(database.url(role), role, f"mts_{role}")
        connection = await asyncpg.connect(database.url(role))
        try:
            await connection.execute(_CONTENT[role])
        finally:
            await connection.close()


async def _state(database: RoleUrls) -> dict[str, Any]:
    """All that a backup must keep: what there is, whose it is, every row, every counter."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        relations = [tuple(row.values()) for row in await connection.fetch(_RELATIONS, SCHEMAS)]
        state: dict[str, Any] = {"relations": relations}
        for name, query in (("constraints", _CONSTRAINTS), ("routines", _ROUTINES), ("namespaces", _NAMESPACES)):
            state[name] = [tuple(row.values()) for row in await connection.fetch(query, SCHEMAS)]
        for schema, name, kind, *_ in relations:
            if kind in {"r", "p", "v", "S"}:
                wanted = "(last_value, is_called)" if kind == "S" else "t"
                rows = await connection.fetch(f'SELECT {wanted}::text FROM "{schema}"."{name}" t ORDER BY 1')  # noqa: S608
                state[f"{schema}.{name}"] = [row[0] for row in rows]
        return state
    finally:
        await connection.close()


async def test_what_was_dumped_is_restored_whole(database: RoleUrls, other_database: RoleUrls, tmp_path: Path) -> None:
    await _fill(database)
    file = tmp_path / "mts.dump"
    dumped = _backup(database, "dump", str(file))
    assert dumped.returncode == 0, dumped.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    restored = _backup(other_database, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    before, after = await _state(database), await _state(other_database)
    assert len(before["gateway.outbox"]) == 40
    assert len(before["scheduler.job"]) == 20
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()


async def test_a_restored_database_needs_no_migration_and_goes_on_counting(
    database: RoleUrls, other_database: RoleUrls, tmp_path: Path
) -> None:
    await _fill(database)
    file = str(tmp_path / "mts.dump")
    assert _backup(database, "dump", file).returncode == 0
    assert _backup(other_database, "restore", file).returncode == 0
    assert [await schemas.migrate(other_database.url(role), role, f"mts_{role}") for role in ROLES] == [[], [], []]
    connection = await asyncpg.connect(other_database.url("gateway"))
    try:
        new = "INSERT INTO gateway.outbox (kind, item) VALUES ('test.requested', 'new') RETURNING id"
        assert await connection.fetchval(new) == 51
    finally:
        await connection.close()


async def test_nothing_is_restored_over_a_database_in_use(database: RoleUrls, tmp_path: Path) -> None:
    await _fill(database)
    file = str(tmp_path / "mts.dump")
    assert _backup(database, "dump", file).returncode == 0
    before = await _state(database)
    refused = _backup(database, "restore", file)
    assert refused.returncode == 1
    assert "holds tables of MTS" in refused.stderr
    assert await _state(database) == before


def test_a_dump_never_overwrites_a_file(database: RoleUrls, tmp_path: Path) -> None:
    file = tmp_path / "mts.dump"
    file.write_text("precious", "utf-8")
    assert _backup(database, "dump", str(file)).returncode == 1
    assert file.read_text("utf-8") == "precious"
