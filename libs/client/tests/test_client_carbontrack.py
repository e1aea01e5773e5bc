"""Every method of the carbonTRACK API over both clients, and how they log in."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mts_client import BadRequest, NotConfigured, NotFound, UnexpectedAnswer
from mts_client.carbontrack import AsyncCarbonTrackClient, CarbonTrackClient
from mts_client.carbontrack.testing import DISTRIBUTOR, PASSWORD, USER, FakeCarbonTrack

URL = "https://mts.test/MTS"
DEVICE = "8796541235874587"
DAY = datetime(2024, 1, 1, tzinfo=UTC)

MakeClient = Callable[..., AsyncCarbonTrackClient]


@pytest.fixture
def service() -> FakeCarbonTrack:
    service = FakeCarbonTrack()
    service.add_device(DEVICE, CustomerRef="ABC123", Latitude=-27.4698, DeviceDataUpdateDateTime="2024-01-01T01:30:00Z")
    service.add_device("8796541235874588", IsRegistered=False)
    return service


@pytest.fixture
def make_client(either: Callable[..., AsyncCarbonTrackClient], service: FakeCarbonTrack) -> MakeClient:
    """Makes clients of `service`; keyword arguments replace the client's."""

    def make(**changed: Any) -> AsyncCarbonTrackClient:
        given = {"url": URL, "user": USER, "password": PASSWORD, "transport": service.transport(), **changed}
        return either(CarbonTrackClient, AsyncCarbonTrackClient, **given)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> AsyncCarbonTrackClient:
    """Both clients in turn."""
    return make_client()


def sent(service: FakeCarbonTrack) -> Any:
    return json.loads(service.requests[-1].content)


def paths(service: FakeCarbonTrack) -> list[str]:
    return [request.url.path for request in service.requests]


async def test_a_password_becomes_one_token_for_many_calls(
    client: AsyncCarbonTrackClient, service: FakeCarbonTrack
) -> None:
    (distributor,) = await client.distributors()
    assert (distributor.id, distributor.user_name) == (UUID(DISTRIBUTOR), USER)
    await client.distributors()
    assert paths(service) == ["/oauth/token", "/ctapi/Distributor", "/ctapi/Distributor"]
    login = service.requests[0]
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in login.headers
    assert login.url.query == b""


async def test_the_api_stands_at_the_root_of_the_origin(make_client: MakeClient, service: FakeCarbonTrack) -> None:
    await make_client(url="https://mts.test:8443/some/where?a=b").distributors()
    assert {(request.url.host, request.url.port) for request in service.requests} == {("mts.test", 8443)}
    assert paths(service)[0] == "/oauth/token"


async def test_a_token_is_refreshed_before_it_expires(
    client: AsyncCarbonTrackClient, service: FakeCarbonTrack, clock: Any
) -> None:
    await client.distributors()
    clock.now += service.expires_in - 30
    await client.distributors()
    assert b"grant_type=refresh_token" in service.requests[2].content
    assert PASSWORD.encode() not in service.requests[2].content
    clock.now += service.expires_in
    service.refresh_tokens.clear()
    await client.distributors()
    assert [b"password=" in request.content for request in service.requests[4:6]] == [False, True]


async def test_a_token_that_the_server_has_forgotten_is_asked_for_again_once(
    client: AsyncCarbonTrackClient, service: FakeCarbonTrack
) -> None:
    await client.distributors()
    service.tokens.clear()
    await client.distributors()
    assert paths(service)[2:] == ["/ctapi/Distributor", "/oauth/token", "/ctapi/Distributor"]


async def test_a_wrong_password_is_refused_and_not_shown(make_client: MakeClient) -> None:
    with pytest.raises(BadRequest) as refused:
        await make_client(password="wr0ng-One").distributors()
    assert refused.value.details == ("invalid_grant",)
    assert "wr0ng-One" not in repr(refused.value)


def test_a_secret_must_not_travel_in_clear() -> None:
    with pytest.raises(NotConfigured):
        CarbonTrackClient("http://mts.test", USER, PASSWORD)


async def test_customers_are_asked_for_by_their_names_in_the_contract(
    client: AsyncCarbonTrackClient, service: FakeCarbonTrack
) -> None:
    service.customers = [
        {
            "CustomerId": DISTRIBUTOR,
            "DistributorId": DISTRIBUTOR,
            "AccountNumber": "ABC123",
            "Devices": [DEVICE],
            "Email": None,
        }
    ]
    page = await client.customers(reference="ABC123", phone="400", address="Brisbane", page=2, page_size=10)
    assert dict(service.requests[-1].url.params) == {
        "customerRequest.customerRef": "ABC123",
        "customerRequest.phone": "400",
        "customerRequest.address": "Brisbane",
        "customerRequest.page": "2",
        "customerRequest.pageSize": "10",
    }
    assert (page.record_count, page.customer_list[0].devices) == (1, (DEVICE,))


async def test_devices_come_typed(client: AsyncCarbonTrackClient, service: FakeCarbonTrack) -> None:
    page = await client.devices(customer_reference="ABC123", registered_only=True, page_size=7)
    assert sent(service) == {"CustomerReference": "ABC123", "RegisteredOnly": True, "PageIndex": 0, "PageSize": 7}
    (device,) = page.devices
    assert (page.count, page.pages, device.device_id, device.customer_ref) == (1, 1, DEVICE, "ABC123")
    assert (device.latitude, device.longitude) == (Decimal("-27.4698"), None)
    assert device.data_updated == DAY + timedelta(minutes=90)


async def test_measurements_come_as_exact_decimals_without_what_is_not_known(
    client: AsyncCarbonTrackClient, service: FakeCarbonTrack
) -> None:
    values = {"PowerUsage": "1.20", "Generating": None, "SignalStrength": "1,000.50"}
    service.add_records(DEVICE, [("2024-01-01T00:30:00Z", values)])
    brisbane = timezone(timedelta(hours=10))
    page = await client.measurements(DEVICE, from_time=DAY, to_time=datetime(2024, 1, 1, 10, 30, tzinfo=brisbane))
    assert sent(service) == {
        "DeviceID": DEVICE,
        "FromUTCDate": "2024-01-01T00:00:00Z",
        "ToUTCDate": "2024-01-01T00:30:00Z",
        "PageIndex": 0,
    }
    (record,) = page.measurements
    assert record.values == {"PowerUsage": Decimal("1.20"), "SignalStrength": Decimal("1000.50")}
    assert (record.power_usage, record.generating, record.power_exported) == (Decimal("1.20"), None, None)
    assert (record.device_id, record.starts_at) == (DEVICE, DAY + timedelta(minutes=30))


async def test_a_time_without_a_zone_is_a_mistake(client: AsyncCarbonTrackClient) -> None:
    with pytest.raises(ValueError, match="zone"):
        await client.measurements(DEVICE, from_time=DAY.replace(tzinfo=None))


async def test_all_pages_are_walked(client: AsyncCarbonTrackClient, service: FakeCarbonTrack) -> None:
    service.most = 2
    starts = [DAY + n * timedelta(minutes=30) for n in range(5)]
    service.add_records(DEVICE, [(start.isoformat(), {"PowerUsage": str(n)}) for n, start in enumerate(starts)])
    found = [record async for record in client.all_measurements([DEVICE], from_time=DAY)]
    assert [record.starts_at for record in found] == starts
    service.most = 1
    assert [device.device_id async for device in client.all_devices()] == [DEVICE, "8796541235874588"]
    assert [device.device_id async for device in client.all_devices(registered_only=True)] == [DEVICE]
    assert [device async for device in client.all_devices(customer_reference="NOPE")] == []


async def test_an_error_has_the_envelopes_texts(client: AsyncCarbonTrackClient) -> None:
    with pytest.raises(NotFound) as refused:
        await client.measurements("0000000000000001")
    assert refused.value.details == ("The requested resource could not be found.", "0000000000000001")


async def test_another_answer_is_none_of_carbontrack(client: AsyncCarbonTrackClient, service: FakeCarbonTrack) -> None:
    service.devices = [{"DeviceID": DEVICE, "IsRegistered": "perhaps"}]
    with pytest.raises(UnexpectedAnswer):
        await client.devices()
