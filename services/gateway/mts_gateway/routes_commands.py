"""test-request, batch-request, test-cancel and batch-cancel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from mts_common import telemetry
from mts_gateway import queries, refusals
from mts_gateway.accept import Acceptor, Order
from mts_gateway.cancel import Canceller
from mts_gateway.idempotency import read_key
from mts_gateway.new_test import NewTest, Rules, check_batch, check_test
from mts_gateway.strict_json import parse
from mts_gateway.web import Endpoint, Request, apart

Check = Callable[[date, list[str], bytes], Sequence[NewTest]]
"""Reads a body received on that day; the tests may be used if no fault was added."""


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of the API. `now` tells the time in UTC."""

    acceptor: Acceptor
    canceller: Canceller
    rules: Rules
    now: Callable[[], datetime]

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return (
            Endpoint("POST", "/MTS/test-request", "mts", self.test_request),
            Endpoint("POST", "/MTS/batch-request", "mts", self.batch_request),
            Endpoint("DELETE", "/MTS/test-cancel", "mts", self.test_cancel),
            Endpoint("DELETE", "/MTS/batch-cancel", "mts", self.batch_cancel),
        )

    async def test_request(self, request: Request) -> object:
        """Accept one test."""
        return {"testId": await self._accept(request, self._check_test)}

    async def batch_request(self, request: Request) -> object:
        """Accept all tests of a batch, or none."""
        return {"batchId": await self._accept(request, self._check_batch, as_batch=True)}

    async def test_cancel(self, request: Request) -> object:
        """Cancel a pending test."""
        faults: list[str] = []
        test_id = queries.body_test_id(await request.json(), faults)
        if test_id is None or faults:
            raise refusals.bad_request(*faults)
        await self.canceller.cancel_test(request.caller.client_id, test_id)
        return {"testId": test_id}

    async def batch_cancel(self, request: Request) -> object:
        """Cancel the pending tests of a batch."""
        faults: list[str] = []
        wanted = queries.body_batch_cancel(await request.json(), faults)
        if wanted is None or faults:
            raise refusals.bad_request(*faults)
        batch_id, delete_completed = wanted
        count = await self.canceller.cancel_batch(request.caller.client_id, batch_id, delete_completed=delete_completed)
        return {"batchId": batch_id, "cancelledCount": count}

    async def _accept(self, request: Request, check: Check, *, as_batch: bool = False) -> int:
        faults: list[str] = []
        key = read_key(request.headers("idempotency-key"), faults)
        body = await request.body()
        tests = await apart(partial(check, self.now().date(), faults), body)
        if faults:
            raise refusals.bad_request(*faults)
        order = Order(
            client_id=request.caller.client_id,
            tests=tests,
            as_batch=as_batch,
            key=key,
            digest=b"" if key is None else hashlib.sha256(request.path.encode() + b"\n" + body).digest(),
            run_windows=request.caller.run_windows,
            traceparent=telemetry.traceparent(),
        )
        return await self.acceptor.accept(order)

    def _check_test(self, today: date, faults: list[str], body: bytes) -> Sequence[NewTest]:
        test = check_test(parse(body), self.rules, today, faults)
        return [] if test is None else [test]

    def _check_batch(self, today: date, faults: list[str], body: bytes) -> Sequence[NewTest]:
        return check_batch(parse(body), self.rules, today, faults)
