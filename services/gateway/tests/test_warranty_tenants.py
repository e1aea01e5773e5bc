"""Nobody sees or touches another distributor's contracts; who is not held to one sees all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from mts_gateway.testing import RunningGateway, Store
from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, OTHER_CONTRACT, OTHER_METER, A, client_of

WIND = UUID("7d0f1d0e-1111-4a6b-9c1e-000000000002")
V4 = {"REST-Framework-Version": "4"}
OTHER_METERS = f"{OTHER_CONTRACT}/child/contractMeters"

FOREIGN = [
    ("GET", OTHER_CONTRACT, None),
    ("GET", f"{OTHER_CONTRACT}?expand=all", None),
    ("GET", f"{OTHER_CONTRACT}?dependency=ContractNotes=x", None),
    ("PATCH", OTHER_CONTRACT, {"ContractNotes": "x"}),
    ("POST", OTHER_CONTRACT, {"ContractNotes": "x"}),
    ("GET", OTHER_METERS, None),
    ("GET", f"{OTHER_METERS}?dependency=ContractNotes=x", None),
    ("GET", f"{OTHER_METERS}/describe", None),
    ("POST", OTHER_METERS, {"MeterId": 300100568132840}),
    ("GET", OTHER_METER, None),
    ("GET", f"{OTHER_METER}?dependency=MeterStartValue=1", None),
    ("PATCH", OTHER_METER, {"MeterStartValue": 1}),
    ("GET", f"{METERS}/300100568130921", None),
    ("PATCH", f"{METERS}/300100568130921", {"MeterStartValue": 1}),
    ("PUT", OTHER_METER, {}),
    ("DELETE", OTHER_CONTRACT, None),
]


def all_numbers(client: httpx.Client, **query: str) -> list[str]:
    answer = client.get(CONTRACTS, params={"orderBy": "ContractNumber", **query})
    assert answer.status_code == 200, answer.text
    return [item["ContractNumber"] for item in answer.json()["items"]]


def bearer(store: Store, client_id: int, *scopes: str) -> dict[str, str]:
    """A new token of a client."""
    made = store.new_client(scopes=scopes)
    store.run("UPDATE gateway.token SET client_id = $1 WHERE token_id = $2", client_id, made.token_id)
    return {"Authorization": f"Bearer {made.token}"}


@pytest.fixture
def sun(contract_gateway: RunningGateway, seeded: None) -> Any:
    with client_of(contract_gateway, "OF_SUN") as client:
        yield client


@pytest.mark.parametrize(("method", "url", "body"), FOREIGN)
def test_anothers_contract_is_answered_exactly_like_one_that_does_not_exist(
    sun: httpx.Client, contracts: httpx.Client, method: str, url: str, body: Any
) -> None:
    headers = {**V4, "X-HTTP-Method-Override": "PATCH"}
    before = contracts.get(OTHER_CONTRACT, params={"expand": "all"}).json()
    foreign = sun.request(method, url, json=body, headers=headers)
    missing = sun.request(method, url.replace("300100568130920", "5").replace("300100568130921", "6"), headers=headers)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert contracts.get(OTHER_CONTRACT, params={"expand": "all"}).json() == before


def test_a_distributors_user_finds_its_own_contracts_alone(sun: httpx.Client, contract_gateway: RunningGateway) -> None:
    assert all_numbers(sun) == ["WARRANTY-1"]
    assert all_numbers(sun, q="ContractNumber=WARRANTY-2 or ContractId>0") == ["WARRANTY-1"]
    assert all_numbers(sun, finder="PrimaryKey;ContractId=300100568130920") == []
    assert sun.get(CONTRACTS, params={"totalResults": "true", "limit": "0"}).json()["totalResults"] == 1
    assert sun.get(f"{METERS}/{A}").status_code == 200
    with client_of(contract_gateway, "OF_WIND") as wind:
        assert all_numbers(wind) == ["WARRANTY-2"]
        assert wind.get(CONTRACT).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Upsert-Mode": "true"}])
def test_nothing_is_made_of_anothers_asset_or_number(
    sun: httpx.Client, contracts: httpx.Client, headers: dict[str, str]
) -> None:
    before = contracts.get(OTHER_CONTRACT).json()
    body = {"ContractNumber": "NEW", "AssetNumber": "WINDMILL-1", "ContractStartDate": "2023-01-01"}
    assert sun.post(CONTRACTS, json=body, headers=headers).status_code == 400
    missing = {**body, "AssetNumber": "NOWHERE-1"}
    assert sun.post(CONTRACTS, json=body).content == sun.post(CONTRACTS, json=missing).content
    taken = {**body, "ContractNumber": "WARRANTY-2", "AssetNumber": "HELICOPTER-1"}
    assert sun.post(CONTRACTS, json=taken, headers=headers).status_code == 400
    assert sun.post(METERS, json={"MeterId": 300100568132840}, headers=headers).status_code == 400
    assert contracts.get(OTHER_CONTRACT).json() == before


def test_users_of_the_contract_api_alone_and_administrators_see_all(
    contract_gateway: RunningGateway, seeded: None
) -> None:
    for user in ("USER", "READER", "ADMIN"):
        with client_of(contract_gateway, user) as client:
            assert all_numbers(client) == ["WARRANTY-1", "WARRANTY-2"]


def test_an_administrator_needs_the_role_for_what_it_does(contract_gateway: RunningGateway, seeded: None) -> None:
    with client_of(contract_gateway, "ADMIN") as client:
        assert client.patch(CONTRACT, json={"ContractNotes": "x"}).status_code == 403


def test_a_clients_token_sees_its_distributors_contracts(
    contract_gateway: RunningGateway, contract_site: Any, changeable: None
) -> None:
    store: Store = contract_site.store
    (row,) = store.run("SELECT client_id FROM gateway.distributor WHERE distributor_id = $1", WIND)
    with client_of(contract_gateway, None) as client:
        client.headers.update(bearer(store, row["client_id"], "warranty:read", "warranty:write"))
        assert all_numbers(client) == ["WARRANTY-2"]
        assert client.get(CONTRACT).status_code == 404
        item = client.patch(OTHER_METER, json={"MeterStartValue": 1}).json()
        assert item["LastUpdatedBy"] == "windco"
        client.headers.update(bearer(store, row["client_id"], "warranty:read"))
        assert client.patch(OTHER_METER, json={"MeterStartValue": 1}).status_code == 403
        client.headers.update(bearer(store, row["client_id"], "mts"))
        assert client.get(OTHER_METER).status_code == 403
        client.headers.update(bearer(store, row["client_id"], "warranty:read", "admin"))
        assert all_numbers(client) == ["WARRANTY-1", "WARRANTY-2"]


def test_the_token_of_a_client_that_is_no_distributor_sees_nothing(
    contract_gateway: RunningGateway, contract_site: Any, seeded: None
) -> None:
    token = contract_site.store.new_client(scopes=("warranty:read",)).token
    with client_of(contract_gateway, None, Authorization=f"Bearer {token}") as client:
        assert all_numbers(client) == []
        assert client.get(CONTRACT).status_code == 404
