"""POST /ctapi/Device: installed meters (carbontrack.md, 6)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from mts_gateway.carbontrack.body import read_parameters
from mts_gateway.carbontrack.entities import Entities
from mts_gateway.carbontrack.paging import read_page
from mts_gateway.carbontrack.principal import Caller
from mts_gateway.carbontrack.reading import Reading
from mts_gateway.carbontrack.reply import DEVICES, reply
from mts_gateway.endpoint import ApiRequest, ApiRoute
from mts_gateway.render import Row, show_time

_REQUEST_ROOT = "CarbonTrack.Data.DeviceRequestModel"
_DEFAULT_SIZE = 100
_GENERATION = "kWh Generation"


@dataclass(frozen=True, slots=True)
class Devices:
    """The endpoint. `views` has the statements that read the published views."""

    views: Reading
    entities: Entities

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute)
        router.post("/ctapi/device")(self.show_devices)
        return router

    async def show_devices(self, request: ApiRequest, caller: Caller) -> Response:
        """A page of those that match."""
        given = await read_parameters(request, _REQUEST_ROOT)
        named = given.device_ids("DeviceID")
        distributor = given.guid("DistributorID")
        reference = given.text("CustomerReference")
        registered_only = given.flag("RegisteredOnly")
        page = read_page(given, _DEFAULT_SIZE)
        distributors = await self.entities.distributors(caller, distributor)
        await self.entities.check_devices(caller, named)
        rows = await self.views.fetch(
            "list_devices", distributors, named or None, reference, registered_only, page.size, page.offset
        )
        shown = [_show(row) for row in rows if row["device_id"] is not None]
        return reply(request, DEVICES, page.body("Devices", shown, rows[0]["total"]))


def _show(row: Row) -> dict[str, object]:
    name = _name(row)
    interval = row["interval_seconds"]
    return {
        "DeviceID": row["device_id"],
        "DeviceName": name,
        "CustomerRef": row["account_number"],
        "IsRegistered": row["is_registered"],
        "TimezoneId": row["customer_timezone_id"] if row["timezone_id"] is None else row["timezone_id"],
        "SensorConfig": ",".join(sorted(row["sensors"])),
        "MeasurementConfig": None if interval is None else str(interval),
        "FirmwareVersion": row["firmware"],
        "DeviceStatusUpdateDateTime": _time(row["last_test_end"]),
        "DeviceDataUpdateDateTime": _time(row["newest_reading_at"]),
        "IPAddress": _ip_address(row["remote_address"]),
        "Longitude": row["longitude"],
        "Latitude": row["latitude"],
        "Distance": 0,
        "IsDeviceContainsInverter": _GENERATION in row["sensors"],
        "Weather": {
            "WeatherLocation": None,
            "WeatherTemperature": None,
            "WeatherIcon": None,
            "DeviceName": name,
            "DeviceId": row["device_id"],
        },
        "Controls": [
            {
                "ControlId": relay["controlId"],
                "ControlType": relay["controlType"],
                "IsSwitchEnabled": relay["isSwitchEnabled"],
                "Status": relay["status"],
            }
            for relay in row["relays"]
        ],
    }


def _name(row: Row) -> str | None:
    parts = [part for part in (row["meter_type"], row["serial_number"]) if part]
    return row["label"] or " ".join(parts) or None


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else show_time(moment)


def _ip_address(remote_address: str | None) -> str | None:
    """The host of an address if it is an IP address: `10.0.0.7:4059`, `[fd00::7]:4059`, or without the port."""
    text = remote_address or ""
    host = text if text.count(":") > 1 and not text.startswith("[") else text.rpartition(":")[0] or text
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None
