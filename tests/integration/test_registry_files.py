"""`mts registry` against the real gateway: the example in, out as JSON and CSV, and in again without a change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from mts_client.cli import app
from mts_client.cli.session import ExitCode, Session
from mts_common.database import migrate
from mts_gateway.testing import RunningGateway, Store, make_certificate, make_settings
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.paths import ROOT
from mts_stack.rabbitmq import vhost_url
from mts_stack.servers import Servers

Run = Callable[..., Result]

EXAMPLE = json.loads((ROOT / "examples" / "registry-seed.json").read_bytes())
REGISTRY = {kind: items for kind, items in EXAMPLE.items() if kind not in ("measurements", "registerReadings")}


@pytest.fixture
def run(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `mts` as an administrator, in a folder with the example file."""
    monkeypatch.chdir(tmp_path)
    cert, key = make_certificate(tmp_path)
    (tmp_path / "registry.json").write_text(json.dumps(REGISTRY))
    with fresh_database(servers) as roles, fresh_vhost(servers) as management:
        asyncio.run(migrate(roles.url("results"), "results", "mts_results"))
        asyncio.run(migrate(roles.url("gateway"), "gateway", "mts_gateway"))
        settings = make_settings(
            roles,
            amqp_url=vhost_url(servers.amqp_url, management.vhost),
            meter_keys=Fernet.generate_key().decode(),
            tls_cert=cert,
            tls_key=key,
        )
        with RunningGateway(settings) as gateway:
            environment = {
                "HOME": str(tmp_path),
                "MTS_URL": f"https://127.0.0.1:{gateway.port}/MTS",
                "MTS_ADMIN_TOKEN": Store(roles).new_client(scopes=("admin",)).token,
                "MTS_CA_FILE": str(cert),
            }
            yield lambda *arguments: CliRunner(env=environment).invoke(app, ["registry", *arguments], obj=Session())


def test_an_export_imports_without_a_change_in_both_forms(run: Run, tmp_path: Path) -> None:
    first = run("import", "registry.json")
    assert (first.exit_code, first.stdout.startswith("Changed: 2 distributors, ")) == (0, True), first.output
    for form in ("json", "csv"):
        file = tmp_path / f"out.{form}"
        file.write_text(run("export", "--format", form).stdout)
        again = run("import", file.name)
        assert (again.exit_code, again.stdout) == (0, "Nothing has changed\n"), again.output
    exported: dict[str, list[dict[str, Any]]] = json.loads((tmp_path / "out.json").read_text())
    assert {kind: len(items) for kind, items in exported.items()} == {
        kind: len(items) for kind, items in REGISTRY.items()
    }


def test_a_csv_file_changes_all_or_nothing_and_its_faults_are_told_by_line(run: Run, tmp_path: Path) -> None:
    run("import", "registry.json")
    before = run("export").stdout
    lines = ["kind,deviceId,phases,timezone", "devices,8796541235874587,3,", "devices,8796541235874588,2,7"]
    (tmp_path / "devices.csv").write_text("\n".join(lines))
    refused = run("import", "devices.csv")
    assert refused.exit_code == ExitCode.REFUSED
    assert "line 3, phases: must be one of 1, 3" in refused.output
    assert "line 3, timezone: is not among the timezones" in refused.output
    assert run("export").stdout == before
    (tmp_path / "devices.csv").write_text("\n".join(lines[:2]))
    assert run("import", "devices.csv").stdout == "Changed: 1 devices\n"
