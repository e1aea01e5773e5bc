"""POST /ctapi/Measurement: carbontrack.md, 7, and examples 31 to 37."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from mts_gateway.carbontrack.records import Span
from mts_gateway.testing import Store
from mts_gateway.testing.carbontrack import ADA_DEVICE, BULK_DEVICE, D1, D2, IDLE_DEVICE, POLYPHASE_DEVICE, WIND_DEVICE

PATH = "/ctapi/Measurement"
NIL = "00000000-0000-0000-0000-000000000000"
DAY = {"DeviceID": ADA_DEVICE, "FromUTCDate": "2024-01-01T00:00:00Z", "ToUTCDate": "2024-01-01T01:30:00Z"}
MONTH = {"DeviceID": BULK_DEVICE, "FromUTCDate": "2024-02-01", "ToUTCDate": "2024-03-01"}
POLYPHASE = {"DeviceID": POLYPHASE_DEVICE, "FromUTCDate": "2024-03-01", "ToUTCDate": "2024-03-02"}


def page(client: httpx.Client, asked: dict[str, Any], **changed: Any) -> Any:
    answer = client.post(PATH, json={**asked, **changed})
    assert answer.status_code == 200, answer.text
    return answer.json()


def records(client: httpx.Client, asked: dict[str, Any], **changed: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page(client, asked, **changed)["Measurements"]
    return found


def pick(record: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(record[name] for name in names)


def test_a_record_per_interval_with_power_from_energy(sunco: httpx.Client) -> None:
    body = page(sunco, DAY)
    first, second, third, fourth = body.pop("Measurements")
    assert body == {
        "Count": 4,
        "Pages": 1,
        "PagesIndex": 0,
        "ResponseCode": 200,
        "ResponseMessage": "Ok",
        "Message": "",
        "Error": 0,
        "ErrorNumber": 0,
        "ErrorMessage": "",
        "RecordCount": 4,
        "Page": 1,
        "PageSize": 500,
    }
    assert pick(first, "DeviceID", "RecordDateTime", "PowerUsage", "Generating") == (
        ADA_DEVICE,
        "2024-01-01T00:00:00Z",
        "1.25",
        None,
    )
    assert pick(first, "PowerUsageNet", "PowerExportedNet", "PowerVAH1") == ("1.25", None, None)
    assert pick(second, "PowerUsage", "PowerExported", "Generating") == ("1.20", "0.20", "0.50")
    assert pick(second, "PowerUsageNet", "PowerExportedNet") == ("1.00", "0.00")
    assert pick(second, "Power1", "Power1N", "PowerFactor1", "PowerVAH1") == ("1.20", "0.20", "0.60", "1000.00")
    assert pick(second, "Power2", "Power3", "Power4", "PowerVAH4", "Temperature1", "SignalStrength") == (None,) * 6
    assert pick(third, "PowerUsageNet", "PowerExportedNet") == ("0.00", "3.00")
    assert fourth["PowerUsage"] == "0.01"


def test_the_fields_of_a_record_are_those_of_the_document_in_its_order(sunco: httpx.Client) -> None:
    (record,) = records(sunco, DAY, ToUTCDate=DAY["FromUTCDate"])
    numbers = "1234"
    assert list(record) == [
        *("ID", "DeviceID", "RecordDateTime", "PowerUsage", "Generating", "PowerExported"),
        *(f"PowerFactor{n}" for n in numbers),
        *(f"Power{n}" for n in numbers),
        *(f"Power{n}N" for n in numbers),
        *(f"PowerVAH{n}" for n in numbers),
        *(f"Temperature{n}" for n in range(1, 9)),
        *("Irradiation", "BatteryCharge", "Flow", "Voltage", "SignalStrength", "PowerUsageNet", "PowerExportedNet"),
    ]


def test_both_bounds_are_included(sunco: httpx.Client) -> None:
    moment = "2024-01-01T00:30:00Z"
    assert [one["RecordDateTime"] for one in records(sunco, DAY, FromUTCDate=moment, ToUTCDate=moment)] == [moment]
    assert records(sunco, DAY, FromUTCDate="2024-01-01T00:30:01Z", ToUTCDate="2024-01-01T00:59:59Z") == []


@pytest.mark.parametrize(
    "start",
    [
        1704067200,
        "1704067200",
        1704067200000,
        "1704067200000",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.0000000Z",
        "2024-01-01T10:00:00+10:00",
        " 2024-01-01 00:00:00 ",
    ],
)
def test_a_date_may_be_iso_or_unix_seconds_or_milliseconds(sunco: httpx.Client, start: object) -> None:
    assert page(sunco, DAY, FromUTCDate=start) == page(sunco, DAY)


def test_pages_of_500_are_counted_from_0(sunco: httpx.Client) -> None:
    first = page(sunco, MONTH)
    assert (first["Count"], first["Pages"], len(first["Measurements"])) == (1200, 3, 500)
    last = page(sunco, MONTH, PageIndex=2)
    assert (last["PagesIndex"], len(last["Measurements"])) == (2, 200)
    past = page(sunco, MONTH, PageIndex=3)
    assert (past["Count"], past["Pages"], past["PagesIndex"], past["Measurements"]) == (1200, 3, 3, [])
    times = [one["RecordDateTime"] for index in range(3) for one in records(sunco, MONTH, PageIndex=index)]
    start = datetime(2024, 2, 1, tzinfo=UTC)
    assert times == [(start + n * timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(1200)]


@pytest.mark.parametrize("size", [7, 48, 100, 1000, 5000])
def test_pages_of_any_size_hold_every_record_once(sunco: httpx.Client, size: int) -> None:
    both = {**MONTH, "DeviceID": None, "FromUTCDate": "2023-12-31T23:59:59Z", "PageSize": size}
    pages = page(sunco, both)["Pages"]
    assert pages == -(-1204 // min(size, 1000))
    wanted = range(pages) if pages < 20 else (0, 1, pages // 2, pages - 1)
    found = {index: [one["RecordDateTime"] for one in records(sunco, both, PageIndex=index)] for index in wanted}
    every = [
        one["RecordDateTime"] for index in range(2) for one in records(sunco, both, PageSize=1000, PageIndex=index)
    ]
    for index, times in found.items():
        assert times == every[index * min(size, 1000) :][: min(size, 1000)]


def test_the_period_must_run_forward(sunco: httpx.Client) -> None:
    answer = sunco.post(PATH, json={**DAY, "FromUTCDate": "2024-01-02"})
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 4005)
    assert "FromUTCDate" in answer.json()["ErrorMessage"]


@pytest.mark.parametrize(
    "devices", [[ADA_DEVICE, BULK_DEVICE], f"['{ADA_DEVICE}','{BULK_DEVICE}']", f"{ADA_DEVICE}, {BULK_DEVICE}"]
)
def test_several_devices_come_by_time_and_then_by_device(sunco: httpx.Client, store: Store, devices: object) -> None:
    add = "INSERT INTO results_v1.measurement VALUES ($1, '2024-01-01T00:30:00Z', 'kWh Import', 1)"
    store.run(add, BULK_DEVICE)
    try:
        found = [(one["RecordDateTime"][11:16], one["DeviceID"]) for one in records(sunco, DAY, DeviceID=devices)]
    finally:
        store.run("DELETE FROM results_v1.measurement WHERE starts_at < '2024-02-01' AND device_id = $1", BULK_DEVICE)
    assert found == [
        ("00:00", ADA_DEVICE),
        ("00:30", ADA_DEVICE),
        ("00:30", BULK_DEVICE),
        ("01:00", ADA_DEVICE),
        ("01:30", ADA_DEVICE),
    ]


def test_the_same_call_gives_the_same_ids(sunco: httpx.Client) -> None:
    first, second = records(sunco, DAY), records(sunco, DAY)
    assert first == second
    assert len({one["ID"] for one in first}) == 4


def test_without_a_device_all_that_are_visible_are_read(sunco: httpx.Client, windco: httpx.Client) -> None:
    everything = {"FromUTCDate": "2000-01-01", "ToUTCDate": "2100-01-01"}
    assert page(sunco, everything)["Count"] == 1204
    assert page(sunco, everything, DistributorID=D1)["Count"] == 1204
    assert page(sunco, everything, DeviceID=[])["Count"] == 1204
    assert page(windco, everything)["Count"] == 4


def test_without_dates_the_last_24_hours_are_read(sunco: httpx.Client, store: Store) -> None:
    add = "INSERT INTO results_v1.measurement SELECT $1, now() - $2::interval, 'kWh Import', 1"
    for age in (timedelta(hours=1), timedelta(hours=23), timedelta(hours=25)):
        store.run(add, IDLE_DEVICE, age)
    try:
        assert page(sunco, {"DeviceID": IDLE_DEVICE})["Count"] == 2
        assert page(sunco, {"DeviceID": IDLE_DEVICE, "FromUTCDate": "2024-01-01"})["Count"] == 3
        assert page(sunco, {})["Count"] == 2
    finally:
        store.run("DELETE FROM results_v1.measurement WHERE device_id = $1", IDLE_DEVICE)
    assert page(sunco, {"DeviceID": ADA_DEVICE, "ToUTCDate": "2024-01-01T01:00:00Z"})["Count"] == 3
    assert page(sunco, {"DeviceID": ADA_DEVICE, "ToUTCDate": "0001-01-01T00:00:00Z"})["Count"] == 0


def test_an_interval_of_unknown_length_has_no_power(sunco: httpx.Client, store: Store) -> None:
    values = "($1, '2024-01-01', 'kWh Import', 3), ($1, '2024-01-01', 'kvarh Import', 4)"
    add = f"INSERT INTO results_v1.measurement VALUES {values}"  # noqa: S608
    store.run(add, IDLE_DEVICE)
    try:
        (record,) = records(sunco, DAY, DeviceID=IDLE_DEVICE)
    finally:
        store.run("DELETE FROM results_v1.measurement WHERE device_id = $1", IDLE_DEVICE)
    assert pick(record, "PowerUsage", "PowerUsageNet", "PowerVAH1", "PowerFactor1") == (None, None, "5000.00", "0.60")


def test_a_polyphase_meter_has_its_phases_apart(windco: httpx.Client) -> None:
    first, second, _, _ = records(windco, POLYPHASE)
    assert pick(first, "Power1", "PowerVAH1", "PowerFactor1", "Power2", "Power1N") == (
        "3.00",
        "5000.00",
        "0.60",
        None,
        None,
    )
    assert pick(second, "Power1", "Power2", "Power3", "Power3N") == (None, "1.00", None, "2.01")
    assert pick(second, "SignalStrength", "Temperature7", "Temperature1") == ("1,234.57", "0.00", None)


def test_cumulative_values_are_differenced(windco: httpx.Client) -> None:
    """The first has none before it, the third falls, before the fourth one is missing."""
    assert [one["PowerUsage"] for one in records(windco, POLYPHASE)] == [None, "1.50", None, None]
    later = {"FromUTCDate": "2024-03-01T01:00:00Z"}
    assert [one["PowerUsage"] for one in records(windco, POLYPHASE, **later)] == ["1.50", None, None]


@pytest.mark.parametrize(
    ("changed", "status", "number", "told"),
    [
        ({"DeviceID": WIND_DEVICE}, 403, 4030, WIND_DEVICE),
        ({"DeviceID": [ADA_DEVICE, WIND_DEVICE]}, 403, 4030, WIND_DEVICE),
        ({"DeviceID": [ADA_DEVICE, "0000000000000001"]}, 404, 4040, "0000000000000001"),
        ({"DeviceID": [ADA_DEVICE, "x"]}, 400, 4002, "DeviceID"),
        ({"DeviceID": [ADA_DEVICE, None]}, 400, 4002, "DeviceID"),
        ({"DistributorID": D2}, 403, 4030, D2),
        ({"DistributorID": "{x}"}, 400, 4003, "DistributorID"),
        ({"ID": "x"}, 400, 4003, "ID"),
        ({"FromUTCDate": "yesterday"}, 400, 4004, "FromUTCDate"),
        ({"ToUTCDate": 1.5}, 400, 4004, "ToUTCDate"),
        ({"ToUTCDate": "2024-13-01"}, 400, 4004, "ToUTCDate"),
        ({"ToUTCDate": 10**20}, 400, 4004, "ToUTCDate"),
        ({"FromUTCDate": "0001-01-01T00:00:00+10:00"}, 400, 4004, "FromUTCDate"),
        ({"PageIndex": -1}, 400, 4006, "PageIndex"),
        ({"PageSize": "many"}, 400, 4006, "PageSize"),
    ],
)
def test_what_is_wrong_is_told_in_the_envelope(
    sunco: httpx.Client, changed: dict[str, Any], status: int, number: int, told: str
) -> None:
    answer = sunco.post(PATH, json={**DAY, **changed})
    body = answer.json()
    assert (answer.status_code, body["ResponseCode"], body["ErrorNumber"]) == (status, status, number)
    assert told in body["ErrorMessage"]
    assert (body["Measurements"], body["Count"], body["Pages"], body["PagesIndex"]) == ([], 0, 0, 0)


@pytest.mark.parametrize("guid", ["B8A7F2DE-5C3E-4A5B-9D4F-3F0C6A7BE119", "{b8a7f2de5c3e4a5b9d4f3f0c6a7be119}"])
def test_an_id_names_the_file(sunco: httpx.Client, guid: str) -> None:
    name = "b8a7f2de-5c3e-4a5b-9d4f-3f0c6a7be119"
    answer = sunco.post(PATH, json={**DAY, "ID": guid})
    assert answer.headers["Content-Disposition"] == f'inline; filename="{name}.json"'
    answer = sunco.post(PATH, json={**DAY, "ID": guid}, headers={"Accept": "application/xml"})
    assert answer.headers["Content-Disposition"] == f'inline; filename="{name}.xml"'
    assert "Content-Disposition" not in sunco.post(PATH, json={**DAY, "ID": NIL}).headers


def test_measurements_come_in_xml(sunco: httpx.Client) -> None:
    body = (
        "<CarbonTrack.Data.MeasurementRequestModel>"
        f"<ID>{NIL}</ID><DeviceID>{ADA_DEVICE}</DeviceID><DeviceID>{BULK_DEVICE}</DeviceID><DistributorID>{NIL}</DistributorID>"
        "<FromUTCDate>2024-01-01T00:30:00Z</FromUTCDate><ToUTCDate>2024-01-01T00:30:00Z</ToUTCDate><PageIndex>0</PageIndex>"
        "</CarbonTrack.Data.MeasurementRequestModel>"
    )
    headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
    answer = sunco.post(PATH, content=body, headers=headers)
    assert "<CarbonTrack.Data.MeasurementResponsesModel><Measurements><ID>" in answer.text
    assert "<PowerUsage>1.20</PowerUsage>" in answer.text
    assert "Temperature1" not in answer.text
    assert "</Measurements><Count>1</Count><Pages>1</Pages><PagesIndex>0</PagesIndex>" in answer.text


def test_an_error_in_xml_has_the_replys_own_root(sunco: httpx.Client) -> None:
    answer = sunco.post(PATH, json={"DeviceID": "12"}, headers={"Accept": "application/xml"})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert "<CarbonTrack.Data.MeasurementResponsesModel><Count>0</Count>" in answer.text
    assert "<ErrorNumber>4002</ErrorNumber>" in answer.text


T0 = datetime(2024, 1, 1, 6, tzinfo=UTC)
MIDNIGHTS = [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 5)]
LAST = timedelta(days=1) - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("skip", "size", "first", "last", "left"),
    [
        (0, 5, T0, MIDNIGHTS[0] + LAST, 0),
        (0, 11, T0, MIDNIGHTS[1] + LAST, 0),
        (9, 2, T0, MIDNIGHTS[1] + LAST, 9),
        (10, 5, MIDNIGHTS[1], MIDNIGHTS[1] + LAST, 0),
        (29, 1, MIDNIGHTS[1], MIDNIGHTS[1] + LAST, 19),
        (30, 99, MIDNIGHTS[3], T0 + timedelta(days=3), 0),
        (25, 10, MIDNIGHTS[1], T0 + timedelta(days=3), 15),
    ],
)
def test_a_page_is_looked_for_on_its_own_days(skip: int, size: int, first: datetime, last: datetime, left: int) -> None:
    days = [(MIDNIGHTS[0], 10), (MIDNIGHTS[1], 20), (MIDNIGHTS[3], 5)]
    assert Span(T0, T0 + timedelta(days=3), skip).narrowed(days, size) == Span(first, last, left)
