"""test-status, batch-status, test-search, test-trace, limits and meter-types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mts_common.catalogue import CATALOGUE
from mts_gateway import queries, refusals
from mts_gateway.reading import Reader
from mts_gateway.render import choose_dialect
from mts_gateway.settings import Limits
from mts_gateway.web import Endpoint, Request


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of the API. `now` tells the time in UTC."""

    reader: Reader
    limits: Limits
    now: Callable[[], datetime]

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return (
            Endpoint("GET", "/MTS/test-status", "mts", self.test_status),
            Endpoint("GET", "/MTS/batch-status", "mts", self.batch_status),
            Endpoint("GET", "/MTS/test-search", "mts", self.test_search),
            Endpoint("GET", "/MTS/test-trace", "mts", self.test_trace),
            Endpoint("GET", "/MTS/limits", "mts", self.show_limits),
            Endpoint("GET", "/MTS/meter-types", "mts", self.show_meter_types),
        )

    async def test_status(self, request: Request) -> object:
        """All that is known of a test."""
        test_id = _read_id(queries.query_test_id, request)
        dialect = choose_dialect(request.headers("accept"), request.caller.dialect)
        return await self.reader.test_status(request.caller.client_id, test_id, dialect)

    async def batch_status(self, request: Request) -> object:
        """A summary of each test of a batch."""
        batch_id = _read_id(queries.query_batch_id, request)
        return await self.reader.batch_status(request.caller.client_id, batch_id)

    async def test_search(self, request: Request) -> object:
        """The tests that match."""
        faults: list[str] = []
        search = queries.query_search(request.query, self.limits, self.now(), faults)
        if search is None:
            raise refusals.bad_request(*faults)
        return await self.reader.search(request.caller.client_id, search)

    async def test_trace(self, request: Request) -> object:
        """What went over the wire in each attempt at an own test."""
        return await self.reader.own_trace(request.caller.client_id, _read_id(queries.query_test_id, request))

    async def show_limits(self, _request: Request) -> object:
        """What the client is held to."""
        return {
            "callsPerWindow": self.limits.calls_per_window,
            "windowSeconds": self.limits.window_seconds,
            "maxBatchTests": self.limits.max_batch_tests,
            "maxSurveyDays": self.limits.max_survey_days,
            "maxSearchDays": self.limits.max_search_days,
            "maxSearchLimit": self.limits.max_search_limit,
            "defaultSearchLimit": self.limits.default_search_limit,
            "maxBodyBytes": self.limits.max_body_bytes,
        }

    async def show_meter_types(self, _request: Request) -> object:
        """The catalogue."""
        return [
            {"meterType": meter.name, "transports": list(meter.transports), "supported": meter.supported}
            for meter in CATALOGUE.values()
        ]


def _read_id(read: Callable[[bytes, list[str]], int | None], request: Request) -> int:
    faults: list[str] = []
    found = read(request.query, faults)
    if found is None or faults:
        raise refusals.bad_request(*faults)
    return found
