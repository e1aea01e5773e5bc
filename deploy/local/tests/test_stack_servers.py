"""Private servers: they start, forget nothing over a restart, and keep databases and vhosts apart."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import httpx
import pytest

from mts_stack.postgres import PostgresServer, RoleUrls, create_database, drop_database, postgres_answers
from mts_stack.processes import StackFault
from mts_stack.rabbitmq import Management, management_answers
from mts_stack.servers import GivenServer, Servers, servers_for_tests


@pytest.mark.parametrize("role", ["gateway", "scheduler", "results"])
async def test_each_role_creates_tables_in_its_own_schema_alone(database: RoleUrls, role: str) -> None:
    connection = await asyncpg.connect(database.url(role))
    try:
        await connection.execute(f"CREATE TABLE {role}.thing (id int)")
        for foreign in {"gateway", "scheduler", "results", "public"} - {role}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"CREATE TABLE {foreign}.thing (id int)")
    finally:
        await connection.close()


async def test_results_owns_the_published_views(database: RoleUrls) -> None:
    connection = await asyncpg.connect(database.url("results"))
    try:
        await connection.execute("CREATE VIEW results_v1.thing AS SELECT 1 AS id")
        await connection.execute("GRANT USAGE ON SCHEMA results_v1 TO mts_gateway")
    finally:
        await connection.close()


async def test_a_role_neither_creates_databases_nor_temporary_tables(database: RoleUrls) -> None:
    connection = await asyncpg.connect(database.url("gateway"))
    try:
        for forbidden in ("CREATE DATABASE other", "CREATE TEMPORARY TABLE scratch (id int)", "CREATE ROLE other"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()


def test_what_is_committed_outlasts_a_crash_of_the_private_server(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, durable=True)
    try:
        server.start()
        first = server.pid
        create_database(server.admin_url, "kept")
        server.kill()
        assert not postgres_answers(server.admin_url)
        server.start()
        assert server.pid != first
        drop_database(server.admin_url, "kept")
    finally:
        server.remove()


def test_a_fresh_vhost_holds_no_queue(management: Management, amqp_url: str) -> None:
    assert amqp_url.endswith(f"/{management.vhost}")
    assert management.queues() == {}
    assert management.close_connections() == 0
    management.delete_queue("never-declared")


def test_secrets_hide_themselves(database: RoleUrls) -> None:
    password = httpx.URL(database.url("gateway")).password
    assert password
    assert password not in repr(database)


def test_servers_of_the_environment_are_used_and_not_ended(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTS_TEST_AMQP_URL", servers.amqp_url)
    monkeypatch.setenv("MTS_TEST_AMQP_ADMIN_URL", servers.amqp_admin_url)
    monkeypatch.setenv("MTS_TEST_POSTGRES_URL", servers.postgres_admin_url)
    given = servers_for_tests(Path("unused"))
    given.start()
    given.remove()
    assert management_answers(servers.amqp_admin_url)
    assert postgres_answers(servers.postgres_admin_url)
    with pytest.raises(StackFault, match="not ours to kill"):
        given.broker.kill()


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MTS_TEST_AMQP_URL", "MTS_TEST_AMQP_ADMIN_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MTS_TEST_POSTGRES_URL", "postgresql://127.0.0.1:1/none")
    with pytest.raises(StackFault, match="set MTS_TEST_AMQP_URL and MTS_TEST_AMQP_ADMIN_URL too"):
        servers_for_tests(Path("unused"))


def test_a_server_of_the_environment_must_answer() -> None:
    with pytest.raises(StackFault, match="does not answer"):
        GivenServer("postgresql://nobody@127.0.0.1:1/none").start()
