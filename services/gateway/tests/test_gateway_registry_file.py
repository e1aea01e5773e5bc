"""Registry files, read without a database: every fault by its JSON pointer, every decimal with its digits."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mts_gateway.registry.items import RegistryFaults
from mts_gateway.registry.seed import Seed, read_seed

EXAMPLE = Path(__file__).parents[3] / "examples" / "registry-seed.json"
TODAY = date(2026, 3, 1)
OWNER = "7d0f1d0e-1111-4a6b-9c1e-000000000001"
DEVICE = "8796541235874587"

ASSET: dict[str, Any] = {
    "distributors": [{"id": OWNER, "userName": "sunco"}],
    "assets": [{"id": 1, "number": "A1", "distributor": OWNER}],
    "meters": [
        {"meterId": 7, "code": "KWH", "uomCode": "KWH", "unitOfMeasure": "kWh", "asset": "A1", "baseDailyRate": "2.5"}
    ],
}
CONTRACT: dict[str, Any] = {
    "ContractId": 10,
    "ContractNumber": "C1",
    "AssetNumber": "A1",
    "ContractStartDate": "2026-01-01",
    "contractMeters": [{"ContractMeterId": 11, "MeterId": 7, "MeterIntervalValue": "25"}],
}


def seed(**kinds: Any) -> Seed:
    return read_seed(json.dumps(kinds).encode(), TODAY)


def faults(text: str | None = None, **kinds: Any) -> list[str]:
    with pytest.raises(RegistryFaults) as refused:
        read_seed(json.dumps(kinds).encode() if text is None else text.encode(), TODAY)
    return list(refused.value.faults)


def test_the_example_file_has_no_fault_and_the_due_dates_of_the_documentation() -> None:
    example = read_seed(EXAMPLE.read_bytes(), TODAY)
    [contract] = example.items["contracts"]
    due = [meter.values["CalculatedDueDate"] for meter in contract.nested("contractMeters")]
    assert due == ["2022-10-16", "2028-04-19", "2028-04-19"]
    assert contract.values["CalculatedExpirationDate"] == "2028-04-19"
    assert len(example.items["customers"]) == 121
    assert sum(each.device_id.endswith("589") for each in example.measurements()) == 1200


def test_an_empty_file_is_an_empty_registry() -> None:
    assert not any(seed().items.values())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "the body is not JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        ("[]", "the document must be a JSON object"),
        ('{"devices": {}}', "/devices: must be a list"),
        ('{"devices": [1]}', "/devices/0: must be a JSON object"),
        ('{"device": []}', "/device: is not a key that is known here"),
        ('{"timezones": [{"id": 1, "id": 2, "name": "UTC"}]}', "/timezones/0/id: is given more than once"),
        (
            '{"timezones": [{"id": 1, "name": "UTC", "a/b~": 1}]}',
            "/timezones/0/a~1b~0: is not a key that is known here",
        ),
        (
            '{"timezones": [{"id": true, "name": "UTC"}]}',
            "/timezones/0/id: must be a whole number from 0",
        ),
        ('{"timezones": [{"id": 1, "name": "Mars/Base"}]}', "/timezones/0/name: must be an IANA time zone, e.g."),
        ('{"timezones": [{"name": "UTC"}]}', "/timezones/0/id: is required"),
    ],
)
def test_a_fault_is_named_by_its_pointer(text: str, fault: str) -> None:
    [found] = faults(text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"deviceId": "123"}, "deviceId"),
        ({"deviceId": int(DEVICE)}, "deviceId"),
        ({"phases": 2}, "phases"),
        ({"registered": "yes"}, "registered"),
        ({"latitude": "90.1"}, "latitude"),
        ({"longitude": "1e999"}, "longitude"),
        ({"lastTestEnd": "2024-01-01T00:00:00"}, "lastTestEnd"),
        ({"channels": ["a", "a"]}, "channels"),
        ({"relays": [{"controlId": 1, "on": True}]}, "relays/0/on"),
        ({"label": "a\0b"}, "label"),
        ({"customer": "7d0f1d0e-3333-4a6b-9c1e-000000000001"}, "customer"),
        ({"timezone": 3}, "timezone"),
    ],
)
def test_a_device_s_fault_is_named(values: dict[str, Any], pointer: str) -> None:
    device = {"deviceId": DEVICE, "distributor": OWNER, **values}
    [found] = faults(distributors=ASSET["distributors"], devices=[device])
    assert found.startswith(f"/devices/0/{pointer}: ")


def test_all_faults_are_named_at_once_and_no_password_is_repeated() -> None:
    user = {"id": "x", "userName": "u", "password": "hunter2" * 100, "roles": ["root"]}
    found = faults(users=[user], customers=[{}], meter=1)
    assert {fault.split(":")[0] for fault in found} == {
        "/meter",
        "/users/0/id",
        "/users/0/password",
        "/users/0/roles",
        "/customers/0/id",
        "/customers/0/distributor",
        "/customers/0/accountNumber",
    }
    assert "hunter2" not in str(found)


def test_what_must_differ_differs() -> None:
    customer = {"id": "7d0f1d0e-3333-4a6b-9c1e-000000000001", "distributor": OWNER, "accountNumber": "abc"}
    other = {**customer, "id": "7d0f1d0e-3333-4a6b-9c1e-000000000002", "accountNumber": "ABC"}
    [found] = faults(distributors=ASSET["distributors"], customers=[customer, other])
    assert found == "/customers/1/accountNumber: is the same as in /customers/0"


def test_a_device_s_customer_is_of_its_distributor() -> None:
    owners = [{"id": OWNER, "userName": "a"}, {"id": OWNER[:-1] + "2", "userName": "b"}]
    customer = {"id": "7d0f1d0e-3333-4a6b-9c1e-000000000001", "distributor": owners[1]["id"], "accountNumber": "abc"}
    device = {"deviceId": DEVICE, "distributor": OWNER, "customer": customer["id"]}
    [found] = faults(distributors=owners, customers=[customer], devices=[device])
    assert found == "/devices/0/customer: is another distributor's customer"


@pytest.mark.parametrize(
    ("contract", "fault"),
    [
        ({"AssetNumber": "A2"}, "/contracts/0/AssetNumber: is not among the assets"),
        ({"ObjectId": 2}, "/contracts/0/ObjectId: is not the id of the asset"),
        ({"ContractStatusCode": "READY"}, "/contracts/0/ContractStatusCode: must be one of ORA_DRAFT"),
        ({"ContractStartDate": "2026-02-30"}, "/contracts/0/ContractStartDate: must be a date"),
        (
            {"contractMeters": [{"ContractMeterId": 11, "MeterId": 8}]},
            "/contracts/0/contractMeters/0/MeterId: is not among the meters",
        ),
        (
            {"contractMeters": [{"ContractMeterId": 11, "MeterId": 7}, {"ContractMeterId": 12, "MeterId": 7}]},
            "/contracts/0/contractMeters/1/MeterId: is the same as in /contracts/0/contractMeters/0",
        ),
    ],
)
def test_a_contract_s_fault_is_named(contract: dict[str, Any], fault: str) -> None:
    found = faults(**ASSET, contracts=[{**CONTRACT, **contract}])
    assert found[0].startswith(fault)


def test_a_due_date_is_calculated_only_where_the_file_gives_none() -> None:
    def due(**meter: Any) -> object:
        inner = [{**CONTRACT["contractMeters"][0], **meter}]
        [contract] = seed(**ASSET, contracts=[{**CONTRACT, "contractMeters": inner}]).items["contracts"]
        [found] = contract.nested("contractMeters")
        assert contract.values["CalculatedExpirationDate"] == found.values["CalculatedDueDate"]
        return found.values["CalculatedDueDate"]

    assert due() == "2026-01-11"
    assert due(CalculatedDueDate="2030-01-01") == "2030-01-01"
    assert due(CalculatedDueDate=None) is None


def test_a_contract_lasts_as_long_as_its_enabled_meters() -> None:
    inner = [{**CONTRACT["contractMeters"][0], "ActiveEndDate": TODAY.isoformat()}]
    [contract] = seed(**ASSET, contracts=[{**CONTRACT, "contractMeters": inner}]).items["contracts"]
    assert contract.values["CalculatedExpirationDate"] is None


def test_decimals_keep_every_digit() -> None:
    text = f"""{{"distributors": [{{"id": "{OWNER}", "userName": "a"}}],
        "devices": [{{"deviceId": "{DEVICE}", "distributor": "{OWNER}"}}],
        "measurements": [{{"deviceId": "{DEVICE}", "timestamp": "2024-01-01T10:00:00+10:00",
            "values": {{"a": 0.10, "b": "1.2300", "c": 12345678901234567890.123456789, "d": null}}}}]}}"""
    found = list(read_seed(text.encode(), TODAY).measurements())
    assert [(each.channel, str(each.value)) for each in found] == [
        ("a", "0.10"),
        ("b", "1.2300"),
        ("c", "12345678901234567890.123456789"),
    ]
    assert {each.starts_at.isoformat() for each in found} == {"2024-01-01T00:00:00+00:00"}


def test_the_readings_of_a_device_s_register_are_the_device_s_too() -> None:
    device = {"deviceId": DEVICE, "distributor": OWNER}
    meter = {**ASSET["meters"][0], "deviceId": DEVICE, "register": "kWh Import"}
    readings = [{"meterId": 7, "timestamp": "2024-01-01T00:00:00Z", "value": "1.50"}]
    [found] = seed(**{**ASSET, "meters": [meter]}, devices=[device], registerReadings=readings).register_readings()
    assert (found.device_id, found.register, found.value) == (DEVICE, "kWh Import", Decimal("1.50"))
    assert list(seed(**ASSET, registerReadings=readings).register_readings()) == []
