"""Every method of the contract meters API over both clients, and `mts contracts`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from typer.testing import Result

from mts_client import Modified, NotConfigured, NotFound, RateLimited, RetryPolicy, Unauthorized, UnexpectedAnswer
from mts_client.cli.session import ExitCode
from mts_client.contracts import AsyncContractsClient, ContractsClient
from mts_client.contracts.testing import PASSWORD, USER, FakeContracts
from mts_client.testing import URL

MakeClient = Callable[..., AsyncContractsClient]
Run = Callable[..., Result]


@pytest.fixture
def service() -> FakeContracts:
    service = FakeContracts(most=2)
    service.add_contract(
        7, ContractNumber="W\x1b7", CalculatedExpirationDate="2028-04-19", ContractEndDate="2030-01-01"
    )
    service.add_contract(8)
    service.add_contract(9)
    service.add_meter(
        7, 70, MeterStartValue=0.5, MeterIntervalValue=1000, MeterEndValue=1000.5, CalculatedDueDate="2022-11-17"
    )
    service.add_meter(7, 71)
    service.add_meter(7, 72, DisabledFlag=True, ActiveEndDate="2026-11-28")
    return service


@pytest.fixture
def make_client(either: Callable[..., AsyncContractsClient], service: FakeContracts) -> MakeClient:
    """Makes clients of `service`; keyword arguments replace the client's."""

    def make(**changed: Any) -> AsyncContractsClient:
        given = {"url": URL, "user": USER, "password": PASSWORD, "transport": service.transport(), **changed}
        return either(ContractsClient, AsyncContractsClient, **given)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> AsyncContractsClient:
    """Both clients in turn."""
    return make_client()


def asked(service: FakeContracts) -> dict[str, str]:
    return dict(service.requests[-1].url.params)


async def test_a_page_of_contracts_is_asked_for_as_wanted(client: AsyncContractsClient, service: FakeContracts) -> None:
    page = await client.contracts(q="ContractId > 1", order_by="ContractNumber:desc", limit=1, offset=1)
    assert [contract.contract_id for contract in page.items] == [8]
    assert (page.has_more, page.limit, page.offset) == (True, 1, 1)
    assert asked(service) == {"q": "ContractId > 1", "orderBy": "ContractNumber:desc", "limit": "1", "offset": "1"}
    request = service.requests[-1]
    assert request.url.path == "/fscmRestApi/resources/11.13.18.05/assetWarrantyContracts"
    assert request.headers["REST-Framework-Version"] == "4"


async def test_all_pages_are_walked_at_the_servers_pace(client: AsyncContractsClient, service: FakeContracts) -> None:
    assert [contract.contract_id async for contract in client.all_contracts()] == [7, 8, 9]
    assert [dict(request.url.params)["offset"] for request in service.requests] == ["0", "2"]
    assert [meter.contract_meter_id async for meter in client.all_contract_meters(7)] == [70, 71, 72]
    assert [meter async for meter in client.all_contract_meters(8)] == []


async def test_a_contract_has_its_attributes(client: AsyncContractsClient) -> None:
    contract = await client.contract(7)
    assert (contract.contract_number, contract.asset_number) == ("W\x1b7", "ASSET")
    assert contract.contract_start_date == date(2022, 10, 6)
    assert contract.calculated_expiration_date == date(2028, 4, 19)
    assert contract.last_update_date == datetime(2022, 10, 28, 16, 12, 3, 27000, UTC)
    assert contract.version == "V1"


async def test_a_meter_has_its_attributes_to_the_last_digit(
    client: AsyncContractsClient, service: FakeContracts
) -> None:
    meter = await client.contract_meter(7, 70)
    assert (meter.meter_end_value, meter.calculated_due_date) == (Decimal("1000.5"), date(2022, 11, 17))
    (first, _) = (await client.contract_meters(7)).items
    assert first == meter
    body = json.dumps({"ContractMeterId": 1, "UOMCode": "Ea"})
    service.scripted.append(httpx.Response(200, text=body))
    with pytest.raises(UnexpectedAnswer, match="child/contractMeters/1"):
        await client.contract_meter(7, 1)


async def test_a_change_sends_what_is_given_digit_for_digit(
    client: AsyncContractsClient, service: FakeContracts
) -> None:
    long = Decimal("12345678901234567890.12345678901234567890")
    meter = await client.change_contract_meter(7, 70, interval=long, disabled=False)
    assert service.requests[-1].method == "PATCH"
    assert service.requests[-1].content == f'{{"MeterIntervalValue": {long:f}, "DisabledFlag": false}}'.encode()
    assert "If-Match" not in service.requests[-1].headers
    assert meter.version == "V2"


async def test_a_change_of_a_known_version_is_refused_once_there_is_another(client: AsyncContractsClient) -> None:
    known = (await client.contract_meter(7, 70)).version
    await client.change_contract_meter(7, 70, start=Decimal(5), version=known)
    with pytest.raises(Modified, match="modified"):
        await client.change_contract_meter(7, 70, start=Decimal(6), version=known)


async def test_a_change_of_a_known_version_is_not_sent_twice(
    client: AsyncContractsClient, service: FakeContracts
) -> None:
    away = httpx.Response(503, json={"title": "Service Unavailable", "o:errorDetails": [{"detail": "no database"}]})
    service.scripted += [away, away]
    with pytest.raises(Exception, match="no database"):
        await client.change_contract_meter(7, 70, start=Decimal(5), version="V1")
    assert len(service.requests) == 1
    assert (await client.change_contract_meter(7, 70, start=Decimal(5))).meter_start_value == 5


async def test_refusals_have_the_details_of_their_errors(
    client: AsyncContractsClient, make_client: MakeClient, service: FakeContracts
) -> None:
    with pytest.raises(NotFound) as caught:
        await client.contract(1)
    assert caught.value.details == ("Not Found",)
    with pytest.raises(Unauthorized) as refused:
        await make_client(password="wrong").contract(7)
    assert "wrong" not in repr(refused.value)
    service.scripted.append(httpx.Response(429, json={"o:errorDetails": []}, headers={"Retry-After": "7"}))
    with pytest.raises(RateLimited) as limited:
        await make_client(retries=RetryPolicy(tries=1)).contract(7)
    assert limited.value.retry_after == 7


async def test_a_user_is_sent_by_basic_in_utf_8(make_client: MakeClient, service: FakeContracts) -> None:
    with pytest.raises(Unauthorized):
        await make_client(user="Jürgen", password="pä:ss").contract(7)
    encoded = service.requests[-1].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "Jürgen:pä:ss"
    with pytest.raises(NotConfigured):
        make_client(user="a:b")


# --- mts contracts


@pytest.fixture
def run(service: FakeContracts, run_as_user: Callable[..., Run]) -> Run:
    """Runs `mts` with these arguments against `service`."""
    return run_as_user(service.transport(), USER, PASSWORD)


def test_contracts_are_a_table_over_all_pages(run: Run) -> None:
    assert run("contracts").stdout.splitlines() == [
        "CONTRACT  NUMBER  ASSET  STATUS     STARTS      ENDS        EXPIRES",
        "7         W\\x1b7  ASSET  ORA_READY  2022-10-06  2030-01-01  2028-04-19",
        "8         W-8     ASSET  ORA_READY  2022-10-06",
        "9         W-9     ASSET  ORA_READY  2022-10-06",
    ]


def test_the_meters_of_a_contract_are_a_table_with_due_dates(run: Run) -> None:
    assert run("contracts", "7").stdout.splitlines() == [
        "CONTRACT METER  CODE     UNIT  FROM  TO      DUE         DISABLED",
        "70              CODE_70  Each  0.5   1000.5  2022-11-17",
        "71              CODE_71  Each  0",
        "72              CODE_72  Each  0                         2026-11-28",
    ]


def test_json_is_one_page_as_the_server_sent_it(run: Run, service: FakeContracts) -> None:
    assert json.loads(run("contracts", "--json").stdout)["count"] == 2
    assert asked(service) == {"limit": "500", "offset": "0"}
    assert json.loads(run("contracts", "7", "--json", "--page", "1").stdout)["items"] == []
    assert asked(service) == {"limit": "500", "offset": "500"}


def test_a_password_is_asked_for_and_is_no_option(run: Run) -> None:
    result = run("contracts", env={"MTS_USER_PASSWORD": None}, stdin=f"{PASSWORD}\n")
    assert result.exit_code == 0
    assert "Password of USER" in result.stderr
    assert run("contracts", "--ask-password", stdin="wrong\n").exit_code == ExitCode.REFUSED
    assert run("contracts", "--password", PASSWORD[:2]).exit_code == ExitCode.USAGE


def test_what_is_missing_or_refused_is_told(run: Run) -> None:
    assert run("contracts", env={"MTS_USER": None}).exit_code == ExitCode.USAGE
    result = run("contracts", "1")
    assert result.exit_code == ExitCode.REFUSED
    assert "Not Found" in result.stderr
