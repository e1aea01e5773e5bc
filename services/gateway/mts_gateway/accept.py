"""Accepting tests: stored with what must be told about them in one transaction, answered after its commit.

Single tests that come in at the same time share a commit; a batch has its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mts_common import database, failpoints, metrics
from mts_common.database import Connection, Pool
from mts_common.messages import RegisteredDevice, RunWindow, TestRequested
from mts_common.outbox import Outbox
from mts_common.security import Vault
from mts_gateway import idempotency, refusals
from mts_gateway.batcher import Batcher
from mts_gateway.idempotency import Binding, Key
from mts_gateway.new_test import NewTest
from mts_gateway.refusals import Refused
from mts_gateway.registry.matching import Sought, find_devices

STORE_SECONDS = 20.0
THREAD_FROM = 50  # from so many tests on, sealing and encoding would hold up the event loop

OUTBOX_ROWS = 500  # written at a time, so that a large batch does not hold up the event loop

_COLUMNS = (
    "test_id",
    "client_id",
    "batch_id",
    "request_reference",
    "immediate",
    "meter_type",
    "remote_address",
    "canonical_address",
    "transport",
    "coms_settings",
    "outstation_address",
    "serial_number",
    "password",
    "survey_days",
    "survey_from",
    "traceparent",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What one request wants accepted: a test, or the tests of a batch. `digest` is the SHA-256 of a keyed request."""

    client_id: int
    tests: Sequence[NewTest]
    as_batch: bool = False
    key: str | None = None
    digest: bytes = b""
    run_windows: tuple[RunWindow, ...] | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An order with the ids it gets if it is accepted."""

    order: Order
    test_ids: Sequence[int]
    batch_id: int | None

    @property
    def sought(self) -> list[Sought]:
        """What the tests say of their meters."""
        return [
            Sought(
                test_id,
                self.order.client_id,
                test.address.canonical,
                test.meter_type,
                test.outstation_address,
                test.serial_number,
            )
            for test_id, test in zip(self.test_ids, self.order.tests, strict=True)
        ]

    @property
    def binding(self) -> Binding:
        """What the order's idempotency key is to stand for."""
        return Binding(self.order.digest, self.test_ids[0] if self.batch_id is None else None, self.batch_id)

    def held(self, bindings: Mapping[Key, Binding]) -> Binding:
        """What the order's idempotency key does stand for; its own binding without a key."""
        return self.binding if self.order.key is None else bindings[self.order.client_id, self.order.key]


class Acceptor:
    """Accepts orders. `run` must be running; `wake` is called after each commit."""

    def __init__(
        self,
        pool: Pool,
        sql: Mapping[str, str],
        outbox: Outbox,
        vault: Vault,
        settle_seconds: float,
        wake: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._sql = sql
        self._outbox = outbox
        self._vault = vault
        self._settle_seconds = settle_seconds
        self._wake = wake
        self._singles: Batcher[Order, int] = Batcher(self._store_singles, most=200, workers=2, waiting=5000)
        self._batches = asyncio.Semaphore(2)

    async def run(self) -> None:
        """Store until cancelled."""
        await self._singles.run()

    async def accept(self, order: Order) -> int:
        """The id of the test or batch, durably stored. Raises `Refused`, or one of `database.UNAVAILABLE`."""
        if not order.as_batch:
            return await self._singles.submit(order)
        async with asyncio.timeout(STORE_SECONDS), self._batches:
            (answer,) = await self._store([order])
        if isinstance(answer, Refused):
            raise answer
        return answer

    async def _store_singles(self, orders: Sequence[Order]) -> Sequence[int | Exception]:
        """A fault of one order must not be the fault of those that share its commit."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await self._store(orders)
        except database.UNAVAILABLE:
            raise
        except Exception:
            if len(orders) == 1:
                raise
        return [await self._store_alone(order) for order in orders]

    async def _store_alone(self, order: Order) -> int | Exception:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return (await self._store([order]))[0]
        except Exception as error:
            return error

    async def _store(self, orders: Sequence[Order]) -> list[int | Refused]:
        async with database.transaction(self._pool) as connection:
            received_at, placed = await self._reserve(connection, orders)
            bindings = await idempotency.bind(connection, self._sql, _wanted(placed))
            new = [one for one in placed if one.held(bindings) == one.binding]
            if new:
                await self._insert(connection, new, received_at)
            failpoints.reach("gateway.accepting")
        failpoints.reach("gateway.accepted")
        self._wake()
        _measure(new)
        return [_answer(one, one.held(bindings)) for one in placed]

    async def _reserve(self, connection: Connection, orders: Sequence[Order]) -> tuple[datetime, list[Placed]]:
        tests, batches = sum(len(order.tests) for order in orders), sum(order.as_batch for order in orders)
        (row,) = await connection.fetch(self._sql["reserve"], tests, batches)
        test_ids, batch_ids = iter(row["test_ids"]), iter(row["batch_ids"])
        placed = [
            Placed(order, [next(test_ids) for _ in order.tests], next(batch_ids) if order.as_batch else None)
            for order in orders
        ]
        return row["received_at"].astimezone(UTC), placed

    async def _insert(self, connection: Connection, placed: Sequence[Placed], received_at: datetime) -> None:
        batches = [one for one in placed if one.batch_id is not None]
        if batches:
            ids, clients = [one.batch_id for one in batches], [one.order.client_id for one in batches]
            await connection.execute(self._sql["insert_batches"], ids, clients, received_at)
        devices = await find_devices(connection, [sought for one in placed for sought in one.sought])
        messages, columns = await self._prepare(placed, devices, received_at)
        await connection.execute(self._sql["insert_tests"], *columns, received_at, self._settle_seconds)
        for start in range(0, len(messages), OUTBOX_ROWS):
            await self._outbox.put(connection, messages[start : start + OUTBOX_ROWS])

    async def _prepare(
        self, placed: Sequence[Placed], devices: Mapping[int, RegisteredDevice], received_at: datetime
    ) -> tuple[list[TestRequested], list[list[object]]]:
        """What is told, and the same as the columns of the statement."""
        if sum(len(one.test_ids) for one in placed) < THREAD_FROM:
            return self._encode(placed, devices, received_at)
        return await asyncio.to_thread(self._encode, placed, devices, received_at)

    def _encode(
        self, placed: Sequence[Placed], devices: Mapping[int, RegisteredDevice], received_at: datetime
    ) -> tuple[list[TestRequested], list[list[object]]]:
        messages = [
            self._message(one, test_id, test, devices.get(test_id), received_at)
            for one in placed
            for test_id, test in zip(one.test_ids, one.order.tests, strict=True)
        ]
        columns: list[list[object]] = [[getattr(message, name) for message in messages] for name in _COLUMNS]
        columns.append([test.survey_date for one in placed for test in one.order.tests])
        columns.append([write_windows(message.run_windows) for message in messages])
        columns.append([message.device.device_id if message.device else None for message in messages])
        return messages, columns

    def _message(
        self, one: Placed, test_id: int, test: NewTest, device: RegisteredDevice | None, received_at: datetime
    ) -> TestRequested:
        return TestRequested(
            test_id=test_id,
            client_id=one.order.client_id,
            batch_id=one.batch_id,
            request_reference=test.request_reference,
            received_at=received_at,
            immediate=test.immediate,
            meter_type=test.meter_type,
            remote_address=test.address.text,
            canonical_address=test.address.canonical,
            transport=test.address.transport,
            coms_settings=test.coms_settings,
            outstation_address=test.outstation_address,
            serial_number=test.serial_number,
            password=None if test.password is None else self._vault.seal(test.password),
            survey_days=test.survey_days,
            survey_from=test.survey_from(received_at.date()),
            run_windows=one.order.run_windows,
            device=device,
            traceparent=one.order.traceparent,
        )


def _measure(placed: Sequence[Placed]) -> None:
    for one in placed:
        kinds = Counter((test.immediate, test.address.transport) for test in one.order.tests)
        for (immediate, transport), count in kinds.items():
            metrics.ACCEPTED.add(
                count,
                {
                    "mts.client_id": str(one.order.client_id),
                    "mts.lane": "immediate" if immediate else "overnight",
                    "mts.transport": transport,
                },
            )


def write_windows(windows: Sequence[RunWindow] | None) -> list[object] | None:
    """Run windows as they stand in the database."""
    return None if windows is None else [window.model_dump(mode="json") for window in windows]


def _wanted(placed: Sequence[Placed]) -> dict[Key, Binding]:
    """The first order with a key is the one to bind it."""
    wanted: dict[Key, Binding] = {}
    for one in placed:
        if one.order.key is not None:
            wanted.setdefault((one.order.client_id, one.order.key), one.binding)
    return wanted


def _answer(one: Placed, held: Binding) -> int | Refused:
    if held.digest != one.order.digest or held.answer is None:
        return refusals.bad_request("Idempotency-Key was used before with another request")
    return held.answer
