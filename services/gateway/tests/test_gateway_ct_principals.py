"""Who is calling /ctapi and what it sees: carbontrack.md, 1.3 and 2, and examples 10 to 14."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_gateway.testing import RunningGateway, Store
from mts_gateway.testing.carbontrack import (
    ADA_DEVICE,
    ADMIN,
    BULK_DEVICE,
    D1,
    D2,
    IDLE_DEVICE,
    POLYPHASE_DEVICE,
    SUNCO,
    WARRANTY_ONLY,
    WIND_DEVICE,
    WINDCO,
    bearer,
)

StartGateway = Callable[..., RunningGateway]
OWN = [{"ID": D1, "UserName": "sunco"}]
OTHER = [{"ID": D2, "UserName": "windco"}]
DISTRIBUTOR = "/ctapi/Distributor"


@pytest.fixture
def client(carbontrack: RunningGateway) -> Iterator[httpx.Client]:
    with carbontrack.neighbour() as client:
        yield client


def in_headers(name: str, password: str) -> dict[str, str]:
    return {"UserID": name, "Password": password}


def assert_denied(answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {
        "ResponseCode": 401,
        "ResponseMessage": "Unauthorized",
        "Message": "Authorization has been denied for this request.",
        "Error": 1,
        "ErrorNumber": 4010,
        "ErrorMessage": "",
    }


def test_a_bearer_token_opens_the_api(sunco: httpx.Client) -> None:
    answer = sunco.get(DISTRIBUTOR)
    assert (answer.status_code, answer.json()) == (200, OWN)
    token = sunco.headers["Authorization"].partition(" ")[2]
    for scheme in ("bearer", "BEARER"):
        assert sunco.get(DISTRIBUTOR, headers={"Authorization": f"{scheme} {token}"}).json() == OWN


@pytest.mark.parametrize("names", [("UserID", "Password"), ("userid", "PASSWORD")])
def test_credentials_in_headers_open_it(client: httpx.Client, names: tuple[str, str]) -> None:
    assert client.get(DISTRIBUTOR, headers=dict(zip(names, SUNCO, strict=True))).json() == OWN


@pytest.mark.parametrize("names", [("UserID", "Password"), ("USERID", "password")])
def test_credentials_in_the_query_open_it(client: httpx.Client, names: tuple[str, str]) -> None:
    assert client.get(DISTRIBUTOR, params=dict(zip(names, SUNCO, strict=True))).json() == OWN


def test_no_credentials_are_401(client: httpx.Client) -> None:
    for path in (
        DISTRIBUTOR,
        "/ctapi/Customer",
        "/ctapi/Customer?UserID=sunco",
        "/ctapi/Customer?UserID=%ff&Password=x",
    ):
        assert_denied(client.get(path))
    for path, listed in (("/ctapi/Device", "Devices"), ("/ctapi/Measurement", "Measurements")):
        answer = client.post(path, json={})
        assert answer.status_code == 401
        assert answer.json() | {listed: [], "Count": 0, "Pages": 0, "PagesIndex": 0} == answer.json()


@pytest.mark.parametrize("given", ["Bearer wrong", "Basic c3VuY286czNjcmV0LVN1bg==", "Bearer", ""])
def test_a_bad_authorization_is_401_whatever_else_is_right(client: httpx.Client, given: str) -> None:
    headers = {"Authorization": given, **in_headers(*SUNCO)}
    assert_denied(client.get(DISTRIBUTOR, headers=headers, params={"UserID": SUNCO[0], "Password": SUNCO[1]}))


def test_headers_go_over_the_query_and_one_alone_is_no_credential(client: httpx.Client) -> None:
    query = {"UserID": WINDCO[0], "Password": WINDCO[1]}
    assert client.get(DISTRIBUTOR, params=query, headers=in_headers(*SUNCO)).json() == OWN
    assert client.get(DISTRIBUTOR, params=query, headers={"UserID": SUNCO[0]}).json() == OTHER
    assert_denied(client.get(DISTRIBUTOR, params=query, headers=in_headers(SUNCO[0], "wrong")))


def test_a_token_goes_over_credentials(sunco: httpx.Client) -> None:
    assert sunco.get(DISTRIBUTOR, headers=in_headers(*WINDCO)).json() == OWN


def test_an_administrator_sees_all_distributors(carbontrack: RunningGateway) -> None:
    with carbontrack.neighbour(**bearer(carbontrack, *ADMIN)) as admin:
        assert [one for one in admin.get(DISTRIBUTOR).json() if one["ID"] in (D1, D2)] == [*OWN, *OTHER]
        for device_id in (ADA_DEVICE, WIND_DEVICE):
            assert admin.post("/ctapi/Device", json={"DeviceID": device_id}).json()["Count"] == 1
        assert admin.post("/ctapi/Device", json={"DistributorID": D2}).json()["Count"] == 2
        assert admin.get("/ctapi/Customer?customerRef=WIND01").json()["RecordCount"] == 1


def test_a_user_that_may_not_read_sees_nothing(carbontrack: RunningGateway) -> None:
    with carbontrack.neighbour(**bearer(carbontrack, *WARRANTY_ONLY)) as client:
        assert client.get(DISTRIBUTOR).json() == []
        assert client.get("/ctapi/Customer").json()["RecordCount"] == 0
        assert client.post("/ctapi/Device", json={}).json()["Count"] == 0
        assert client.post("/ctapi/Device", json={"DeviceID": ADA_DEVICE}).status_code == 403


def test_no_endpoint_shows_another_distributors_data(sunco: httpx.Client, windco: httpx.Client) -> None:
    ours, theirs = {ADA_DEVICE, IDLE_DEVICE, BULK_DEVICE}, {WIND_DEVICE, POLYPHASE_DEVICE}
    long = {"FromUTCDate": "2000-01-01", "ToUTCDate": "2100-01-01", "PageSize": 1000}
    for client, own, own_devices, other, other_devices in (
        (sunco, D1, ours, D2, theirs),
        (windco, D2, theirs, D1, ours),
    ):
        assert [one["ID"] for one in client.get(DISTRIBUTOR).json()] == [own]
        customers = client.get("/ctapi/Customer?pageSize=1000").json()["CustomerList"]
        assert {one["DistributorId"] for one in customers} == {own}
        assert {device for one in customers for device in one["Devices"]} == own_devices
        devices = client.post("/ctapi/Device", json={}).json()["Devices"]
        assert {one["DeviceID"] for one in devices} == own_devices
        records = client.post("/ctapi/Measurement", json=long).json()
        assert {one["DeviceID"] for one in records["Measurements"]} <= own_devices
        assert records["Count"] > 0
        for path in ("/ctapi/Device", "/ctapi/Measurement"):
            for device_id in other_devices:
                for asked in (device_id, [*own_devices, device_id], f"{device_id},{device_id}"):
                    answer = client.post(path, json={**long, "DeviceID": asked})
                    assert (answer.status_code, answer.json()["ErrorNumber"]) == (403, 4030)
                    assert device_id in answer.json()["ErrorMessage"]
            answer = client.post(path, json={**long, "DistributorID": other})
            assert (answer.status_code, answer.json()["ErrorNumber"]) == (403, 4030)
            assert other in answer.json()["ErrorMessage"]
        for reference in ("WIND01", "ABC123", "XYZ789"):
            mine = (reference == "WIND01") == (own == D2)
            found = client.get("/ctapi/Customer", params={"customerRef": reference}).json()["RecordCount"]
            assert found == int(mine)
            found = client.post("/ctapi/Device", json={"CustomerReference": reference}).json()["Count"]
            assert (found > 0) == mine


def test_the_rate_is_429_and_shared_with_the_mts_api_of_the_client(
    start_gateway: StartGateway, carbontrack: RunningGateway, store: Store
) -> None:
    headers = bearer(carbontrack, *WINDCO)
    with start_gateway(rate_limit_calls=5).neighbour(**headers) as client:
        answers = [client.get(DISTRIBUTOR) for _ in range(12)]  # in two windows at most
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {answer.status_code for answer in refused} == {429}
    assert (refused[0].json()["ErrorNumber"], refused[0].json()["ResponseMessage"]) == (4290, "Too Many Requests")
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    (row,) = store.run(
        "SELECT calls FROM gateway.rate_window JOIN gateway.distributor USING (client_id) WHERE distributor_id = $1", D2
    )
    assert row["calls"] > 0


def test_credentials_in_a_query_reach_neither_log_nor_trace(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    start_gateway: StartGateway,
    carbontrack: RunningGateway,
    store: Store,
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    query = {"UserID": SUNCO[0], "Password": SUNCO[1]}
    with caplog.at_level(logging.DEBUG), closing(start_gateway().neighbour()) as client:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        assert client.get(DISTRIBUTOR, params=query).status_code == 200
        assert client.get("/ctapi/nowhere", params=query).status_code == 404
        store.run("ALTER TABLE gateway.customer RENAME COLUMN mobile TO cell")
        try:
            assert client.get("/ctapi/Customer", params=query).status_code == 503
        finally:
            store.run("ALTER TABLE gateway.customer RENAME COLUMN cell TO mobile")
        with monkeypatch.context() as patch:
            patch.setattr("mts_gateway.carbontrack.distributor.reply", None)
            assert client.get(DISTRIBUTOR, params=query).status_code == 500
    told = [record.getMessage() + str(record.exc_text or "") for record in caplog.records if record.name != "httpcore"]
    traced = [f"{span.name} {dict(span.attributes or {})} {span.events}" for span in exporter.get_finished_spans()]
    assert any("/ctapi/customer" in text for text in told)
    assert any("/ctapi/distributor" in text for text in traced)
    ours = [text for text in told if "httpcore" not in text] + traced
    assert not [text for text in ours if SUNCO[1] in text]
