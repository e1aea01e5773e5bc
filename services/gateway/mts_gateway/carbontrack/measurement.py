"""POST /ctapi/Measurement: what was read of devices, interval by interval (carbontrack.md, 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from fastapi import APIRouter, Response

from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.body import read_parameters
from mts_gateway.carbontrack.entities import Entities
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.paging import Page, read_page
from mts_gateway.carbontrack.parameters import Parameters
from mts_gateway.carbontrack.power import fields_of
from mts_gateway.carbontrack.principal import Caller, Principal
from mts_gateway.carbontrack.records import Record, Records
from mts_gateway.carbontrack.reply import MEASUREMENTS, format_of, reply
from mts_gateway.endpoint import ApiRequest, ApiRoute
from mts_gateway.render import show_time

_REQUEST_ROOT = "CarbonTrack.Data.MeasurementRequestModel"
_DEFAULT_SIZE = 500
_DEFAULT_SPAN = timedelta(hours=24)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_RECORD = UUID("b8a7f2de-5c3e-4a5b-9d4f-3f0c6a7be119")
"""The namespace of the records' ids; another one would change them all."""


@dataclass(frozen=True, slots=True)
class _Asked:
    file_id: UUID | None
    devices: list[str]
    distributor: UUID | None
    start: datetime
    end: datetime
    page: Page


@dataclass(frozen=True, slots=True)
class Measurements:
    """The endpoint. `now` tells the time in UTC."""

    entities: Entities
    records: Records
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute)
        router.post("/ctapi/measurement")(self.show_measurements)
        return router

    async def show_measurements(self, request: ApiRequest, caller: Caller) -> Response:
        """A page of the records."""
        asked = self._read(await read_parameters(request, _REQUEST_ROOT))
        devices = await self._devices(caller, asked)
        found = await self.records.find(devices, asked.start, asked.end, asked.page)
        return await asyncio.to_thread(_answer, request, asked, *found)  # a large page is long in the making

    def _read(self, given: Parameters) -> _Asked:
        devices, distributor, file_id = given.device_ids("DeviceID"), given.guid("DistributorID"), given.guid("ID")
        start, end = given.moment("FromUTCDate"), given.moment("ToUTCDate") or self.now()
        if start is None:
            start = max(end, _EARLIEST + _DEFAULT_SPAN) - _DEFAULT_SPAN
        if start > end:
            raise Refusal(envelope.BAD_PERIOD, "The period is not valid.", "FromUTCDate is later than ToUTCDate")
        return _Asked(file_id, devices, distributor, start, end, read_page(given, _DEFAULT_SIZE))

    async def _devices(self, caller: Principal, asked: _Asked) -> list[str]:
        """Those that are named, or all that the caller sees; of one distributor alone if one is named."""
        distributors = await self.entities.distributors(caller, asked.distributor)
        await self.entities.check_devices(caller, asked.devices)
        return await self.entities.devices(distributors, asked.devices)


def _answer(request: ApiRequest, asked: _Asked, count: int, records: Sequence[Record]) -> Response:
    headers = {}
    if asked.file_id is not None:
        ending = format_of(request).name.lower()
        headers["Content-Disposition"] = f'inline; filename="{asked.file_id}.{ending}"'
    body = asked.page.body("Measurements", [_show(record) for record in records], count)
    return reply(request, MEASUREMENTS, body, headers=headers)


def _show(record: Record) -> dict[str, object]:
    starts_at = show_time(record.starts_at)
    return {
        "ID": str(uuid5(_RECORD, record.device_id + starts_at)),
        "DeviceID": record.device_id,
        "RecordDateTime": starts_at,
        **fields_of(record.interval),
    }
