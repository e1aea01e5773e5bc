"""The admin API and the command line: clients and tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from mts_gateway.fields import MAX_ID
from mts_gateway.testing import Credentials, RunningGateway, Store

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}

SCOPES_FAULT = "scopes must be a list of mts, admin, warranty:read, warranty:write"


def test_a_client_is_created_and_listed(admin: httpx.Client) -> None:
    made = admin.post("/MTS/admin/clients", json={"name": "Acme"}).json()
    assert set(made) == {"clientId", "name", "createdTime"}
    assert made in admin.get("/MTS/admin/clients").json()["clients"]


def test_a_client_may_have_run_windows_of_its_own(admin: httpx.Client) -> None:
    windows = [{"opens": "22:00", "closes": "06:00:30", "zone": "Europe/London"}]
    made = admin.post("/MTS/admin/clients", json={"name": "Acme", "runWindows": windows}).json()
    assert made["runWindows"] == [{"opens": "22:00:00", "closes": "06:00:30", "zone": "Europe/London"}]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ([], ["the body must be a JSON object"]),
        ({}, ["name is required"]),
        ({"name": 5}, ["name must be a string"]),
        ({"name": "x" * 101}, ["name must not be longer than 100 characters"]),
        ({"name": "x", "runWindows": []}, ["runWindows must be a list of 1 to 50 run windows"]),
        ({"name": "x", "runWindows": {}}, ["runWindows must be a list of 1 to 50 run windows"]),
        (
            {"name": "x", "runWindows": [5, {}, {"opens": "24:00", "closes": 1, "zone": "Mars/Base"}]},
            [
                "runWindows[0] must be a JSON object",
                "runWindows[1].opens is required",
                "runWindows[1].closes is required",
                "runWindows[1].zone is required",
                "runWindows[2].opens must be a wall clock time in the form HH:mm",
                "runWindows[2].closes must be a string",
                "runWindows[2].zone must be an IANA time zone, e.g. Europe/London",
            ],
        ),
        (
            {"name": "x", "runWindows": [{"opens": "01:00", "closes": "02:00", "zone": "../etc/passwd"}]},
            ["runWindows[0].zone must be an IANA time zone, e.g. Europe/London"],
        ),
    ],
)
def test_a_bad_client_is_refused_with_all_its_faults(admin: httpx.Client, body: object, faults: list[str]) -> None:
    answer = admin.post("/MTS/admin/clients", json=body)
    assert (answer.status_code, answer.json()) == (400, {"details": faults})


def test_a_tokens_secret_is_in_the_answer_to_its_creation_only(
    admin: httpx.Client, gateway: RunningGateway, owner: Credentials, store: Store
) -> None:
    made = admin.post("/MTS/admin/tokens", json={"clientId": owner.client_id, "scopes": ["mts"], "validDays": 2}).json()
    assert set(made) == {"tokenId", "token", "clientId", "scopes", "dialect", "createdTime", "expiresTime"}
    assert (made["clientId"], made["scopes"], made["dialect"]) == (owner.client_id, ["mts"], "grouped")
    lifetime = datetime.fromisoformat(made["expiresTime"]) - datetime.fromisoformat(made["createdTime"])
    assert lifetime == timedelta(days=2)
    with gateway.http(made["token"]) as api:
        assert api.get("/MTS/limits").status_code == 200
    listing = admin.get("/MTS/admin/tokens")
    secret = made.pop("token")
    assert made in listing.json()["tokens"]
    assert secret not in listing.text
    rows = store.run("SELECT t::text AS text FROM gateway.token t")
    assert not [row for row in rows if secret in row["text"]]


def test_a_token_has_defaults(admin: httpx.Client, owner: Credentials) -> None:
    made = admin.post("/MTS/admin/tokens", json={"clientId": str(owner.client_id), "scopes": None}).json()
    assert (made["scopes"], made["dialect"]) == (["mts"], "grouped")
    year = datetime.fromisoformat(made["expiresTime"]) - datetime.now(UTC)
    assert timedelta(days=364) < year <= timedelta(days=365)


def test_a_tokens_client_may_be_named_as_the_contract_names_it(admin: httpx.Client, owner: Credentials) -> None:
    made = admin.post("/MTS/admin/tokens", json={"client": owner.client_id}).json()
    assert made["clientId"] == owner.client_id


def test_a_token_may_have_both_scopes_and_a_dialect(
    admin: httpx.Client, owner: Credentials, gateway: RunningGateway
) -> None:
    body = {"clientId": owner.client_id, "scopes": ["admin", "mts", "mts"], "dialect": "flat"}
    made = admin.post("/MTS/admin/tokens", json=body).json()
    assert (made["scopes"], made["dialect"]) == (["mts", "admin"], "flat")
    with gateway.http(made["token"]) as both:
        assert both.get("/MTS/limits").status_code == both.get("/MTS/admin/tokens").status_code == 200


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (5, ["the body must be a JSON object"]),
        ({}, ["clientId is required"]),
        ({"clientId": MAX_ID}, [f"clientId {MAX_ID} is not known"]),
        ({"clientId": 1, "scopes": []}, [SCOPES_FAULT]),
        ({"clientId": 1, "scopes": "mts"}, [SCOPES_FAULT]),
        (
            {"clientId": 1, "scopes": ["root", []]},
            [SCOPES_FAULT],
        ),
        ({"clientId": 1, "validDays": 0}, ["validDays must be a whole number from 1 to 3650"]),
        ({"clientId": 1, "validDays": 3651}, ["validDays is over the limit of 3650"]),
        ({"clientId": 1, "dialect": "round"}, ["dialect must be one of grouped, flat"]),
    ],
)
def test_a_bad_token_is_refused(admin: httpx.Client, body: object, faults: list[str]) -> None:
    answer = admin.post("/MTS/admin/tokens", json=body)
    assert (answer.status_code, answer.json()) == (400, {"details": faults})


def test_a_deleted_token_is_no_longer_listed_or_known(admin: httpx.Client, owner: Credentials) -> None:
    answer = admin.delete(f"/MTS/admin/tokens/{owner.token_id}")
    assert (answer.status_code, answer.json()) == (200, {"tokenId": owner.token_id})
    assert owner.token_id not in [each["tokenId"] for each in admin.get("/MTS/admin/tokens").json()["tokens"]]
    for wrong in (owner.token_id, MAX_ID, 0, "x"):
        assert admin.delete(f"/MTS/admin/tokens/{wrong}").status_code == 400


def command(site: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "MTS_POSTGRES_URL": site.roles.url("gateway"),
        "MTS_AMQP_URL": site.amqp_url,
        "MTS_METER_KEYS": site.key,
    }
    call = [sys.executable, "-m", "mts_gateway", *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=60, check=False)


def output(site: Any, *arguments: str) -> Any:
    done = command(site, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_line_keeps_clients_and_tokens(site: Any, gateway: RunningGateway) -> None:
    assert output(site, "migrate") == {"applied": []}
    client = output(site, "client", "create", "Acme")
    assert client in output(site, "client", "list")["clients"]
    options = ["--scope", "mts", "--scope", "admin", "--valid-days", "3", "--dialect", "flat"]
    made = output(site, "token", "create", "--client", str(client["clientId"]), *options)
    assert (made["scopes"], made["dialect"]) == (["admin", "mts"], "flat")
    with gateway.http(made["token"]) as api:
        assert api.get("/MTS/limits").status_code == 200
        assert made["token"] not in json.dumps(output(site, "token", "list"))
        assert output(site, "token", "delete", str(made["tokenId"])) == {"tokenId": made["tokenId"]}
        assert api.get("/MTS/limits").status_code == 401


@pytest.mark.parametrize(
    "arguments",
    [
        ("client", "create", ""),
        ("token", "create", "--client", str(MAX_ID), "--scope", "mts"),
        ("token", "create", "--client", "1", "--scope", "root"),
        ("token", "create", "--client", "1", "--scope", "mts", "--valid-days", "0"),
        ("token", "delete", str(MAX_ID)),
    ],
)
def test_the_command_line_says_what_is_wrong(site: Any, arguments: tuple[str, ...]) -> None:
    done = command(site, *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
