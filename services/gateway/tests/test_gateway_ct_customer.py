"""GET /ctapi/Customer: carbontrack.md, 4, and examples 15 to 23."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from mts_gateway.testing import Store
from mts_gateway.testing.carbontrack import ADA_DEVICE, D1, IDLE_DEVICE, identity

PATH = "/ctapi/Customer"


def page(client: httpx.Client, query: str = "") -> Any:
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 200
    return answer.json()


def accounts(client: httpx.Client, query: str) -> list[str]:
    return [customer["AccountNumber"] for customer in page(client, query)["CustomerList"]]


def test_the_first_page_has_100_rows_and_the_total(sunco: httpx.Client) -> None:
    body = page(sunco)
    assert list(body) == ["RecordCount", "CustomerList", "Page", "PageSize"]
    assert (body["RecordCount"], len(body["CustomerList"])) == (120, 100)
    assert (body["Page"], body["PageSize"]) == (1, 100)
    assert body["CustomerList"][0]["AccountNumber"] == "ABC123"


@pytest.mark.parametrize(
    "query",
    [
        "customerRequest.page=2&customerRequest.pageSize=100",
        "page=2",
        "CUSTOMERREQUEST.PAGE=2",
        "customerRequest.page=2&page=1",
    ],
)
def test_the_second_page_has_the_rest(sunco: httpx.Client, query: str) -> None:
    assert accounts(sunco, query) == [f"BULK{n:04}" for n in range(100, 119)] + ["XYZ789"]


@pytest.mark.parametrize("query", ["PAGE=0", "page=", "page=%20", "page=1"])
def test_page_0_and_none_are_the_first(sunco: httpx.Client, query: str) -> None:
    body = page(sunco, query)
    assert (body["Page"], body["CustomerList"][0]["AccountNumber"]) == (1, "ABC123")


def test_a_page_past_the_end_is_empty_and_tells_the_total(sunco: httpx.Client) -> None:
    body = page(sunco, "page=2147483647&pageSize=1000")
    assert (body["RecordCount"], body["CustomerList"], body["Page"]) == (120, [], 2147483647)


@pytest.mark.parametrize(("query", "size"), [("pageSize=0", 100), ("pageSize=7", 7), ("pageSize=1001", 1000)])
def test_the_size_of_a_page_has_a_default_and_a_most(sunco: httpx.Client, query: str, size: int) -> None:
    body = page(sunco, query)
    assert (body["PageSize"], len(body["CustomerList"])) == (size, min(size, 120))


@pytest.mark.parametrize("query", ["customerRequest.customerRef=abc123", "customerRef=ABC123", "customerREF=aBc123"])
def test_a_customer_is_found_by_reference(sunco: httpx.Client, query: str) -> None:
    (customer,) = page(sunco, query)["CustomerList"]
    assert customer == {
        "Devices": [ADA_DEVICE, IDLE_DEVICE],
        "CustomerId": identity("ABC123"),
        "FirstName": "Ada",
        "LastName": "Lovelace",
        "Email": "ada@example.com",
        "UserId": identity("ada"),
        "AccountNumber": "ABC123",
        "UserName": "ada",
        "Mobile": "+61 400 111 222",
        "DayTimeContact": None,
        "Location": "12 Analytical St, Brisbane QLD 4000",
        "DateOfBirth": None,
        "DistributorId": D1,
        "CurrencyId": None,
        "TimezoneId": 1,
        "IsMetricsUnit": True,
        "WorkContact": None,
    }


def test_a_customer_without_user_and_devices_has_null_and_an_empty_list(sunco: httpx.Client) -> None:
    (customer,) = page(sunco, "customerRef=BULK0001")["CustomerList"]
    assert (customer["UserId"], customer["UserName"], customer["Devices"]) == (None, None, [])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("phone=0400111222", []),
        ("phone=400%20111", ["ABC123"]),
        ("phone=%2B61-400", ["ABC123"]),
        ("phone=none", []),
        ("address=brisbane", ["ABC123"]),
        ("address=ANALYTICAL%20st,", ["ABC123"]),
        ("address=%25", []),
        ("customerRef=ABC12", []),
        ("customerRef=ABC123&address=Sydney", []),
        ("customerRef=ABC123&phone=400&address=qld", ["ABC123"]),
    ],
)
def test_filters_are_joined_by_and(sunco: httpx.Client, query: str, found: list[str]) -> None:
    body = page(sunco, query)
    assert [customer["AccountNumber"] for customer in body["CustomerList"]] == found
    assert body["RecordCount"] == len(found)


def test_blank_and_unknown_parameters_are_as_if_absent(sunco: httpx.Client) -> None:
    assert page(sunco, "customerRef=&phone=&address=%20&colour=red")["RecordCount"] == 120


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page=x", "page"),
        ("page=-1", "page"),
        ("pageSize=1.5", "pageSize"),
        ("customerRequest.pageSize=-1", "pageSize"),
    ],
)
def test_a_page_that_is_no_number_is_400(sunco: httpx.Client, query: str, name: str) -> None:
    answer = sunco.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 4006)
    assert name in answer.json()["ErrorMessage"]


@pytest.mark.parametrize("query", ["customerRef=%00", "customerRef=%ff"])
def test_a_query_that_cannot_be_read_is_400(sunco: httpx.Client, query: str) -> None:
    answer = sunco.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 4001)


def test_units_are_imperial_where_the_customer_wants_them(sunco: httpx.Client, store: Store) -> None:
    sql = "UPDATE gateway.customer SET metric = NOT metric, currency_id = $2 WHERE account_number = $1"
    currency = identity("AUD")
    store.run(sql, "BULK0002", currency)
    try:
        (customer,) = page(sunco, "customerRef=BULK0002")["CustomerList"]
        assert (customer["IsMetricsUnit"], customer["CurrencyId"]) == (False, currency)
    finally:
        store.run(sql, "BULK0002", None)


def test_customers_come_in_xml_as_flat_lists(sunco: httpx.Client) -> None:
    answer = sunco.get(f"{PATH}?customerRef=abc123", headers={"Accept": "application/xml"})
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert answer.text.startswith(
        '<?xml version="1.0" encoding="utf-8"?><CarbonTrack.Data.CustomerModelPaging><RecordCount>1<'
    )
    assert answer.text.count("<CustomerList>") == 1
    assert f"<CustomerList><Devices>{ADA_DEVICE}</Devices><Devices>{IDLE_DEVICE}</Devices><CustomerId>" in answer.text
    assert "<IsMetricsUnit>true</IsMetricsUnit>" in answer.text
    assert "DateOfBirth" not in answer.text


def test_head_is_get_without_the_body(sunco: httpx.Client) -> None:
    answer = sunco.head(f"{PATH}?customerRef=abc123")
    assert (answer.status_code, answer.content) == (200, b"")
    length = len(json.dumps(page(sunco, "customerRef=abc123"), separators=(",", ":")))
    assert int(answer.headers["Content-Length"]) == length
