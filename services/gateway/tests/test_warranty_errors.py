"""Every row of the table of errors (§8), their two shapes, and the order of the checks (§1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, A, B, client_of

V2 = {"REST-Framework-Version": "2"}
V4 = {"REST-Framework-Version": "4"}
ERROR = "application/vnd.oracle.adf.error+json"
TEXT = "text/plain; charset=utf-8"
WRONG_VERSION = METERS.replace("11.13.18.05", "11.13.18.99")


def details(answer: httpx.Response, status: int) -> list[tuple[str, str, str]]:
    """Each detail's code, path and text, in the shape that framework version 4 has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == ERROR
    body = answer.json()
    assert list(body) == ["title", "status", "o:errorDetails"]
    assert body["status"] == str(status)
    return [(each["o:errorCode"], each["o:errorPath"], each["detail"]) for each in body["o:errorDetails"]]


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic bm9jb2xvbg=="},
        {"Authorization": "Basic VVNFUjp3cm9uZw=="},
        {"Authorization": "Basic Tk9CT0RZOnB3"},
        {"Authorization": "Basic /////w=="},
        {"Authorization": "Basic VVNFUgA6cHc="},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Digest x"},
    ],
)
def test_missing_or_bad_credentials_are_401(
    contract_gateway: RunningGateway, seeded: None, credentials: dict[str, str]
) -> None:
    with client_of(contract_gateway, None) as nobody:
        answer = nobody.get(METERS, headers={**V4, **credentials})
        assert details(answer, 401) == [("401", "", "Unauthorized")]
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="fscmRestApi"'


def test_two_authorization_headers_are_401(contract_gateway: RunningGateway, seeded: None) -> None:
    with client_of(contract_gateway, None) as nobody:
        headers = [("Authorization", "Basic VVNFUjpwdw=="), ("Authorization", "Basic VVNFUjpwdw==")]
        assert nobody.get(METERS, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("user", "method", "status"),
    [
        ("NEITHER", "GET", 403),
        ("NEITHER", "POST", 403),
        ("READER", "GET", 200),
        ("READER", "POST", 403),
        ("USER", "POST", 400),
    ],
)
def test_reads_and_writes_need_a_role_each(
    contract_gateway: RunningGateway, seeded: None, user: str, method: str, status: int
) -> None:
    with client_of(contract_gateway, user) as client:
        answer = client.request(method, METERS, headers=V4, json=None if method == "GET" else {})
        assert answer.status_code == status
        if status == 403:
            assert details(answer, 403) == [("403", "", "Forbidden")]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (WRONG_VERSION, "version"),
        (f"{CONTRACTS}/1", "Not Found"),
        (f"{CONTRACTS}/abc", "Not Found"),
        (f"{CONTRACTS}/-1", "Not Found"),
        (f"{CONTRACTS}/{2**63}", "Not Found"),
        (f"{CONTRACTS}/", "Not Found"),
        (f"{CONTRACTS}/1/child/contractMeters", "Not Found"),
        (f"{CONTRACTS}/1/child/contractMeters/describe", "Not Found"),
        (f"{METERS}/1", "Not Found"),
        (f"{METERS}/abc", "Not Found"),
        (f"{METERS}/300100568130921", "Not Found"),
        (f"{CONTRACT}/child/others", "Not Found"),
        (f"{CONTRACT}/contractMeters", "Not Found"),
        (f"{CONTRACT}/lov/X", "Not Found"),
        (f"{METERS}/{A}/lov/MeterVA", "Not Found"),
        (CONTRACTS.replace("assetWarrantyContracts", "suppliers"), "Not Found"),
        ("/fscmRestApi", "Not Found"),
        ("/fscmrestapi/resources", "Not Found"),
        ("/fscmRestApi/resources/latest", "Not Found"),
    ],
)
def test_what_there_is_not_is_404(contracts: httpx.Client, url: str, text: str) -> None:
    ((code, path, detail),) = details(contracts.get(url, headers=V4), 404)
    assert (code, path) == ("404", "")
    assert text in detail


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (CONTRACTS, "GET, POST"),
        (CONTRACT, "GET, PATCH"),
        (METERS, "GET, POST"),
        (f"{METERS}/{B}", "GET, PATCH"),
        ("/fscmRestApi/resources", "GET"),
        (f"{CONTRACTS}/describe", "GET"),
        (f"{METERS}/describe", "GET"),
        (CONTRACTS.replace("assetWarrantyContracts", "describe"), "GET"),
    ],
)
def test_other_verbs_are_405_with_those_that_are_allowed(contracts: httpx.Client, url: str, allowed: str) -> None:
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} - set(allowed.split(", ")):
        answer = contracts.request(verb, url, headers=V4)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed), verb
        if verb != "HEAD":
            assert details(answer, 405) == [("405", "", "Method Not Allowed")]


def test_a_media_type_that_is_not_offered_is_406(contracts: httpx.Client) -> None:
    answer = contracts.get(METERS, headers={**V4, "Accept": f"application/xml, {ERROR}"})
    assert [code for code, _, _ in details(answer, 406)] == ["406"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/jsonx", ""])
def test_another_content_type_of_a_body_is_415(contracts: httpx.Client, content_type: str) -> None:
    headers = {**V4, "Content-Type": content_type}
    for method, url in (("PATCH", f"{METERS}/{B}"), ("POST", METERS), ("POST", CONTRACTS), ("PATCH", CONTRACT)):
        answer = contracts.request(method, url, content=b"{}", headers=headers)
        assert [code for code, _, _ in details(answer, 415)] == ["415"]


def test_a_stale_if_match_is_412_with_the_current_tag(contracts: httpx.Client) -> None:
    answer = contracts.patch(f"{METERS}/{B}", json={"MeterStartValue": 1}, headers={**V4, "If-Match": '"ACED"'})
    ((code, _, detail),) = details(answer, 412)
    assert code == "412"
    assert "modified" in detail
    assert answer.headers["ETag"] == contracts.get(f"{METERS}/{B}").headers["ETag"]


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({"q": "Bogus=1"}, "25058", "Bogus"),
        ({"q": "upper(Bogus)='1'"}, "25058", "Bogus"),
        ({"q": "metercode='X'"}, "25058", "metercode"),
        ({"q": "MeterCode="}, "27300", "q"),
        ({"q": "MeterCode='X"}, "27300", "q"),
        ({"q": "MeterEndValue=500;UOMCode='Ea'"}, "27300", "q"),
        ({"q": "MeterId in ()"}, "27300", "q"),
        ({"q": "= 5"}, "27300", "q"),
        ({"q": "(MeterId=1"}, "27300", "q"),
        ({"q": "MeterId=1 MeterId=2"}, "27300", "q"),
        ({"q": "MeterId=abc"}, "25009", "abc"),
        ({"q": "MeterEndValue>'x'"}, "25009", "x"),
        ({"q": "CalculatedDueDate='2022-02-30'"}, "25009", "2022-02-30"),
        ({"q": "CreationDate>'2022-10-28T00:00:00'"}, "25009", "2022-10-28T00:00:00"),
        ({"q": "DisabledFlag=maybe"}, "25009", "maybe"),
        ({"q": "MeterId like '3%'"}, "25009", "3%"),
        ({"q": "upper(MeterId)='3'"}, "25009", "MeterId"),
        ({"finder": "Foo;x=1"}, "27301", "Foo"),
        ({"finder": "PrimaryKey;ContractId=1"}, "27301", "ContractId"),
        ({"finder": "PrimaryKey"}, "27301", "ContractMeterId"),
        ({"finder": "PrimaryKey;ContractMeterId"}, "27301", "finder"),
        ({"finder": "PrimaryKey;ContractMeterId=x"}, "27301", "ContractMeterId"),
        ({"finder": "PrimaryKey;ContractMeterId=1.5"}, "27301", "ContractMeterId"),
        ({"finder": f"PrimaryKey;ContractMeterId={2**63}"}, "27301", "ContractMeterId"),
        ({"fields": "MeterCode,Nope"}, "25058", "Nope"),
        ({"fields": "contractMeters:MeterCode"}, "25058", "contractMeters"),
        ({"orderBy": "Nope"}, "25058", "Nope"),
        ({"orderBy": "MeterCode:up"}, "27302", "orderBy"),
        ({"orderBy": "MeterCode:"}, "27302", "orderBy"),
        ({"expand": "contractMeters"}, "25058", "contractMeters"),
        ({"dependency": "Nope=1"}, "25058", "Nope"),
        ({"dependency": "CalculatedExpirationDate=2022-01-01"}, "27008", "CalculatedExpirationDate"),
        ({"dependency": "AssetNumber=X"}, "27008", "AssetNumber"),
        ({"dependency": "ContractStartDate=soon"}, "25009", "soon"),
        ({"dependency": "ContractStatusCode=NEW"}, "27010", "ContractStatusCode"),
        ({"dependency": "ContractStartDate"}, "27303", "dependency"),
        ({"limit": "-1"}, "27303", "limit"),
        ({"limit": "1.0"}, "27303", "limit"),
        ({"limit": ""}, "27303", "limit"),
        ({"offset": "-1"}, "27303", "offset"),
        ({"offset": "x"}, "27303", "offset"),
        ({"totalResults": "1"}, "27303", "totalResults"),
        ({"onlyData": "yes"}, "27303", "onlyData"),
    ],
)
def test_a_parameter_that_cannot_be_is_400(
    contracts: httpx.Client, query: dict[str, str], code: str, text: str
) -> None:
    ((found, path, detail),) = details(contracts.get(METERS, params=query, headers=V4), 400)
    assert (found, path) == (code, "")
    assert text in detail


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({"dependency": "MeterEndValue=1"}, "27008", "MeterEndValue"),
        ({"dependency": "MeterIntervalValue=-1"}, "27010", "MeterIntervalValue"),
        ({"dependency": "MeterIntervalValue=x"}, "25009", "'x'"),
        ({"dependency": "MeterStartValue="}, "25009", "MeterStartValue"),
        ({"dependency": "MeterCode=NOWHERE"}, "27027", "MeterCode"),
        ({"dependency": "MeterCode=RETIRED"}, "27027", "Meter"),
        ({"dependency": "MeterCode=METER_TEMP_CODE_ABS_ASC_3"}, "27026", "Meter"),
        ({"fields": "Nope"}, "25058", "Nope"),
        ({"onlyData": "no"}, "27303", "onlyData"),
    ],
)
def test_a_parameter_of_an_item_that_cannot_be_is_400(
    contracts: httpx.Client, query: dict[str, str], code: str, text: str
) -> None:
    ((found, path, detail),) = details(contracts.get(f"{METERS}/{A}", params=query, headers=V4), 400)
    assert (found, path) == (code, "" if code not in ("27026", "27027") else path)
    assert text in detail


@pytest.mark.parametrize("value", ["0", "10", "abc", "11.13.18.05", "-1", "1.0", "²", ""])
def test_a_framework_version_that_there_is_not_is_400(contracts: httpx.Client, value: str) -> None:
    headers = [(b"REST-Framework-Version", value.encode()), (b"Accept", f"{ERROR}, application/json".encode())]
    ((code, _, detail),) = details(contracts.get(METERS, headers=headers), 400)
    assert code == "27304"
    assert "REST-Framework-Version" in detail


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"MeterStartValue": NaN}', b"[" * 9999])
def test_a_body_that_is_no_json_object_is_400(contracts: httpx.Client, body: bytes) -> None:
    for method, url in (("PATCH", f"{METERS}/{B}"), ("POST", METERS), ("POST", CONTRACTS), ("PATCH", CONTRACT)):
        headers = {**V4, "Content-Type": "application/json"}
        assert [code for code, _, _ in details(contracts.request(method, url, content=body, headers=headers), 400)] == [
            "27305"
        ]


@pytest.mark.parametrize(
    ("body", "code", "name"),
    [
        ({"Nope": 1}, "25058", "Nope"),
        ({"links": []}, "25058", "links"),
        ({"MeterEndValue": 5}, "27008", "MeterEndValue"),
        ({"MeterId": 300100568132830}, "27008", "MeterId"),
        ({"CreatedBy": "ME"}, "27008", "CreatedBy"),
        ({"MeterCode": None}, "27014", "MeterCode"),
        ({"MeterStartValue": None}, "27014", "MeterStartValue"),
        ({"DisabledFlag": None}, "27014", "DisabledFlag"),
        ({"MeterCode": "X" * 31}, "27010", "MeterCode"),
        ({"MeterIntervalValue": -1}, "27010", "MeterIntervalValue"),
        ({"MeterIntervalValue": 10**30}, "27010", "MeterIntervalValue"),
        ({"MeterStartValue": 1e-30}, "27010", "MeterStartValue"),
        ({"MeterCode": 5}, "25009", "MeterCode"),
        ({"MeterIntervalValue": "5"}, "25009", "MeterIntervalValue"),
        ({"MeterIntervalValue": True}, "25009", "MeterIntervalValue"),
        ({"MeterIntervalValue": {}}, "25009", "MeterIntervalValue"),
        ({"DisabledFlag": "true"}, "25009", "DisabledFlag"),
        ({"DisabledFlag": 1}, "25009", "DisabledFlag"),
        ({"MeterCode": "\0"}, "25009", "MeterCode"),
        ({"MeterCode": "METER_TEMP_CODE_ABS_ASC_3"}, "27026", "MeterId"),
        ({"MeterCode": "RETIRED"}, "27027", "MeterId"),
        ({"MeterCode": "OTHER"}, "27027", "MeterCode"),
    ],
)
def test_an_attribute_that_cannot_be_set_is_400(
    contracts: httpx.Client, body: dict[str, Any], code: str, name: str
) -> None:
    before = contracts.get(f"{METERS}/{B}").json()
    ((found, path, detail),) = details(contracts.patch(f"{METERS}/{B}", json=body, headers=V4), 400)
    assert (found, path) == (code, f"/{name}")
    assert name in detail
    assert contracts.get(f"{METERS}/{B}").json() == before


@pytest.mark.parametrize(
    ("body", "code", "name"),
    [
        ({}, "27014", "MeterId"),
        ({"MeterId": 1}, "27027", "MeterId"),
        ({"MeterId": 2**63}, "27010", "MeterId"),
        ({"MeterId": 1.5}, "25009", "MeterId"),
        ({"MeterId": 300100568132830, "MeterCode": "RETIRED"}, "27027", "MeterId"),
        ({"MeterId": 300100568132840}, "27027", "MeterId"),
        ({"MeterCode": "RETIRED"}, "27027", "MeterId"),
        ({"MeterId": 300100566813039}, "27026", "MeterId"),
    ],
)
def test_a_meter_that_cannot_be_added_is_400(
    contracts: httpx.Client, body: dict[str, Any], code: str, name: str
) -> None:
    ((found, path, _),) = details(contracts.post(METERS, json=body, headers=V4), 400)
    assert (found, path) == (code, f"/{name}")
    assert contracts.get(METERS).json()["count"] == 3


def test_all_faults_of_a_body_come_at_once_each_with_its_path(contracts: httpx.Client) -> None:
    body = {
        "ContractNumber": "N" * 81,
        "ContractStartDate": "soon",
        "ContractStatusCode": "NEW",
        "A/b~c": 1,
        "contractMeters": [{"MeterCode": 5}, {}, 7],
    }
    found = details(contracts.post(CONTRACTS, json=body, headers=V4), 400)
    assert [(code, path) for code, path, _ in found] == [
        ("27010", "/ContractNumber"),
        ("25009", "/ContractStartDate"),
        ("27010", "/ContractStatusCode"),
        ("25058", "/A~1b~0c"),
        ("25009", "/contractMeters/0/MeterCode"),
        ("27014", "/contractMeters/1/MeterId"),
        ("27305", "/contractMeters/2"),
    ]


def test_a_name_given_twice_is_400(contracts: httpx.Client) -> None:
    body = b'{"MeterStartValue": 1, "MeterStartValue": 2}'
    answer = contracts.patch(f"{METERS}/{B}", content=body, headers={**V4, "Content-Type": "application/json"})
    assert [(code, path) for code, path, _ in details(answer, 400)] == [("27305", "/MeterStartValue")]


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({}, TEXT),
        ({"REST-Framework-Version": "3"}, TEXT),
        ({"REST-Framework-Version": "3", "Accept": "application/json"}, TEXT),
        ({"REST-Framework-Version": "4"}, ERROR),
        ({"REST-Framework-Version": "9", "Accept": "*/*"}, ERROR),
        ({"REST-Framework-Version": "4", "Accept": "application/json"}, "application/json"),
        ({"REST-Framework-Version": "4", "Accept": "text/html, application/json;q=0.5"}, "application/json"),
        ({"REST-Framework-Version": "4", "Accept": "application/xml"}, TEXT),
        ({"Accept": f"application/json, {ERROR}"}, ERROR),
        ({"REST-Framework-Version": "1", "Accept": ERROR}, ERROR),
        ({"REST-Framework-Version": "5", "Accept": f"application/json, {ERROR}"}, ERROR),
    ],
)
def test_an_error_is_structured_where_that_is_asked_for(
    contracts: httpx.Client, headers: Mapping[str, str], content_type: str
) -> None:
    answer = contracts.get(f"{CONTRACTS}/1", headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, content_type)
    if content_type == TEXT:
        assert answer.text == "Not Found"
    else:
        assert answer.json()["title"] == "Not Found"


def test_the_checks_have_an_order(contract_gateway: RunningGateway, seeded: None) -> None:
    """Each request has all the faults that come after the one it is refused for."""
    wrong = {"Accept": "application/xml", "Content-Type": "text/plain", "REST-Framework-Version": "10"}
    with client_of(contract_gateway, None) as nobody, client_of(contract_gateway, "READER") as reader:
        assert nobody.put(WRONG_VERSION, headers=wrong).status_code == 401
        assert reader.put(WRONG_VERSION, headers=wrong).status_code == 403
    with client_of(contract_gateway) as user:
        for url in (WRONG_VERSION, f"{CONTRACTS}/1", f"{METERS}/1"):
            assert user.put(url, headers=wrong).status_code == 404
        assert user.put(f"{METERS}/{B}", headers=wrong).status_code == 405
        assert user.patch(f"{METERS}/{B}", content=b"{", headers=wrong).status_code == 406
        wrong["Accept"] = "application/json"
        assert user.patch(f"{METERS}/{B}", content=b"{", headers=wrong).status_code == 415
        wrong["Content-Type"] = "application/json"
        assert user.patch(f"{METERS}/{B}", content=b"{", headers=wrong).status_code == 400


def test_an_error_never_shows_the_inside(contracts: httpx.Client) -> None:
    for query in ({"q": "MeterCode='x' and Bogus=1"}, {"orderBy": "1;DROP TABLE"}, {"fields": "pg_sleep"}):
        text = contracts.get(METERS, params=query).text
        for inside in ("SELECT", "gateway.", "Traceback", "asyncpg", "$1"):
            assert inside not in text
