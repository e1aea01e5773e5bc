"""The acceptance examples of contract-meters.md §10, by their numbers, each on a fresh seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, A, B, C, client_of

SEED = Path(__file__).parent / "golden" / "contract_meters.json"
V2 = {"REST-Framework-Version": "2"}
V3 = {"REST-Framework-Version": "3"}
V4 = {"REST-Framework-Version": "4"}


def get(client: httpx.Client, url: str, headers: Mapping[str, str] | None = None, **query: str) -> Any:
    answer = client.get(url, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(body: Any) -> list[int]:
    return [item["ContractMeterId"] for item in body["items"]]


def refused(client: httpx.Client, headers: Mapping[str, str] | None = None, **query: str) -> str:
    answer = client.get(METERS, params=query, headers=headers)
    assert answer.status_code == 400
    return answer.text


def test_01_the_meters_of_a_contract_are_the_seeds_field_for_field(
    contracts: httpx.Client, contract_gateway: RunningGateway
) -> None:
    body = get(contracts, METERS)
    assert list(body) == ["items", "count", "hasMore", "limit", "offset", "links"]
    expected = SEED.read_text().replace(
        "https://servername/fscmRestApi/resources/version",
        f"https://127.0.0.1:{contract_gateway.port}/fscmRestApi/resources/11.13.18.05",
    )
    assert body == json.loads(expected)
    assert [list(item) for item in body["items"]] == [list(item) for item in json.loads(expected)["items"]]


def test_02_the_content_type_is_the_vendors_unless_json_is_asked_for(contracts: httpx.Client) -> None:
    vendor = "application/vnd.oracle.adf.resourcecollection+json"
    assert contracts.get(METERS).headers["Content-Type"] == vendor
    assert contracts.get(METERS, headers={"Accept": "application/json"}).headers["Content-Type"] == "application/json"


def test_03_a_limit_leaves_more(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, limit="2")
    assert (body["count"], body["hasMore"], body["limit"]) == (2, True, 2)


def test_04_an_offset_goes_on_where_the_page_before_ended(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, limit="2", offset="2")
    assert (ids(body), body["hasMore"], body["offset"]) == ([C], False, 2)


def test_05_beyond_the_end_there_is_nothing(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, offset="99")
    assert (body["items"], body["count"], body["hasMore"]) == ([], 0, False)


def test_06_a_limit_is_clamped_and_shown(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, limit="10000")
    assert (body["limit"], body["count"]) == (500, 3)


def test_07_the_total_is_shown_on_demand(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, totalResults="true", limit="1")
    assert (body["totalResults"], body["count"]) == (3, 1)
    assert list(body) == ["items", "totalResults", "count", "hasMore", "limit", "offset", "links"]


def test_08_only_data_leaves_the_links_of_items_out(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, onlyData="true")
    assert not [item for item in body["items"] if "links" in item]
    assert body["links"]


def test_09_fields_are_those_asked_for(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, fields="MeterCode,CalculatedDueDate")
    assert {tuple(item) for item in body["items"]} == {("MeterCode", "CalculatedDueDate", "links")}


def test_10_no_fields_leave_the_links(contracts: httpx.Client) -> None:
    assert {tuple(item) for item in get(contracts, METERS, fields="")["items"]} == {("links",)}


def test_11_an_unknown_field_is_refused(contracts: httpx.Client) -> None:
    assert "Nope" in refused(contracts, fields="Nope")


def test_12_links_are_those_asked_for(contracts: httpx.Client) -> None:
    body = get(contracts, METERS, links="self")
    for item in body["items"]:
        (link,) = item["links"]
        assert link["rel"] == "self"
        assert link["properties"]["changeIndicator"].startswith("ACED0005")
    assert [link["rel"] for link in body["links"]] == ["self"]


def test_13_the_finder_finds_one(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, finder=f"PrimaryKey;ContractMeterId={A}")) == [A]


def test_14_the_finder_finds_nothing(contracts: httpx.Client) -> None:
    assert get(contracts, METERS, finder="PrimaryKey;ContractMeterId=999")["items"] == []


def test_15_an_unknown_finder_is_refused(contracts: httpx.Client) -> None:
    assert "Foo" in refused(contracts, finder="Foo;x=1")


def test_16_a_finder_without_its_variable_is_refused(contracts: httpx.Client) -> None:
    assert "ContractMeterId" in refused(contracts, finder="PrimaryKey")


def test_17_items_are_ordered_as_asked(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, orderBy="CalculatedDueDate:desc,MeterCode:desc")) == [C, B, A]


def test_18_an_unknown_direction_is_refused(contracts: httpx.Client) -> None:
    assert "orderBy" in refused(contracts, orderBy="MeterCode:up")


def test_19_a_query_by_example_may_leave_the_attribute_out(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, q="MeterEndValue>=500 and <= 600;MeterCode!=X")) == [A]


def test_20_a_query_by_example_may_leave_the_operator_out(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, q="MeterCode *_3")) == [C]


def test_21_a_rowmatch_expression_has_or_and_like(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, V2, q="MeterCode like '%ASC_2' or MeterEndValue=500")) == [A, B]


def test_22_a_rowmatch_expression_has_no_semicolon(contracts: httpx.Client) -> None:
    assert refused(contracts, V2, q="MeterEndValue=500;UOMCode='Ea'").startswith("q")


def test_23_a_rowmatch_expression_has_upper(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, V2, q="UPPER(UnitOfMeasure)='EACH'")) == [A, B, C]


def test_24_a_rowmatch_expression_has_between(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, V2, q="CalculatedDueDate between '2022-01-01' and '2022-12-31'")) == [A]


def test_25_a_rowmatch_expression_has_in_and_is_null(contracts: httpx.Client) -> None:
    assert ids(get(contracts, METERS, V2, q="ActiveEndDate is null and MeterId in (300100568132822,1)")) == [B]


def test_26_an_unknown_attribute_is_named_in_text_or_structure(contracts: httpx.Client) -> None:
    text = contracts.get(METERS, params={"q": "Bogus=1"}, headers=V2)
    assert (text.status_code, text.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "Bogus" in text.text
    answer = contracts.get(METERS, params={"q": "Bogus=1"}, headers=V4)
    body = answer.json()
    assert (answer.status_code, body["title"], body["status"]) == (400, "Bad Request", "400")
    assert "Bogus" in body["o:errorDetails"][0]["detail"]


def test_27_an_item_has_an_entity_tag(contracts: httpx.Client) -> None:
    answer = contracts.get(f"{METERS}/{A}")
    links = answer.json()["links"]
    assert [link["rel"] for link in links] == ["self", "canonical", "parent"]
    assert answer.headers["ETag"] == f'"{links[0]["properties"]["changeIndicator"]}"'
    again = contracts.get(f"{METERS}/{A}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_28_a_dependency_is_a_preview(contracts: httpx.Client) -> None:
    preview = get(contracts, f"{METERS}/{A}", dependency="MeterIntervalValue=1000")
    assert (preview["MeterEndValue"], preview["CalculatedDueDate"]) == (1000, "2022-10-26")
    stored = get(contracts, f"{METERS}/{A}")
    assert (stored["MeterEndValue"], stored["CalculatedDueDate"]) == (500, "2022-10-16")


def test_29_a_change_makes_a_new_version(changing: httpx.Client) -> None:
    before = changing.get(f"{METERS}/{B}")
    known = {"If-Match": before.headers["ETag"]}
    after = changing.patch(f"{METERS}/{B}", json={"MeterIntervalValue": 1000}, headers=known)
    assert after.status_code == 200
    assert (after.json()["MeterEndValue"], after.json()["CalculatedDueDate"]) == (1000, "2022-11-17")
    assert after.headers["ETag"] == before.headers["ETag"].replace("0000000178", "0000000278")
    assert after.json()["LastUpdateDate"] > before.json()["LastUpdateDate"]
    stale = changing.patch(f"{METERS}/{B}", json={"MeterIntervalValue": 2000}, headers=known)
    assert (stale.status_code, stale.headers["ETag"]) == (412, after.headers["ETag"])


def test_30_a_disabled_meter_ends_today(changing: httpx.Client) -> None:
    answer = changing.patch(f"{METERS}/{B}", json={"DisabledFlag": "Y"})
    assert answer.json()["DisabledFlag"] is True
    assert answer.json()["ActiveEndDate"] == datetime.now(UTC).date().isoformat()


def test_31_what_is_calculated_cannot_be_set(contracts: httpx.Client) -> None:
    assert contracts.patch(f"{METERS}/{B}", json={"MeterEndValue": 5}).status_code == 400


def test_32_nothing_is_deleted(contracts: httpx.Client) -> None:
    assert contracts.delete(f"{METERS}/{B}").status_code == 405


@pytest.mark.parametrize(
    "url",
    [
        f"{CONTRACTS}/1/child/contractMeters",
        f"{CONTRACTS}/abc/child/contractMeters",
        METERS.replace("11.13.18.05", "11.13.18.99"),
    ],
)
def test_33_what_there_is_not_is_404(contracts: httpx.Client, url: str) -> None:
    assert contracts.get(url).status_code == 404


def test_33_the_latest_version_is_the_one_there_is(contracts: httpx.Client) -> None:
    body = get(contracts, METERS.replace("11.13.18.05", "latest"))
    assert body["count"] == 3
    assert "/11.13.18.05/" in body["links"][0]["href"]


def test_34_a_contract_is_shown_with_its_meters(contracts: httpx.Client) -> None:
    body = get(contracts, CONTRACT, expand="contractMeters")
    assert body["CalculatedExpirationDate"] == "2028-04-19"
    assert [item["ContractMeterId"] for item in body["contractMeters"]] == [A, B, C]
    third = get(contracts, CONTRACT, V3, expand="contractMeters")["contractMeters"]
    assert (ids(third), third["hasMore"]) == ([A, B, C], False)


def test_35_without_credentials_there_is_a_challenge(contract_gateway: RunningGateway, contracts: httpx.Client) -> None:
    with client_of(contract_gateway, None) as nobody:
        answer = nobody.get(METERS)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="fscmRestApi"'


def test_36_xml_is_not_offered(contracts: httpx.Client) -> None:
    assert contracts.get(METERS, headers={"Accept": "application/xml"}).status_code == 406


def test_37_there_are_nine_framework_versions(contracts: httpx.Client) -> None:
    assert contracts.get(METERS, headers={"REST-Framework-Version": "10"}).status_code == 400
