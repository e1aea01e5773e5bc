"""A migrated database, the handlers over it, and the messages of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import pytest

from mts_common.database import Pool, migrate, open_pool
from mts_common.messages import (
    AttemptReport,
    AttemptTimes,
    CallFinished,
    MeterData,
    Outcome,
    Section,
    SectionResult,
    SectionState,
    TestAttempt,
    TestCancelled,
    TestFinished,
    TestRequested,
    Transport,
)
from mts_results.ingest import Ingest
from mts_results.partitions import Partitions

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = UUID(int=1)


class Database(Protocol):
    def url(self, role: str) -> str: ...


class Clock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    url = database.url("results")
    await migrate(url, "results", "mts_results")
    async with open_pool(url, "test") as pool:
        yield pool


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def partitions(pool: Pool) -> Partitions:
    return Partitions(pool, 1000)


@pytest.fixture
def ingest(pool: Pool, partitions: Partitions, clock: Clock) -> Ingest:
    return Ingest(pool, partitions, clock)


@pytest.fixture
def view(pool: Pool) -> Callable[[str, int], Awaitable[dict[str, Any] | None]]:
    """A test's row of a published view, without its id; None if it has none."""

    async def read(name: str, test_id: int) -> dict[str, Any] | None:
        row = await pool.fetchrow(f"SELECT * FROM results_v1.{name} WHERE test_id = $1", test_id)  # noqa: S608
        return {key: value for key, value in row.items() if key != "test_id"} if row else None

    return read


@pytest.fixture
def requested() -> Callable[..., TestRequested]:
    def make(test_id: int, **changes: Any) -> TestRequested:
        fields: dict[str, Any] = {
            "test_id": test_id,
            "client_id": 7,
            "batch_id": 70,
            "request_reference": "MPAN 1",
            "meter_type": "ELSTERA1700",
            "remote_address": "Meter.Example:1153",
            "canonical_address": "meter.example:1153",
            "password": "sealed",
            "received_at": START - timedelta(minutes=5),
            "immediate": True,
            "transport": Transport.TCP,
        }
        return TestRequested(**fields | changes)

    return make


@pytest.fixture
def report() -> Callable[..., AttemptReport]:
    """A report of an attempt that ran an hour per attempt after START; `read` gives data by section."""

    def make(
        test_id: int, attempt: int, states: dict[Section, SectionState] | None = None, **changes: Any
    ) -> AttemptReport:
        began = START + timedelta(hours=attempt)
        fields: dict[str, Any] = {
            "call_id": CALL,
            "test_id": test_id,
            "attempt": attempt,
            "client_id": 7,
            "meter_type": "ELSTERA1700",
            "outcome": Outcome.SUCCESS,
            "times": AttemptTimes(
                started_at=began,
                connection_started_at=began + timedelta(seconds=2),
                ended_at=began + timedelta(seconds=60),
            ),
            "sections": {section: SectionResult(state=state) for section, state in (states or {}).items()},
            "wire_trace": b"\x1f\x8btrace",
        }
        return AttemptReport(**fields | changes)

    return make


@pytest.fixture
def call() -> Callable[..., CallFinished]:
    """The end of a call that carried one attempt of each test."""

    def make(attempt: int, *test_ids: int) -> CallFinished:
        began = START + timedelta(hours=attempt)
        return CallFinished(
            call_id=CALL,
            dialler="d1",
            tests=tuple(TestAttempt(test_id=test_id, attempt=attempt) for test_id in test_ids),
            connection_started_at=began + timedelta(seconds=1),
            connection_ended_at=began + timedelta(seconds=90),
            ended_at=began + timedelta(seconds=91),
        )

    return make


@pytest.fixture
def finished() -> Callable[..., TestFinished]:
    def make(test_id: int, attempt: int | None = 1, **changes: Any) -> TestFinished:
        fields: dict[str, Any] = {
            "test_id": test_id,
            "attempt": attempt,
            "outcome": Outcome.SUCCESS,
            "finished_at": START + timedelta(days=1),
        }
        return TestFinished(**fields | changes)

    return make


@pytest.fixture
def cancelled() -> Callable[..., TestCancelled]:
    def make(test_id: int) -> TestCancelled:
        return TestCancelled(test_id=test_id, cancelled_at=START)

    return make


@pytest.fixture
def energy() -> Callable[..., MeterData]:
    """Data with one register of a value."""

    def make(value: str, **changes: Any) -> MeterData:
        register = {
            "category": "Energy",
            "name": "kWh Import",
            "number": Decimal(value),
            "units": "kWh",
            "read_at": START,
        }
        return MeterData.model_validate({"registers": [register], **changes})

    return make
