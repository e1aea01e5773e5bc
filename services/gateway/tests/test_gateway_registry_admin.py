"""`/MTS/admin/registry`: items put in, all or none, and the registry taken out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mts_common.database import from_json
from mts_gateway.testing import RunningGateway, Store
from mts_gateway.testing.contract_seed import SeededRegistry

EXAMPLE = json.loads((Path(__file__).parents[3] / "examples" / "registry-seed.json").read_bytes())
REGISTRY = {kind: items for kind, items in EXAMPLE.items() if kind not in ("measurements", "registerReadings")}
DEVICE = "8796541235874587"
METER = 300100566813039


@pytest.fixture
def store(contract_site: Any) -> Store:
    found: Store = contract_site.store
    return found


@pytest.fixture
def registry(
    contract_site: Any, contract_registry: SeededRegistry, contract_gateway: RunningGateway, store: Store
) -> Iterator[httpx.Client]:
    """An administrator's calls, on a registry that is empty."""
    SeededRegistry(contract_site.roles, b"{}").restore()
    contract_registry.changed = True
    store.run("DELETE FROM results_v1.register_reading")
    with contract_gateway.http(store.new_client(scopes=("admin",)).token) as client:
        yield client


def put(client: httpx.Client, **kinds: Any) -> dict[str, int]:
    answer = client.post("/MTS/admin/registry", json=kinds)
    assert answer.status_code == 200, answer.text
    changed: dict[str, int] = answer.json()["changed"]
    return changed


def refused(client: httpx.Client, **kinds: Any) -> list[str]:
    answer = client.post("/MTS/admin/registry", json=kinds)
    assert answer.status_code == 400, answer.text
    details: list[str] = answer.json()["details"]
    return details


def taken(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/MTS/admin/registry")
    assert answer.status_code == 200
    found: dict[str, Any] = from_json(answer.content)
    return found


def one(client: httpx.Client, kind: str, name: str, value: object) -> dict[str, Any]:
    [found] = [item for item in taken(client)[kind] if item[name] == value]
    assert isinstance(found, dict)
    return found


def test_a_file_is_put_in_and_taken_out_and_put_in_again_changes_nothing(registry: httpx.Client) -> None:
    assert put(registry, **REGISTRY) == {kind: len(items) for kind, items in REGISTRY.items()}
    before = taken(registry)
    assert registry.post("/MTS/admin/registry", content=registry.get("/MTS/admin/registry").content).json() == {
        "changed": {}
    }
    assert put(registry, **REGISTRY) == {}
    assert taken(registry) == before


def test_no_password_is_taken_out_and_one_that_is_not_given_stays(registry: httpx.Client, store: Store) -> None:
    put(registry, **REGISTRY)
    passwords = "SELECT user_id, password FROM gateway.api_user ORDER BY user_id"
    before = store.run(passwords)
    assert "password" not in json.dumps(registry.get("/MTS/admin/registry").json())
    user = {"id": REGISTRY["users"][0]["id"], "roles": ["read"]}
    assert put(registry, users=[user]) == {"users": 1}
    assert store.run(passwords) == before
    assert put(registry, users=[{**user, "password": "another"}]) == {"users": 1}
    assert store.run(passwords) != before


def test_an_item_of_a_known_id_takes_on_the_keys_that_are_given(registry: httpx.Client) -> None:
    put(registry, **REGISTRY)
    before = one(registry, "devices", "deviceId", DEVICE)
    assert put(registry, devices=[{"deviceId": DEVICE, "label": None, "phases": 3}]) == {"devices": 1}
    assert one(registry, "devices", "deviceId", DEVICE) == {**before, "label": None, "phases": 3}


def test_a_fault_changes_nothing_and_each_is_named_by_its_pointer(registry: httpx.Client) -> None:
    put(registry, **REGISTRY)
    before = taken(registry)
    customer = {"id": REGISTRY["customers"][0]["id"], "location": "Elsewhere"}
    found = refused(
        registry,
        customers=[customer, {"id": "7d0f1d0e-4444-4a6b-9c1e-000000000001", "accountNumber": "abc123"}],
        devices=[{"deviceId": DEVICE, "phases": 2}, {"deviceId": DEVICE}],
        users=[{"id": "7d0f1d0e-4444-4a6b-9c1e-000000000001", "userName": "new"}],
        measurements=[],
    )
    assert {fault.partition(":")[0] for fault in found} == {
        "/measurements",
        "/customers/1/distributor",
        "/devices/0/phases",
        "/devices/1/deviceId",
        "/users/0/password",
    }
    assert taken(registry) == before


def test_what_must_differ_differs_from_what_is_stored_too(registry: httpx.Client) -> None:
    put(registry, **REGISTRY)
    owner = REGISTRY["distributors"][0]["id"]
    new = {"id": "7d0f1d0e-4444-4a6b-9c1e-000000000001", "distributor": owner, "accountNumber": "abc123"}
    assert refused(registry, customers=[new]) == ["/customers/0/accountNumber: is the same as in the registry"]


def test_a_body_that_is_not_json_is_refused_by_line_and_column(registry: httpx.Client) -> None:
    answer = registry.post("/MTS/admin/registry", content=b'{"devices":\n [}')
    assert answer.status_code == 400
    assert "(line 2, column 3)" in answer.json()["details"][0]


def test_a_changed_contract_is_one_version_more_and_an_unchanged_one_is_not(registry: httpx.Client) -> None:
    put(registry, **REGISTRY)
    contract = REGISTRY["contracts"][0]
    before = one(registry, "contracts", "ContractId", contract["ContractId"])
    change = {"ContractId": contract["ContractId"], "ContractNotes": "other"}
    assert put(registry, contracts=[change]) == {"contracts": 1}
    after = one(registry, "contracts", "ContractId", contract["ContractId"])
    assert (after["objectVersion"], after["LastUpdatedBy"]) == (before["objectVersion"] + 1, "REGISTRY")
    assert after["contractMeters"] == before["contractMeters"]
    assert put(registry, contracts=[change]) == {}


def test_due_dates_are_calculated_of_what_changes(registry: httpx.Client) -> None:
    put(registry, **REGISTRY)
    [contract] = taken(registry)["contracts"]
    assert [meter["CalculatedDueDate"] for meter in contract["contractMeters"]] == [
        "2022-10-16",
        "2028-03-28",
        "2028-03-28",
    ]
    assert contract["CalculatedExpirationDate"] == "2028-03-28"
    meter = {"ContractMeterId": contract["contractMeters"][0]["ContractMeterId"], "MeterIntervalValue": "1000"}
    put(registry, contracts=[{"ContractId": contract["ContractId"], "contractMeters": [meter]}])
    [contract] = taken(registry)["contracts"]
    assert contract["contractMeters"][0]["CalculatedDueDate"] == "2022-10-26"


def test_a_new_meter_takes_the_readings_that_are_stored_of_its_register(registry: httpx.Client, store: Store) -> None:
    for register, value in (("Counter A", "400"), ("Counter B", "7")):
        store.run(
            "INSERT INTO results_v1.register_reading VALUES ($1, $2, '2022-10-10', $3::text::numeric)",
            DEVICE,
            register,
            value,
        )
    put(registry, **REGISTRY)
    readings = "SELECT value FROM gateway.meter_reading WHERE meter_id = $1"
    assert [str(row["value"]) for row in store.run(readings, METER)] == ["400"]
    [contract] = taken(registry)["contracts"]
    assert contract["contractMeters"][0]["CalculatedDueDate"] == "2022-10-12"
    put(registry, meters=[{"meterId": METER, "register": "Counter B"}])
    assert [str(row["value"]) for row in store.run(readings, METER)] == ["7"]


def test_only_administrators_may(contract_gateway: RunningGateway, store: Store) -> None:
    with contract_gateway.http(store.new_client().token) as client:
        assert client.get("/MTS/admin/registry").status_code == 403
        assert client.post("/MTS/admin/registry", json={}).status_code == 403
