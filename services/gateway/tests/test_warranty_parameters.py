"""Query parameters (§4) and the filters of both grammars, over stored contracts; the catalogue and describe (§9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, A, B, C
from mts_gateway.warranty.resources import CONTRACTS as CONTRACT_RESOURCE
from mts_gateway.warranty.resources import METERS as METER_RESOURCE

V2 = {"REST-Framework-Version": "2"}
V3 = {"REST-Framework-Version": "3"}
ALL = [A, B, C]


def get(client: httpx.Client, url: str, headers: Mapping[str, str] | None = None, **query: str) -> Any:
    answer = client.get(url, params=query or None, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(client: httpx.Client, headers: Mapping[str, str] | None = None, **query: str) -> list[int]:
    return [item["ContractMeterId"] for item in get(client, METERS, headers, **query)["items"]]


def numbers(client: httpx.Client, **query: str) -> list[str]:
    return [item["ContractNumber"] for item in get(client, CONTRACTS, V2, **query)["items"]]


# --- paging


@pytest.mark.parametrize(
    ("query", "count", "more", "limit", "offset"),
    [
        ({}, 3, False, 25, 0),
        ({"limit": "0"}, 0, True, 0, 0),
        ({"limit": "0", "offset": "3"}, 0, False, 0, 3),
        ({"limit": "3"}, 3, False, 3, 0),
        ({"limit": "1", "offset": "1"}, 1, True, 1, 1),
        ({"limit": "501"}, 3, False, 500, 0),
        ({"limit": "9" * 30}, 3, False, 500, 0),
        ({"offset": "9" * 30}, 0, False, 25, 2**63 - 1),
        ({"limit": "2", "q": "MeterIntervalValue=100000"}, 2, False, 2, 0),
        ({"limit": "1", "q": "MeterIntervalValue=100000"}, 1, True, 1, 0),
    ],
)
def test_a_page_says_what_it_is(
    contracts: httpx.Client, query: dict[str, str], count: int, more: bool, limit: int, offset: int
) -> None:
    body = get(contracts, METERS, None, **query)
    assert (body["count"], len(body["items"])) == (count, count)
    assert (body["hasMore"], body["limit"], body["offset"]) == (more, limit, offset)


def test_the_total_counts_what_the_filters_leave(contracts: httpx.Client) -> None:
    for query, total in (
        ({"q": "MeterIntervalValue=100000"}, 2),
        ({"finder": f"PrimaryKey;ContractMeterId={A}"}, 1),
        ({"offset": "99"}, 3),
        ({"limit": "0"}, 3),
    ):
        assert get(contracts, METERS, None, totalResults="TRUE", **query)["totalResults"] == total
    assert "totalResults" not in get(contracts, METERS, totalResults="false")


def test_all_pages_together_are_all_contracts_in_the_order_of_their_ids(contracts: httpx.Client) -> None:
    pages = [get(contracts, CONTRACTS, limit="1", offset=str(offset)) for offset in range(2)]
    assert [page["items"][0]["ContractNumber"] for page in pages] == ["WARRANTY-1", "WARRANTY-2"]
    assert [page["hasMore"] for page in pages] == [True, False]


# --- what is shown


def test_links_are_filtered_in_items_and_envelope(contracts: httpx.Client) -> None:
    body = get(contracts, CONTRACTS, links="canonical, child")
    assert {tuple(link["rel"] for link in item["links"]) for item in body["items"]} == {("canonical", "child")}
    assert body["links"] == []
    assert get(contracts, METERS, links="nothing")["items"][0]["links"] == []
    assert "links" not in get(contracts, f"{METERS}/{A}", links="self", onlyData="true")


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ("ContractNumber, ContractId", ["ContractId", "ContractNumber", "links"]),
        ("", ["links"]),
        ("ContractId;contractMeters:MeterCode", ["ContractId", "contractMeters", "links"]),
        ("contractMeters:MeterCode", ["contractMeters", "links"]),
        (";contractMeters:", ["contractMeters", "links"]),
    ],
)
def test_fields_of_contracts_may_name_those_of_their_meters(
    contracts: httpx.Client, fields: str, keys: list[str]
) -> None:
    body = get(contracts, CONTRACT, fields=fields)
    assert list(body) == keys
    for item in body.get("contractMeters", []):
        assert list(item) == (["links"] if fields.endswith(":") else ["MeterCode", "links"])


def test_fields_go_over_expand(contracts: httpx.Client) -> None:
    assert "contractMeters" not in get(contracts, CONTRACT, fields="ContractId", expand="contractMeters")


@pytest.mark.parametrize("expand", ["contractMeters", "all", "all,contractMeters"])
@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_expanded_meters_are_an_array_before_version_3_and_a_collection_since(
    contracts: httpx.Client, expand: str, number: int
) -> None:
    version = {"REST-Framework-Version": str(number)}
    meters = get(contracts, METERS)
    for body in (
        get(contracts, CONTRACT, version, expand=expand),
        get(contracts, CONTRACTS, version, expand=expand)["items"][0],
    ):
        assert list(body)[-2:] == ["contractMeters", "links"]
        assert body["contractMeters"] == (meters["items"] if number < 3 else meters)
        assert [link["rel"] for link in body["links"]] == ["self", "canonical", "child"]


def test_contract_meters_have_no_children(contracts: httpx.Client) -> None:
    plain = get(contracts, METERS)
    for expand in ("", "all"):
        assert get(contracts, METERS, expand=expand) == plain
        assert get(contracts, f"{METERS}/{A}", expand=expand) == plain["items"][0]
    assert get(contracts, CONTRACT, expand="") == get(contracts, CONTRACT)


@pytest.mark.parametrize("expand", ["Nope", "contractMeters.Nope", "contractMeters,Nope"])
def test_an_unknown_child_is_refused(contracts: httpx.Client, expand: str) -> None:
    assert contracts.get(CONTRACT, params={"expand": expand}).status_code == 400


def test_only_data_reaches_the_children(contracts: httpx.Client) -> None:
    body = get(contracts, CONTRACT, V3, expand="all", onlyData="true")
    assert "links" not in body
    assert not [item for item in body["contractMeters"]["items"] if "links" in item]
    assert body["contractMeters"]["links"]


def test_other_parameters_are_ignored_and_the_last_of_a_name_stands(contracts: httpx.Client) -> None:
    assert get(contracts, f"{METERS}?limit=1&unknown=1&Limit=x&limit=2")["limit"] == 2
    assert contracts.get(f"{METERS}/{A}", params={"limit": "x", "q": "Nope=1", "finder": "x"}).status_code == 200
    assert contracts.get(f"{METERS}?x=%ff").status_code == 400


# --- finder and order


@pytest.mark.parametrize(
    ("finder", "expected"),
    [
        (f"PrimaryKey;ContractMeterId={B}", [B]),
        (f"PrimaryKey;ContractMeterId='{B}'", [B]),
        (f'PrimaryKey; ContractMeterId = "{B}"', [B]),
        ("PrimaryKey;ContractMeterId=300100568130921", []),
        ("PrimaryKey;ContractMeterId=-1", []),
        ("", ALL),
    ],
)
def test_the_finder_is_of_one_key_within_the_contract(
    contracts: httpx.Client, finder: str, expected: list[int]
) -> None:
    assert found(contracts, finder=finder) == expected
    assert found(contracts, finder=finder, q="MeterCode=NONE") == []


def test_contracts_have_a_finder_too(contracts: httpx.Client) -> None:
    assert numbers(contracts, finder="PrimaryKey;ContractId=300100568130920") == ["WARRANTY-2"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", ALL),
        ("MeterCode:DESC", [C, B, A]),
        ("MeterIntervalValue:desc", [B, C, A]),
        ("MeterIntervalValue:desc , ContractMeterId:desc", [C, B, A]),
        ("CreationDate", [A, B, C]),
        ("DisabledFlag:asc,MeterCode:Desc", [C, B, A]),
    ],
)
def test_items_are_ordered_ties_by_key(contracts: httpx.Client, order: str, expected: list[int]) -> None:
    assert found(contracts, orderBy=order) == expected


def test_null_is_last_ascending_and_first_descending(changing: httpx.Client) -> None:
    assert changing.patch(f"{METERS}/{A}", json={"MeterIntervalValue": None}).status_code == 200
    assert found(changing, orderBy="MeterEndValue") == [B, C, A]
    assert found(changing, orderBy="MeterEndValue:desc") == [A, B, C]
    assert found(changing, V2, q="MeterEndValue != 5") == [B, C]
    assert found(changing, V2, q="not MeterEndValue = 5") == [B, C]
    assert found(changing, V2, q="MeterEndValue is null or CalculatedDueDate is null") == [A]


# --- q


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("", ALL),
        ("MeterCode=METER_TEMP_CODE_ABS_ASC_2", [B]),
        ("MeterCode = 'METER_TEMP_CODE_ABS_ASC_2'", [B]),
        ("MeterCode METER*2;UnitOfMeasure Each", [B]),
        ("MeterCode like %_1", [A]),
        ("MeterCode=meter*", []),
        ("MeterEndValue 500", [A]),
        ("MeterEndValue='500.0'", [A]),
        ("MeterEndValue>500", [B, C]),
        ("MeterEndValue=500 or >5000 and < 6000", [A]),
        ("CalculatedDueDate>=2028-04-19", [B, C]),
        ("LastUpdateDate=2022-10-28T16:12:03+00:00", ALL),
        ("LastUpdateDate>=2022-10-28T18:12:03+02:00", ALL),
        ("CreationDate<2022-10-28T16:00:00Z", [A]),
        ("CreationDate>2022-10-28;CreationDate<2022-10-29", ALL),
        ("DisabledFlag=false", ALL),
        ("DisabledFlag Y", []),
        ("ActiveEndDate is null;MeterDescription is not null", ALL),
        ("ContractMeterId=100100907385960", [A]),
        ("ContractId!=300100568130910", []),
        ("CreatedBy=USER;LastUpdatedBy <> SYSTEM;MeterName METER*;MeterStartValue=0;MeterId>0;UOMCode=Ea", ALL),
    ],
)
def test_queries_by_example(contracts: httpx.Client, q: str, expected: list[int]) -> None:
    assert found(contracts, q=q) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("MeterCode like 'METER*' and (MeterEndValue>=10 and <= 30000)", [A]),
        ("MeterCode not like '%2' and not MeterEndValue = 500", [C]),
        ("MeterCode = METER_TEMP_CODE_ABS_ASC_2", [B]),
        ("lower(MeterCode) like '%asc\\_2'", [B]),
        ("MeterCode like 'METER\\%'", []),
        ("MeterEndValue in (500, 1)", [A]),
        ("MeterEndValue not in (500, 1)", [B, C]),
        ("MeterEndValue between 100 and 600", [A]),
        ("MeterEndValue not between 100 and 600", [B, C]),
        ("CalculatedDueDate in ('2022-10-16')", [A]),
        ("LastUpdateDate = '2022-10-28T16:12:03+00:00'", ALL),
        ("LastUpdateDate >= 2022-10-28T16:12:03+00:00 and MeterEndValue = 500", [A]),
        ("DisabledFlag = 'N' AND ContractMeterId > 200000000000000", [B, C]),
        ("MeterId = 300100566813039.0 or MeterId = 1e40", [A]),
        ("MeterCode='x'' or 1=1 --'", []),
    ],
)
def test_rowmatch_expressions(contracts: httpx.Client, q: str, expected: list[int]) -> None:
    assert found(contracts, V2, q=q) == expected


def test_a_plus_that_was_sent_as_such_is_a_plus_in_a_timestamp(contracts: httpx.Client) -> None:
    time = "2022-10-28T16:12:03+00:00"
    for q in (f"LastUpdateDate={time}", f"LastUpdateDate='{time}'", f"LastUpdateDate={time};MeterEndValue=500"):
        assert get(contracts, f"{METERS}?q={q}")["count"] == (1 if ";" in q else 3)
    for q in (f"LastUpdateDate={time}", f"LastUpdateDate='{time}'", f"LastUpdateDate={time} and MeterEndValue>1"):
        assert get(contracts, f"{METERS}?q={quote(q, safe='+=')}", V2)["count"] == 3


@pytest.mark.parametrize("resource", [METER_RESOURCE, CONTRACT_RESOURCE])
def test_every_attribute_can_be_queried_and_ordered_by(contracts: httpx.Client, resource: Any) -> None:
    url = METERS if resource is METER_RESOURCE else CONTRACTS
    for attribute in resource.attributes:
        for q in (f"{attribute.name} is null", f"{attribute.name} is not null"):
            assert get(contracts, url, V2, q=q, orderBy=f"{attribute.name}:desc")["hasMore"] is False


def test_timestamps_have_milliseconds_only_where_there_are_some(contracts: httpx.Client) -> None:
    times = {item["ContractNumber"]: item["CreationDate"] for item in get(contracts, CONTRACTS)["items"]}
    assert times == {"WARRANTY-1": "2022-10-28T15:58:19+00:00", "WARRANTY-2": "2022-10-29T15:58:19.027+00:00"}
    assert numbers(contracts, q="CreationDate = '2022-10-29T15:58:19.027+00:00'") == ["WARRANTY-2"]


INJECTIONS = [
    "'; DROP TABLE gateway.contract_meter; --",
    "' OR '1'='1",
    "MeterCode='x' OR 1=1",
    "MeterCode='x'); DELETE FROM gateway.contract_meter; --",
    "1 UNION SELECT password FROM gateway.api_user",
    "pg_sleep(10)",
    "$1::text",
    "\\'; SELECT 1",
    "item.object_version",
    'MeterCode" = "MeterCode',
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_parameter_reaches_the_database_as_sql(contracts: httpx.Client, text: str) -> None:
    before = get(contracts, METERS)
    for name in ("q", "orderBy", "fields", "expand", "finder", "dependency", "limit", "offset", "links"):
        for headers in ({}, V2):
            answer = contracts.get(METERS, params={name: text}, headers=headers)
            assert answer.status_code == (200 if name == "links" else 400), (name, answer.text)
    quoted = text.replace("'", "''")
    for headers in ({}, V2):
        assert found(contracts, headers, q=f"MeterCode = '{quoted}'") == []
        assert found(contracts, headers, q=f"MeterCode like '{quoted}'") == []
    assert get(contracts, METERS) == before


# --- the catalogue, and describe


def test_the_catalogue_names_the_version_and_its_frameworks(contracts: httpx.Client) -> None:
    (version,) = get(contracts, "/fscmRestApi/resources")["items"]
    assert (version["version"], version["isLatest"]) == ("11.13.18.05", True)
    assert version["adf:extension"] == {
        "defaultFrameworkVersion": "1",
        "allowedFrameworkVersions": ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    }


def test_describe_tells_of_every_attribute(contracts: httpx.Client) -> None:
    described = get(contracts, CONTRACTS.replace("assetWarrantyContracts", "describe"))
    contract = described["Resources"]["assetWarrantyContracts"]
    meter = contract["children"]["contractMeters"]
    assert described == get(contracts, f"{CONTRACTS}/describe")
    own = get(contracts, f"{METERS}/describe")["Resources"]["contractMeters"]
    assert own["attributes"] == meter["attributes"]
    for shown, item in ((contract, get(contracts, CONTRACT)), (meter, get(contracts, f"{METERS}/{A}"))):
        names = [attribute["name"] for attribute in shown["attributes"]]
        assert names == [name for name in item if name != "links"]
        assert all(attribute["queryable"] for attribute in shown["attributes"])
        assert shown["collection"]["rangeSize"] == 25
        assert set(shown) >= {"discrColumnType", "title", "titlePlural", "collection", "item", "links", "children"}
    assert len(meter["attributes"]) == 18
    assert meter["collection"]["finders"] == [
        {
            "name": "PrimaryKey",
            "title": "Finds by Contract Meter ID",
            "attributes": [{"name": "ContractMeterId", "type": "integer", "required": True}],
        }
    ]


def test_describe_says_what_can_be_set_and_when(contracts: httpx.Client) -> None:
    contract = get(contracts, f"{CONTRACTS}/describe")["Resources"]["assetWarrantyContracts"]
    meter = contract["children"]["contractMeters"]
    changes = {each["name"]: each["allowChanges"] for each in meter["attributes"]}
    assert {name for name, change in changes.items() if change == "always"} == {
        "DisabledFlag",
        "MeterCode",
        "MeterIntervalValue",
        "MeterStartValue",
    }
    assert {name for name, change in changes.items() if change == "onInsert"} == {"MeterId"}
    assert {each["name"] for each in contract["attributes"] if each["updatable"]} == {
        "ContractStartDate",
        "ContractEndDate",
        "ContractNotes",
        "ContractStatusCode",
        "CoverageCode",
        "ExternalReferenceNumber",
    }
    code = next(each for each in meter["attributes"] if each["name"] == "MeterCode")
    assert (code["type"], code["maxLength"]) == ("string", 30)
    types = {each["type"] for each in (*meter["attributes"], *contract["attributes"])}
    assert types == {"integer", "number", "string", "boolean", "date", "datetime"}
