"""test-status, batch-status, test-search, test-trace, limits and meter-types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter

from mts_common.catalogue import CATALOGUE
from mts_gateway import queries, refusals
from mts_gateway.endpoint import MTS, ApiRequest, ApiRoute, MtsCaller
from mts_gateway.reading import Reader
from mts_gateway.render import choose_dialect
from mts_gateway.settings import Limits
from mts_gateway.web import ApiResponse


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of the API. `now` tells the time in UTC."""

    reader: Reader
    limits: Limits
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(prefix="/MTS", route_class=ApiRoute)
        router.get("/test-status")(self.test_status)
        router.get("/batch-status")(self.batch_status)
        router.get("/test-search")(self.test_search)
        router.get("/test-trace")(self.test_trace)
        router.get("/limits", dependencies=[MTS])(self.show_limits)
        router.get("/meter-types", dependencies=[MTS])(self.show_meter_types)
        return router

    async def test_status(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """All that is known of a test."""
        test_id = _read_id(queries.query_test_id, request)
        dialect = choose_dialect(request.headers.getlist("accept"), caller.dialect)
        return ApiResponse(await self.reader.test_status(caller.client_id, test_id, dialect))

    async def batch_status(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """A summary of each test of a batch."""
        batch_id = _read_id(queries.query_batch_id, request)
        return ApiResponse(await self.reader.batch_status(caller.client_id, batch_id))

    async def test_search(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """The tests that match."""
        faults: list[str] = []
        search = queries.query_search(request.query, self.limits, self.now(), faults)
        if search is None:
            raise refusals.bad_request(*faults)
        return ApiResponse(await self.reader.search(caller.client_id, search))

    async def test_trace(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """What went over the wire in each attempt at an own test."""
        return ApiResponse(await self.reader.own_trace(caller.client_id, _read_id(queries.query_test_id, request)))

    async def show_limits(self) -> ApiResponse:
        """What the client is held to."""
        limits = {
            "callsPerWindow": self.limits.calls_per_window,
            "windowSeconds": self.limits.window_seconds,
            "maxBatchTests": self.limits.max_batch_tests,
            "maxSurveyDays": self.limits.max_survey_days,
            "maxSearchDays": self.limits.max_search_days,
            "maxSearchLimit": self.limits.max_search_limit,
            "defaultSearchLimit": self.limits.default_search_limit,
            "maxBodyBytes": self.limits.max_body_bytes,
        }
        return ApiResponse(limits)

    async def show_meter_types(self) -> ApiResponse:
        """The catalogue."""
        types = [
            {"meterType": meter.name, "transports": list(meter.transports), "supported": meter.supported}
            for meter in CATALOGUE.values()
        ]
        return ApiResponse(types)


def _read_id(read: Callable[[bytes, list[str]], int | None], request: ApiRequest) -> int:
    faults: list[str] = []
    found = read(request.query, faults)
    if found is None or faults:
        raise refusals.bad_request(*faults)
    return found
