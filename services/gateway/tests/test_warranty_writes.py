"""Creating and changing contracts and their meters (E3, E5, E7, E9), previews of it, and races."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, A, B, C, client_of

NEW = {"ContractNumber": "NEW-1", "AssetNumber": "HELICOPTER-1", "ContractStartDate": "2023-01-01"}
SPARE = 300100568132830
UPSERT = {"Upsert-Mode": "true"}


def version(answer: httpx.Response) -> int:
    return int(answer.headers["ETag"].strip('"')[-10:-2], 16)


def created(answer: httpx.Response) -> Any:
    assert answer.status_code == 201, answer.text
    self_link = next(link for link in answer.json()["links"] if link["rel"] == "self")
    assert answer.headers["Location"] == self_link["href"]
    assert answer.headers["ETag"] == f'"{self_link["properties"]["changeIndicator"]}"'
    return answer.json()


def changed(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert "Location" not in answer.headers
    return answer.json()


def test_a_contract_is_created_with_defaults(changing: httpx.Client) -> None:
    body = created(changing.post(CONTRACTS, json=NEW))
    now = datetime.now(UTC)
    links = body.pop("links")
    assert [link["rel"] for link in links] == ["self", "canonical", "child"]
    assert links[2]["name"] == "contractMeters"
    for name in ("CreationDate", "LastUpdateDate"):
        assert abs((datetime.fromisoformat(body.pop(name)) - now).total_seconds()) < 60
    assert isinstance(body.pop("ContractId"), int)
    assert list(body.items()) == [
        ("ContractNumber", "NEW-1"),
        ("AssetNumber", "HELICOPTER-1"),
        ("CoverageCode", None),
        ("CoverageId", None),
        ("ContractStatusCode", "ORA_READY"),
        ("ContractStartDate", "2023-01-01"),
        ("ContractEndDate", None),
        ("CalculatedExpirationDate", None),
        ("ContractNotes", None),
        ("ExternalReferenceNumber", None),
        ("ObjectTypeCode", "ORA_ASSET"),
        ("ObjectId", 300100566813000),
        ("CreatedBy", "USER"),
        ("LastUpdatedBy", "USER"),
    ]


def test_a_contract_is_created_with_its_meters(changing: httpx.Client) -> None:
    meters = [
        {"MeterId": SPARE, "MeterIntervalValue": 5.50, "DisabledFlag": "N"},
        {"MeterCode": "METER_TEMP_CODE_ABS_ASC_1", "MeterStartValue": 100, "MeterIntervalValue": 400},
        {"MeterCode": "METER_TEMP_CODE_ABS_ASC_2", "DisabledFlag": True},
    ]
    all_of_it = {
        **NEW,
        "CoverageCode": "FULL",
        "CoverageId": 77,
        "ContractStatusCode": "ORA_DRAFT",
        "ContractEndDate": "2030-12-31",
        "CalculatedExpirationDate": "1999-01-01",
        "ContractNotes": "Ünïcode",
        "ExternalReferenceNumber": "X",
        "contractMeters": meters,
    }
    answer = changing.post(CONTRACTS, json=all_of_it)
    body = created(answer)
    assert version(answer) == 1
    assert body["CalculatedExpirationDate"] == "2022-10-16"
    assert {name: body[name] for name in all_of_it if name not in ("contractMeters", "CalculatedExpirationDate")} == {
        name: value for name, value in all_of_it.items() if name not in ("contractMeters", "CalculatedExpirationDate")
    }
    items = changing.get(f"{CONTRACTS}/{body['ContractId']}/child/contractMeters").json()["items"]
    assert [(item["MeterCode"], item["MeterEndValue"], item["CalculatedDueDate"]) for item in items] == [
        ("SPARE", 5.5, None),
        ("METER_TEMP_CODE_ABS_ASC_1", 500, "2022-10-16"),
        ("METER_TEMP_CODE_ABS_ASC_2", None, None),
    ]
    assert [item["DisabledFlag"] for item in items] == [False, False, True]


@pytest.mark.parametrize(
    "meters",
    [[{"MeterCode": "NOWHERE"}], [{"MeterId": SPARE}, {"MeterCode": "SPARE"}], [{"MeterCode": "RETIRED"}]],
)
def test_a_contract_with_a_meter_that_cannot_be_is_not_created_at_all(
    contracts: httpx.Client, meters: list[dict[str, object]]
) -> None:
    answer = contracts.post(CONTRACTS, json={**NEW, "contractMeters": meters}, headers={"REST-Framework-Version": "4"})
    assert answer.status_code == 400
    assert answer.json()["o:errorDetails"][0]["o:errorPath"].startswith(f"/contractMeters/{len(meters) - 1}/")
    assert contracts.get(CONTRACTS, params={"q": "ContractNumber=NEW-1"}).json()["count"] == 0


@pytest.mark.parametrize(
    ("without", "others"),
    [
        ("ContractNumber", {}),
        ("AssetNumber", {}),
        ("ContractStartDate", {}),
        ("", {"AssetNumber": "NONE"}),
        ("", {"ContractNumber": "WARRANTY-1"}),
        ("", {"ContractNumber": ""}),
        ("", {"ContractId": 1}),
        ("", {"CoverageId": "1"}),
        ("", {"ContractNotes": "x" * 2001}),
        ("", {"contractMeters": {}}),
    ],
)
def test_a_contract_that_cannot_be_is_refused(contracts: httpx.Client, without: str, others: dict[str, object]) -> None:
    body = {name: value for name, value in NEW.items() if name != without} | others
    answer = contracts.post(CONTRACTS, json=body)
    assert answer.status_code == 400
    assert (without or next(iter(others))) in answer.text


def test_a_contract_is_changed(changing: httpx.Client) -> None:
    values = {
        "ContractEndDate": "2030-01-01",
        "ContractNotes": None,
        "ContractStatusCode": "ORA_EXPIRED",
        "CoverageCode": "LESS",
        "ExternalReferenceNumber": "E-1",
        "CalculatedExpirationDate": "1999-01-01",
    }
    answer = changing.patch(CONTRACT, json=values)
    body = changed(answer)
    assert version(answer) == 2
    assert {name: body[name] for name in values} == {**values, "CalculatedExpirationDate": "2028-04-19"}
    assert body["LastUpdatedBy"] == "USER"


@pytest.mark.parametrize("name", ["ContractNumber", "AssetNumber", "CoverageId", "ObjectId", "contractMeters"])
def test_what_makes_a_contract_what_it_is_cannot_be_changed(contracts: httpx.Client, name: str) -> None:
    answer = contracts.patch(CONTRACT, json={name: 1}, headers={"REST-Framework-Version": "4"})
    assert answer.status_code == 400
    assert answer.json()["o:errorDetails"][0]["o:errorCode"] == "27008"


def test_a_change_that_changes_nothing_makes_no_version(contracts: httpx.Client) -> None:
    for url, body in (
        (CONTRACT, {"ContractStartDate": "2022-10-06"}),
        (CONTRACT, {}),
        (f"{METERS}/{B}", {"MeterIntervalValue": 100000.0, "DisabledFlag": "N"}),
        (f"{METERS}/{B}", {"MeterCode": "METER_TEMP_CODE_ABS_ASC_2"}),
    ):
        before = contracts.get(url)
        answer = contracts.patch(url, json=body)
        assert changed(answer) == before.json()
        assert version(answer) == 1


def test_a_contracts_start_moves_the_due_dates_of_meters_that_were_never_read(changing: httpx.Client) -> None:
    body = {**NEW, "contractMeters": [{"MeterCode": "UNREAD", "MeterIntervalValue": 500}]}
    contract = created(changing.post(CONTRACTS, json=body))
    url = f"{CONTRACTS}/{contract['ContractId']}"
    assert contract["CalculatedExpirationDate"] == "2023-01-11"
    answer = changing.patch(url, json={"ContractStartDate": "2024-01-01"})
    assert (changed(answer)["CalculatedExpirationDate"], version(answer)) == ("2024-01-11", 2)
    assert answer.json()["LastUpdatedBy"] == "USER"
    (item,) = changing.get(f"{url}/child/contractMeters").json()["items"]
    assert (item["CalculatedDueDate"], item["LastUpdatedBy"]) == ("2024-01-11", "SYSTEM")


def test_a_meter_is_added(changing: httpx.Client) -> None:
    body = {"MeterId": SPARE, "MeterCode": "SPARE", "MeterStartValue": 1.25, "MeterIntervalValue": 10}
    item = created(changing.post(METERS, json=body))
    assert (item["MeterEndValue"], item["UOMCode"], item["MeterDescription"]) == (11.25, "KWH", None)
    assert (item["CreatedBy"], item["LastUpdatedBy"], item["DisabledFlag"]) == ("USER", "USER", False)
    assert changing.get(METERS).json()["count"] == 4


def test_a_meter_becomes_another_meter_of_the_asset(changing: httpx.Client) -> None:
    item = changed(changing.patch(f"{METERS}/{B}", json={"MeterCode": "SPARE"}))
    assert (item["MeterId"], item["MeterName"], item["CalculatedDueDate"]) == (SPARE, "A spare meter", None)


def test_a_meter_without_an_interval_has_no_end(changing: httpx.Client) -> None:
    item = changed(changing.patch(f"{METERS}/{B}", json={"MeterIntervalValue": None}))
    assert (item["MeterEndValue"], item["CalculatedDueDate"]) == (None, None)


def test_a_disabled_meter_keeps_its_due_date_until_it_is_enabled_again(changing: httpx.Client) -> None:
    changed(changing.patch(f"{METERS}/{B}", json={"DisabledFlag": True}))
    item = changed(changing.patch(f"{METERS}/{B}", json={"MeterIntervalValue": 1000}))
    assert (item["MeterEndValue"], item["CalculatedDueDate"]) == (1000, "2028-04-19")
    item = changed(changing.patch(f"{METERS}/{B}", json={"DisabledFlag": "N"}))
    assert (item["ActiveEndDate"], item["DisabledFlag"], item["CalculatedDueDate"]) == (None, False, "2022-11-17")


def test_a_contract_expires_with_its_last_enabled_meter(changing: httpx.Client) -> None:
    for meter in (B, C):
        changed(changing.patch(f"{METERS}/{meter}", json={"DisabledFlag": True}))
    answer = changing.get(CONTRACT)
    assert (answer.json()["CalculatedExpirationDate"], answer.json()["LastUpdatedBy"]) == ("2022-10-16", "SYSTEM")
    assert version(answer) == 2
    changed(changing.patch(f"{METERS}/{A}", json={"DisabledFlag": True}))
    assert changing.get(CONTRACT).json()["CalculatedExpirationDate"] is None


def test_a_post_that_says_patch_is_a_patch(changing: httpx.Client) -> None:
    override = {"X-HTTP-Method-Override": "PATCH"}
    assert changed(changing.post(f"{METERS}/{B}", json={"MeterStartValue": 5}, headers=override))
    assert changed(changing.post(CONTRACT, json={"ContractNotes": "by post"}, headers=override))
    assert changing.post(f"{METERS}/{B}", json={}).status_code == 405
    assert changing.post(f"{METERS}/{B}", json={}, headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 405
    assert changing.post(METERS, json={"MeterId": SPARE}, headers=override).status_code == 201


@pytest.mark.parametrize("quote", ['"{}"', 'W/"{}"', "{}", '"other", "{}"', "*"])
def test_an_if_match_is_compared_without_its_quotes(changing: httpx.Client, quote: str) -> None:
    tag = changing.get(f"{METERS}/{B}").headers["ETag"].strip('"')
    headers = {"If-Match": quote.format(tag)}
    assert changing.patch(f"{METERS}/{B}", json={"MeterStartValue": 5}, headers=headers).status_code == 200
    again = changing.patch(f"{METERS}/{B}", json={"MeterStartValue": 6}, headers=headers)
    assert again.status_code == (200 if quote == "*" else 412)


def test_of_changes_at_once_that_know_the_same_version_one_wins(
    changing: httpx.Client, contract_gateway: RunningGateway
) -> None:
    known = {"If-Match": changing.get(f"{METERS}/{B}").headers["ETag"]}

    def change(value: int) -> httpx.Response:
        with client_of(contract_gateway) as client:
            return client.patch(f"{METERS}/{B}", json={"MeterIntervalValue": value}, headers=known)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(change, range(1, 9)))
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    losers = [answer for answer in answers if answer.status_code == 412]
    assert len(losers) == 7
    assert {answer.headers["ETag"] for answer in losers} == {winner.headers["ETag"]}
    assert changing.get(f"{METERS}/{B}").json() == winner.json()


def test_no_change_is_lost_among_changes_at_once(changing: httpx.Client, contract_gateway: RunningGateway) -> None:
    def change(number: int) -> int:
        url, name = (
            (f"{METERS}/{(A, B, C)[number % 3]}", "MeterStartValue") if number % 4 else (CONTRACT, "CoverageCode")
        )
        with client_of(contract_gateway) as client:
            return client.patch(url, json={name: number if number % 4 else str(number)}).status_code

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(change, range(1, 25))) == {200}
    versions = [version(changing.get(f"{METERS}/{meter}")) for meter in (A, B, C)]
    assert sum(versions) == 3 + len([number for number in range(1, 25) if number % 4])


def test_of_the_same_new_meter_at_once_one_is_added(changing: httpx.Client, contract_gateway: RunningGateway) -> None:
    def add(_: int) -> int:
        with client_of(contract_gateway) as client:
            return client.post(METERS, json={"MeterId": SPARE}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(add, range(4))) == [201, 400, 400, 400]


def test_of_the_same_new_contract_at_once_one_is_created(
    changing: httpx.Client, contract_gateway: RunningGateway
) -> None:
    def add(headers: dict[str, str]) -> int:
        with client_of(contract_gateway) as client:
            return client.post(CONTRACTS, json=NEW, headers=headers).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(add, [{}] * 4)) == [201, 400, 400, 400]
        again = {**UPSERT}
        assert set(threads.map(add, [again] * 4)) == {200}


# --- Upsert-Mode


def test_an_upsert_changes_the_meter_that_is_there(changing: httpx.Client) -> None:
    for identity in ({"MeterId": 300100568132822}, {"MeterCode": "METER_TEMP_CODE_ABS_ASC_2"}):
        answer = changing.post(METERS, json={**identity, "MeterIntervalValue": 1000}, headers=UPSERT)
        item = changed(answer)
        assert (item["ContractMeterId"], item["MeterEndValue"], version(answer)) == (B, 1000, 2)


def test_an_upsert_adds_the_meter_that_is_not_there(changing: httpx.Client) -> None:
    assert created(changing.post(METERS, json={"MeterCode": "SPARE"}, headers={"Upsert-Mode": "TRUE"}))
    assert changing.get(METERS).json()["count"] == 4


def test_an_upsert_changes_the_contract_that_is_there(changing: httpx.Client) -> None:
    body = {
        "ContractNumber": "WARRANTY-1",
        "AssetNumber": "HELICOPTER-1",
        "ContractNotes": "new",
        "contractMeters": [{"MeterCode": "METER_TEMP_CODE_ABS_ASC_3", "MeterIntervalValue": 1000}, {"MeterId": SPARE}],
    }
    contract = changed(changing.post(CONTRACTS, json=body, headers=UPSERT))
    assert (contract["ContractId"], contract["ContractNotes"]) == (300100568130910, "new")
    items = changing.get(METERS, params={"orderBy": "MeterCode"}).json()["items"]
    assert [item["MeterEndValue"] for item in items] == [500, 100000, 1000, None]


def test_an_upsert_makes_the_contract_that_is_not_there(changing: httpx.Client) -> None:
    assert created(changing.post(CONTRACTS, json=NEW, headers=UPSERT))


def test_an_upsert_does_not_change_what_cannot_be_changed(contracts: httpx.Client) -> None:
    body = {"ContractNumber": "WARRANTY-1", "CoverageId": 5}
    answer = contracts.post(CONTRACTS, json=body, headers=UPSERT)
    assert answer.status_code == 400
    assert "CoverageId" in answer.text
    assert contracts.post(CONTRACTS, json={"ContractNumber": "NEW-2"}, headers=UPSERT).status_code == 400


# --- previews


def stored(client: httpx.Client) -> list[Any]:
    return [client.get(url).json() for url in (CONTRACT, METERS, CONTRACTS)]


def test_a_preview_of_a_meter_stores_nothing_and_makes_no_version(contracts: httpx.Client) -> None:
    before = stored(contracts)
    tag = contracts.get(f"{METERS}/{A}").headers["ETag"]
    for dependency in (
        "MeterIntervalValue=4000",
        "MeterStartValue=1.5,MeterIntervalValue='7'",
        "DisabledFlag=Y",
        "MeterCode=SPARE",
        "MeterId=300100568132830",
        "MeterIntervalValue=",
    ):
        answer = contracts.get(f"{METERS}/{A}", params={"dependency": dependency})
        assert (answer.status_code, answer.headers["ETag"]) == (200, tag)
        assert answer.json() != before[1]["items"][0]
        assert stored(contracts) == before


def test_a_preview_of_a_contract_is_seen_in_it_and_its_meters(contracts: httpx.Client) -> None:
    before = stored(contracts)
    query = {"dependency": "ContractStatusCode=ORA_EXPIRED,ContractNotes='a, b',ContractStartDate=2030-01-01"}
    body = contracts.get(CONTRACT, params=query).json()
    assert (body["ContractStatusCode"], body["ContractNotes"]) == ("ORA_EXPIRED", "a, b")
    assert contracts.get(METERS, params=query).json() == before[1]
    assert stored(contracts) == before


def test_a_preview_of_a_contracts_start_moves_the_due_dates_of_its_meters(changing: httpx.Client) -> None:
    """The parent's attributes are set before the collection of its meters is read."""
    body = {**NEW, "contractMeters": [{"MeterCode": "UNREAD", "MeterIntervalValue": 500}]}
    url = f"{CONTRACTS}/{created(changing.post(CONTRACTS, json=body))['ContractId']}"
    before = stored(changing)
    query = {"dependency": "ContractStartDate=2024-01-01"}
    (item,) = changing.get(f"{url}/child/contractMeters", params=query).json()["items"]
    assert (item["CalculatedDueDate"], item["LastUpdatedBy"]) == ("2024-01-11", "USER")
    contract = changing.get(url, params={**query, "expand": "all"}).json()
    assert (contract["CalculatedExpirationDate"], contract["LastUpdatedBy"]) == ("2024-01-11", "USER")
    assert contract["contractMeters"] == [item]
    assert stored(changing) == before


def test_readers_may_preview(contract_gateway: RunningGateway, seeded: None) -> None:
    with client_of(contract_gateway, "READER") as reader:
        answer = reader.get(f"{METERS}/{A}", params={"dependency": "MeterIntervalValue=1000"})
        assert answer.json()["MeterEndValue"] == 1000
