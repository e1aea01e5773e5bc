"""The acceptance examples of carbontrack.md (10), over TLS, on the example seed file and the real views of results."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from mts_client.carbontrack import CarbonTrackClient
from mts_gateway.testing import RunningGateway
from mts_stack.paths import ROOT

EXAMPLE = ROOT / "examples" / "registry-seed.json"
D1 = "7d0f1d0e-1111-4a6b-9c1e-000000000001"
ADA, IDLE, BULK, WIND = "8796541235874587", "8796541235874588", "8796541235874589", "8796541235879999"
NIL = "00000000-0000-0000-0000-000000000000"
SUNCO = {"username": "sunco", "password": "s3cret-Sun"}
WINDCO = {"username": "windco", "password": "w1nd-Pass"}
CLIENT = ("sunco", "s3cret-Sun")
CREDENTIALS = {"UserID": "sunco", "Password": "s3cret-Sun"}
OWN = [{"ID": D1, "UserName": "sunco"}]
DAY = {"DeviceID": ADA, "FromUTCDate": "2024-01-01T00:00:00Z", "ToUTCDate": "2024-01-01T01:30:00Z"}
MONTH = {"DeviceID": BULK, "FromUTCDate": "2024-02-01", "ToUTCDate": "2024-03-01"}


@pytest.fixture(scope="module")
def anybody(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.neighbour() as client:
        yield client


@pytest.fixture(scope="module")
def sunco(gateway: RunningGateway, anybody: httpx.Client) -> Iterator[httpx.Client]:
    token = grant(anybody, **SUNCO).json()["access_token"]
    with gateway.neighbour(Authorization=f"Bearer {token}") as client:
        yield client


def grant(client: httpx.Client, path: str = "/oauth/token", **given: str) -> httpx.Response:
    return client.post(path, data={"grant_type": "password", **given})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def page(client: httpx.Client, path: str, **asked: Any) -> Any:
    answer = client.post(f"/ctapi/{path}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def customers(client: httpx.Client, query: str = "") -> Any:
    answer = client.get(f"/ctapi/Customer?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["ErrorNumber"]


@pytest.mark.parametrize("path", ["/oauth/token", "/token"])
def test_1_2_a_password_gives_a_token(anybody: httpx.Client, path: str) -> None:
    answer = grant(anybody, path, **SUNCO)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "issued_at", "expires_in", "refresh_token"}
    assert (type(body["issued_at"]), type(body["expires_in"]), body["token_type"]) == (int, int, "bearer")


def test_3_4_5_what_is_wrong_with_a_token_request(anybody: httpx.Client) -> None:
    assert refusal(grant(anybody, username="sunco", password="wrong")) == (400, "invalid_grant")
    assert refusal(grant(anybody, **SUNCO, grant_type="client_credentials")) == (400, "unsupported_grant_type")
    assert refusal(grant(anybody, password="x")) == (400, "invalid_request")


def test_6_7_a_refresh_token_is_used_again(anybody: httpx.Client) -> None:
    first = grant(anybody, **SUNCO).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    again = grant(anybody, **refresh).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert again["access_token"] != first["access_token"]
    assert refusal(grant(anybody, **refresh, **WINDCO)) == (400, "invalid_grant")


def test_8_a_token_for_a_json_body(anybody: httpx.Client) -> None:
    assert anybody.post("/oauth/token", json={"grant_type": "password", **SUNCO}).status_code == 200


def test_9_no_implicit_grant(anybody: httpx.Client) -> None:
    assert anybody.get("/oauth/authorize").status_code == 400


def test_10_11_12_a_distributor_by_each_way_to_say_who_calls(anybody: httpx.Client, sunco: httpx.Client) -> None:
    assert sunco.get("/ctapi/Distributor").json() == OWN
    assert anybody.get("/ctapi/Distributor", headers=CREDENTIALS).json() == OWN
    assert anybody.get("/ctapi/Distributor", params=CREDENTIALS).json() == OWN


def test_13_14_nobody_and_a_bad_token(anybody: httpx.Client) -> None:
    answer = anybody.get("/ctapi/Distributor")
    assert (error(answer), answer.json()["Error"]) == ((401, 4010), 1)
    assert answer.json()["ResponseMessage"] == "Unauthorized"
    bad = {"Authorization": "Bearer bad", **CREDENTIALS}
    assert anybody.get("/ctapi/Distributor", headers=bad).status_code == 401


def test_15_the_first_page_of_customers(sunco: httpx.Client) -> None:
    body = customers(sunco)
    assert (body["RecordCount"], len(body["CustomerList"]), body["Page"], body["PageSize"]) == (120, 100, 1, 100)
    assert body["CustomerList"][0]["AccountNumber"] == "ABC123"


def test_16_17_18_pages_of_customers(sunco: httpx.Client) -> None:
    second = customers(sunco, "customerRequest.page=2&customerRequest.pageSize=100")
    assert len(second["CustomerList"]) == 20
    assert customers(sunco, "page=2") == second
    assert customers(sunco, "PAGE=0")["Page"] == 1


def test_19_20_21_customers_are_found(sunco: httpx.Client) -> None:
    (ada,) = customers(sunco, "customerRequest.customerRef=abc123")["CustomerList"]
    assert ada["Devices"] == [ADA, IDLE]
    assert customers(sunco, "phone=0400111222")["RecordCount"] == 0
    assert customers(sunco, "phone=400 111")["RecordCount"] == 1
    assert customers(sunco, "address=brisbane")["RecordCount"] == 1


def test_22_a_page_that_is_no_number(sunco: httpx.Client) -> None:
    assert error(sunco.get("/ctapi/Customer?page=x")) == (400, 4006)


def test_23_customers_in_xml(sunco: httpx.Client) -> None:
    answer = sunco.get("/ctapi/Customer?customerRef=abc123", headers={"Accept": "application/xml"})
    root = ElementTree.fromstring(answer.content)  # noqa: S314
    assert root.tag == "CarbonTrack.Data.CustomerModelPaging"
    (customer,) = root.findall("CustomerList")
    assert [device.text for device in customer.findall("Devices")] == [ADA, IDLE]


def test_24_25_25b_devices(sunco: httpx.Client) -> None:
    body = page(sunco, "Device")
    assert [body[name] for name in ("Count", "Pages", "PagesIndex", "Error", "ResponseCode")] == [3, 1, 0, 0, 200]
    assert page(sunco, "Device", RegisteredOnly=True)["Count"] == 2
    assert sunco.post("/ctapi/Device").json() == body


def test_26_a_search_without_match(sunco: httpx.Client) -> None:
    body = page(sunco, "Device", CustomerReference="NOPE")
    assert (body["Count"], body["Pages"]) == (0, 0)


@pytest.mark.parametrize(("device", "status"), [(WIND, 403), ("0000000000000001", 404), ("12", 400)])
def test_27_a_device_that_is_not_there_for_the_caller(sunco: httpx.Client, device: str, status: int) -> None:
    assert sunco.post("/ctapi/Device", json={"DeviceID": device}).status_code == status


def test_28_the_documents_sample(sunco: httpx.Client) -> None:
    sample = {"DeviceID": ADA, "CustomerReference": "ABC123", "DistributorID": NIL, "RegisteredOnly": True}
    assert page(sunco, "Device", **sample, AdvanceKey="string", PageIndex=0)["Count"] == 1


def test_29_bodies_in_other_formats(sunco: httpx.Client) -> None:
    assert sunco.post("/ctapi/Device", data={"DeviceID": ADA}).json()["Count"] == 1
    root = "CarbonTrack.Data.DeviceRequestModel"
    body = f"<{root}><DeviceID>{ADA}</DeviceID></{root}>"
    assert sunco.post("/ctapi/Device", content=body, headers={"Content-Type": "text/xml"}).json()["Count"] == 1
    yaml = {"Content-Type": "text/yaml"}
    assert sunco.post("/ctapi/Device", content=f"DeviceID: '{ADA}'", headers=yaml).status_code == 415


def test_30_get_device(sunco: httpx.Client) -> None:
    assert error(sunco.get("/ctapi/Device")) == (405, 4050)


def test_31_measurements(sunco: httpx.Client) -> None:
    body = page(sunco, "Measurement", **DAY)
    first, second, third, fourth = body["Measurements"]
    assert (body["Count"], first["PowerUsage"], first["Generating"]) == (4, "1.25", None)
    expected = {
        "PowerUsage": "1.20",
        "PowerExported": "0.20",
        "Generating": "0.50",
        "PowerUsageNet": "1.00",
        "PowerExportedNet": "0.00",
        "PowerFactor1": "0.60",
        "PowerVAH1": "1000.00",
    }
    assert {name: second[name] for name in expected} == expected
    assert (third["PowerUsageNet"], third["PowerExportedNet"]) == ("0.00", "3.00")
    assert fourth["PowerUsage"] == "0.01"


def test_32_33_bounds_and_dates(sunco: httpx.Client) -> None:
    moment = "2024-01-01T00:30:00Z"
    assert page(sunco, "Measurement", DeviceID=ADA, FromUTCDate=moment, ToUTCDate=moment)["Count"] == 1
    assert page(sunco, "Measurement", **{**DAY, "FromUTCDate": 1704067200}) == page(sunco, "Measurement", **DAY)


def test_34_pages_of_measurements(sunco: httpx.Client) -> None:
    first = page(sunco, "Measurement", **MONTH)
    assert (first["Count"], first["Pages"], len(first["Measurements"])) == (1200, 3, 500)
    assert len(page(sunco, "Measurement", **MONTH, PageIndex=2)["Measurements"]) == 200
    past = page(sunco, "Measurement", **MONTH, PageIndex=3)
    assert (past["Count"], past["Measurements"]) == (1200, [])


def test_35_a_period_that_runs_backward(sunco: httpx.Client) -> None:
    assert error(sunco.post("/ctapi/Measurement", json={**DAY, "ToUTCDate": "2023-01-01"})) == (400, 4005)


def test_36_37_several_devices_and_stable_ids(sunco: httpx.Client) -> None:
    asked = {**MONTH, "DeviceID": [ADA, BULK]}
    assert page(sunco, "Measurement", **asked)["Count"] == 1200
    assert page(sunco, "Measurement", **asked) == page(sunco, "Measurement", **asked)
    assert page(sunco, "Measurement", **{**asked, "FromUTCDate": "2024-01-01"})["Count"] == 1204


def test_the_typed_client_reads_all_of_it(gateway: RunningGateway) -> None:
    url = f"https://127.0.0.1:{gateway.port}/MTS"
    with CarbonTrackClient(url, *CLIENT, trust=gateway.settings.tls_cert) as client:
        devices = list(client.all_devices(registered_only=True))
        assert [device.device_id for device in devices] == [ADA, BULK]
        assert client.customers(reference="abc123").customer_list[0].devices == (ADA, IDLE)
        records = list(client.all_measurements(BULK, from_time=datetime(2024, 2, 1, tzinfo=UTC)))
    assert len(records) == 1200
    assert {record.power_usage for record in records} == {Decimal("1.00")}
