"""POST /ctapi/Device: carbontrack.md, 6, and examples 24 to 30."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mts_gateway.carbontrack.device import _ip_address
from mts_gateway.testing import Store
from mts_gateway.testing.carbontrack import (
    ADA_DEVICE,
    BULK_DEVICE,
    D1,
    D2,
    IDLE_DEVICE,
    POLYPHASE_DEVICE,
    WIND_DEVICE,
)

PATH = "/ctapi/Device"
NIL = "00000000-0000-0000-0000-000000000000"
SAMPLE = {
    "DeviceID": ADA_DEVICE,
    "CustomerReference": "ABC123",
    "DistributorID": NIL,
    "RegisteredOnly": True,
    "AdvanceKey": "string",
    "PageIndex": 0,
}


def ids(client: httpx.Client, **asked: Any) -> list[str]:
    answer = client.post(PATH, json=asked)
    assert answer.status_code == 200
    return [device["DeviceID"] for device in answer.json()["Devices"]]


def test_an_empty_object_means_all_that_is_visible(sunco: httpx.Client) -> None:
    body = sunco.post(PATH, json={}).json()
    devices = body.pop("Devices")
    assert [device["DeviceID"] for device in devices] == [ADA_DEVICE, IDLE_DEVICE, BULK_DEVICE]
    assert body == {
        "Count": 3,
        "Pages": 1,
        "PagesIndex": 0,
        "ResponseCode": 200,
        "ResponseMessage": "Ok",
        "Message": "",
        "Error": 0,
        "ErrorNumber": 0,
        "ErrorMessage": "",
        "RecordCount": 3,
        "Page": 1,
        "PageSize": 100,
    }


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}, {"Content-Type": "text/yaml"}])
def test_no_body_at_all_means_the_same(sunco: httpx.Client, headers: dict[str, str]) -> None:
    assert sunco.post(PATH, headers=headers).json() == sunco.post(PATH, json={}).json()


def test_only_registered_ones_on_demand(sunco: httpx.Client) -> None:
    assert ids(sunco, RegisteredOnly=True) == [ADA_DEVICE, BULK_DEVICE]
    assert ids(sunco, RegisteredOnly="TRUE") == [ADA_DEVICE, BULK_DEVICE]
    assert ids(sunco, RegisteredOnly=None) == ids(sunco, RegisteredOnly="false") == ids(sunco)


def test_a_search_without_match_is_empty(sunco: httpx.Client) -> None:
    body = sunco.post(PATH, json={"CustomerReference": "NOPE"}).json()
    assert (body["ResponseCode"], body["Count"], body["Pages"], body["Devices"]) == (200, 0, 0, [])


def test_a_customers_devices_are_found_by_its_reference(sunco: httpx.Client) -> None:
    assert ids(sunco, customerreference="abc123") == [ADA_DEVICE, IDLE_DEVICE]
    assert ids(sunco, CustomerReference="XYZ789", DistributorID=D1, DeviceID=ADA_DEVICE) == []


@pytest.mark.parametrize(
    ("asked", "status", "number", "told"),
    [
        ({"DeviceID": WIND_DEVICE}, 403, 4030, WIND_DEVICE),
        ({"DeviceID": "0000000000000001"}, 404, 4040, "0000000000000001"),
        ({"DistributorID": D2}, 403, 4030, D2),
        ({"DistributorID": D2.replace("1111", "2222")}, 404, 4040, D2.replace("1111", "2222")),
        ({"DeviceID": "12"}, 400, 4002, "DeviceID"),
        ({"DeviceID": "string"}, 400, 4002, "DeviceID"),
        ({"DeviceID": "87965412358745871"}, 400, 4002, "DeviceID"),
        ({"DeviceID": {"a": 1}}, 400, 4002, "DeviceID"),
        ({"DistributorID": "sunco"}, 400, 4003, "DistributorID"),
        ({"DistributorID": 7}, 400, 4003, "DistributorID"),
        ({"PageIndex": "x"}, 400, 4006, "PageIndex"),
        ({"PageIndex": -1}, 400, 4006, "PageIndex"),
        ({"PageIndex": 1.5}, 400, 4006, "PageIndex"),
        ({"PageIndex": True}, 400, 4006, "PageIndex"),
        ({"PageSize": 2**31}, 400, 4006, "PageSize"),
        ({"RegisteredOnly": "perhaps"}, 400, 4007, "RegisteredOnly"),
        ({"RegisteredOnly": 1}, 400, 4007, "RegisteredOnly"),
        ({"CustomerReference": ["ABC123"]}, 400, 4001, "CustomerReference"),
        ({"CustomerReference": "\x00"}, 400, 4001, ""),
    ],
)
def test_what_is_wrong_is_told_in_the_envelope(
    sunco: httpx.Client, asked: dict[str, Any], status: int, number: int, told: str
) -> None:
    answer = sunco.post(PATH, json=asked)
    assert answer.status_code == status
    body = answer.json()
    assert (body["ResponseCode"], body["Error"], body["ErrorNumber"]) == (status, 1, number)
    assert (body["Devices"], body["Count"], body["Pages"], body["PagesIndex"]) == ([], 0, 0, 0)
    assert body["Message"]
    assert told in body["ErrorMessage"]


def test_the_texts_of_the_status_table_are_in_the_reply(sunco: httpx.Client) -> None:
    for asked, text in (
        ({"DeviceID": WIND_DEVICE}, "Forbidden"),
        ({"DeviceID": "0000000000000001"}, "Not Found"),
        ({"DeviceID": "12"}, "Bad Request"),
    ):
        assert sunco.post(PATH, json=asked).json()["ResponseMessage"] == text
    assert "do not have permission" in sunco.post(PATH, json={"DeviceID": WIND_DEVICE}).json()["Message"]


def test_the_documents_sample_finds_one_device(sunco: httpx.Client) -> None:
    assert ids(sunco, **SAMPLE) == [ADA_DEVICE]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f"DeviceID={ADA_DEVICE}", "application/x-www-form-urlencoded"),
        (f"deviceid={ADA_DEVICE}&PageIndex=0&RegisteredOnly=True", "application/x-www-form-urlencoded; charset=UTF-8"),
        (
            f"<CarbonTrack.Data.DeviceRequestModel><DeviceID>{ADA_DEVICE}</DeviceID><RegisteredOnly>true</RegisteredOnly>"
            "<PageIndex>0</PageIndex></CarbonTrack.Data.DeviceRequestModel>",
            "application/xml",
        ),
        (
            '<?xml version="1.0"?><DeviceRequestModel xmlns="http://schemas.datacontract.org/2004/07/CarbonTrack.Data">\n'
            f"  <DeviceID>\n{ADA_DEVICE}\n</DeviceID>\n</DeviceRequestModel>",
            "text/xml; charset=utf-8",
        ),
        ('\ufeff{"DEVICEID": "' + ADA_DEVICE + '"}', "text/json"),
        ('{"DeviceID": ' + ADA_DEVICE + "}", "application/json; charset=utf-8"),
    ],
)
def test_a_body_may_be_a_form_xml_or_json(sunco: httpx.Client, body: str, content_type: str) -> None:
    answer = sunco.post(PATH, content=body.encode(), headers={"Content-Type": content_type})
    assert [device["DeviceID"] for device in answer.json()["Devices"]] == [ADA_DEVICE]


@pytest.mark.parametrize("content_type", ["text/yaml", "application/yaml", "text/plain", "multipart/form-data", ""])
def test_another_media_type_is_415(sunco: httpx.Client, content_type: str) -> None:
    answer = sunco.post(PATH, content=b"DeviceID: 1", headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (415, 4150)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{", "application/json"),
        (" ", "application/json"),
        ("[]", "application/json"),
        ("null", "application/json"),
        ('{"a": NaN}', "application/json"),
        ("[" * 100_000, "application/json"),
        ("<a>", "application/xml"),
        ("<a/>", "application/xml"),
        ("DeviceID=%ff", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(sunco: httpx.Client, body: str, content_type: str) -> None:
    answer = sunco.post(PATH, content=body.encode(), headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 4001)


def test_a_device_is_shown_with_all_its_fields(sunco: httpx.Client) -> None:
    (device,) = sunco.post(PATH, json={"DeviceID": ADA_DEVICE}).json()["Devices"]
    assert device == {
        "DeviceID": ADA_DEVICE,
        "DeviceName": "Ada's meter",
        "CustomerRef": "ABC123",
        "IsRegistered": True,
        "TimezoneId": 2,
        "SensorConfig": "kWh Export,kWh Generation,kWh Import,kvarh Import",
        "MeasurementConfig": "1800",
        "FirmwareVersion": "A1700-3.1",
        "DeviceStatusUpdateDateTime": "2024-01-02T03:04:05Z",
        "DeviceDataUpdateDateTime": "2024-01-01T01:30:00Z",
        "IPAddress": "10.0.0.7",
        "Longitude": 153.026,
        "Latitude": -27.4705,
        "Distance": 0,
        "IsDeviceContainsInverter": True,
        "Weather": {
            "WeatherLocation": None,
            "WeatherTemperature": None,
            "WeatherIcon": None,
            "DeviceName": "Ada's meter",
            "DeviceId": ADA_DEVICE,
        },
        "Controls": [{"ControlId": 1, "ControlType": "Hot water", "IsSwitchEnabled": True, "Status": False}],
    }


def test_what_is_not_known_of_a_device_is_null(sunco: httpx.Client) -> None:
    (device,) = sunco.post(PATH, json={"DeviceID": IDLE_DEVICE}).json()["Devices"]
    assert (device["DeviceName"], device["IsRegistered"], device["TimezoneId"]) == ("ELSTERA1700 87654321", False, 1)
    for name in ("MeasurementConfig", "FirmwareVersion", "DeviceStatusUpdateDateTime", "DeviceDataUpdateDateTime"):
        assert device[name] is None
    assert (device["IPAddress"], device["Longitude"], device["Latitude"]) == (None, None, None)
    assert (device["IsDeviceContainsInverter"], device["Controls"], device["SensorConfig"]) == (False, [], "")


def test_without_registered_channels_those_of_the_newest_reading_are_shown(sunco: httpx.Client, store: Store) -> None:
    store.run(
        "INSERT INTO results_v1.device_fact (device_id, newest_reading_at) VALUES ($1, '2024-01-02')", IDLE_DEVICE
    )
    for day, channel in ((1, "kWh Import"), (2, "kWh Generation"), (2, "Flow")):
        add = "INSERT INTO results_v1.measurement VALUES ($1, make_timestamptz(2024, 1, $2, 0, 0, 0, 'UTC'), $3, 1)"
        store.run(add, IDLE_DEVICE, day, channel)
    try:
        (device,) = sunco.post(PATH, json={"DeviceID": IDLE_DEVICE}).json()["Devices"]
    finally:
        store.run("DELETE FROM results_v1.measurement WHERE device_id = $1", IDLE_DEVICE)
        store.run("DELETE FROM results_v1.device_fact WHERE device_id = $1", IDLE_DEVICE)
    assert (device["SensorConfig"], device["IsDeviceContainsInverter"]) == ("Flow,kWh Generation", True)


def test_a_device_in_xml_leaves_out_what_is_null(sunco: httpx.Client) -> None:
    answer = sunco.post(PATH, json={"DeviceID": ADA_DEVICE}, headers={"Accept": "text/xml"})
    assert answer.text.startswith(
        '<?xml version="1.0" encoding="utf-8"?><CarbonTrack.Data.DeviceResponsesModel><Devices><DeviceID>'
    )
    assert "<Weather><DeviceName>Ada's meter</DeviceName>" in answer.text
    assert "<Controls><ControlId>1</ControlId>" in answer.text
    assert "<Longitude>153.0260</Longitude>" in answer.text
    assert answer.text.endswith("<PageSize>100</PageSize></CarbonTrack.Data.DeviceResponsesModel>")


def test_pages_are_counted_from_0(sunco: httpx.Client) -> None:
    pages = [sunco.post(PATH, json={"PageSize": 2, "PageIndex": index}).json() for index in range(3)]
    assert [[device["DeviceID"] for device in page["Devices"]] for page in pages] == [
        [ADA_DEVICE, IDLE_DEVICE],
        [BULK_DEVICE],
        [],
    ]
    assert [(page["Count"], page["Pages"], page["PagesIndex"], page["Page"]) for page in pages] == [
        (3, 2, 0, 1),
        (3, 2, 1, 2),
        (3, 2, 2, 3),
    ]
    assert sunco.post(PATH, json={"PageSize": 0}).json()["PageSize"] == 100
    assert sunco.post(PATH, json={"PageSize": 5000}).json()["PageSize"] == 1000


def test_several_devices_may_be_named(windco: httpx.Client) -> None:
    for asked in ([WIND_DEVICE, POLYPHASE_DEVICE], f"['{WIND_DEVICE}', '{POLYPHASE_DEVICE}']"):
        assert ids(windco, DeviceID=asked) == [POLYPHASE_DEVICE, WIND_DEVICE]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("10.0.0.7:4059", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("[fd00::7]:4059", "fd00::7"),
        ("fd00::7", "fd00::7"),
        ("meter.example:4059", None),
        ("07777000000", None),
        (None, None),
    ],
)
def test_the_ip_address_is_that_of_the_remote_address(address: str | None, shown: str | None) -> None:
    assert _ip_address(address) == shown
