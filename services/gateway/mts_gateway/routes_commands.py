"""test-request, batch-request, test-cancel and batch-cancel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

from fastapi import APIRouter

from mts_common import telemetry
from mts_gateway import queries, refusals
from mts_gateway.accept import Acceptor, Order
from mts_gateway.admission import Caller
from mts_gateway.cancel import Canceller
from mts_gateway.endpoint import ApiRequest, ApiRoute, MtsCaller, apart
from mts_gateway.idempotency import read_key
from mts_gateway.new_test import NewTest, Rules, check_batch, check_test
from mts_gateway.strict_json import parse
from mts_gateway.web import ApiResponse

Check = Callable[[date, list[str], bytes], Sequence[NewTest]]
"""Reads a body received on that day; the tests may be used if no fault was added."""


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of the API. `now` tells the time in UTC."""

    acceptor: Acceptor
    canceller: Canceller
    rules: Rules
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(prefix="/MTS", route_class=ApiRoute)
        router.post("/test-request")(self.test_request)
        router.post("/batch-request")(self.batch_request)
        router.delete("/test-cancel")(self.test_cancel)
        router.delete("/batch-cancel")(self.batch_cancel)
        return router

    async def test_request(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """Accept one test."""
        order = await self._order(request, caller, self._check_test)
        return ApiResponse({"testId": await self.acceptor.accept(order)})

    async def batch_request(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """Accept all tests of a batch, or none."""
        order = await self._order(request, caller, self._check_batch)
        return ApiResponse({"batchId": await self.acceptor.accept(replace(order, as_batch=True))})

    async def test_cancel(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """Cancel a pending test."""
        faults: list[str] = []
        test_id = queries.body_test_id(await request.json(), faults)
        if test_id is None or faults:
            raise refusals.bad_request(*faults)
        await self.canceller.cancel_test(caller.client_id, test_id)
        return ApiResponse({"testId": test_id})

    async def batch_cancel(self, request: ApiRequest, caller: MtsCaller) -> ApiResponse:
        """Cancel the pending tests of a batch."""
        faults: list[str] = []
        wanted = queries.body_batch_cancel(await request.json(), faults)
        if wanted is None or faults:
            raise refusals.bad_request(*faults)
        batch_id, delete_completed = wanted
        count = await self.canceller.cancel_batch(caller.client_id, batch_id, delete_completed=delete_completed)
        return ApiResponse({"batchId": batch_id, "cancelledCount": count})

    async def _order(self, request: ApiRequest, caller: Caller, check: Check) -> Order:
        faults: list[str] = []
        key = read_key(request.headers.getlist("idempotency-key"), faults)
        body = await request.body()
        tests = await apart(partial(check, self.now().date(), faults), body)
        if faults:
            raise refusals.bad_request(*faults)
        return Order(
            client_id=caller.client_id,
            tests=tests,
            key=key,
            digest=b"" if key is None else hashlib.sha256(request.scope["path"].encode() + b"\n" + body).digest(),
            run_windows=caller.run_windows,
            traceparent=telemetry.traceparent(),
        )

    def _check_test(self, today: date, faults: list[str], body: bytes) -> Sequence[NewTest]:
        test = check_test(parse(body), self.rules, today, faults)
        return [] if test is None else [test]

    def _check_batch(self, today: date, faults: list[str], body: bytes) -> Sequence[NewTest]:
        return check_batch(parse(body), self.rules, today, faults)
