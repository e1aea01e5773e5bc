"""Every metric of MTS. The list is the manual: name, unit and meaning of each, and the labels of its values.

Names follow OpenTelemetry's semantic conventions where there is one, and begin with `mts.` where there is none.
Prometheus shows them with underscores, their unit and, for counts, `_total` (`exposition.prometheus_name`). Labels take
few values each: no test, address or number is one. A client is, on counts that its owner asks for, because clients are
made by hand. Where several replicas read one database, each shows the whole of it: take the maximum, not the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Never, TypeAlias

from mts_common.instruments import LONG_SECONDS, SHORT_SECONDS, Counter, Foreign, Gauge, Histogram, Instrument

Client: TypeAlias = Literal["mts.client_id"]
Failure: TypeAlias = Literal["mts.failure"]
Lane: TypeAlias = Literal["mts.lane"]
Line: TypeAlias = Literal["mts.line"]
Outcome: TypeAlias = Literal["mts.outcome"]
Schema: TypeAlias = Literal["mts.schema"]
State: TypeAlias = Literal["mts.state"]
Table: TypeAlias = Literal["mts.table"]
Told: TypeAlias = Literal["mts.told"]
Transport: TypeAlias = Literal["mts.transport"]
Messaging: TypeAlias = Literal["messaging.destination.name", "messaging.operation.name", "error.type"]

# --- accepting: gateway

ACCEPTED: Counter[Client | Lane | Transport] = Counter(
    "mts.tests.accepted",
    "{test}",
    "Tests stored, and answered with their ids",
    ("mts.client_id", "mts.lane", "mts.transport"),
)
RATE_LIMITED: Counter[Client] = Counter(
    "mts.calls.rate_limited", "{call}", "Calls of the API refused because the client had none left", ("mts.client_id",)
)
UNSETTLED_AGE: Gauge[Schema] = Gauge(
    "mts.unsettled.age",
    "s",
    "Age of the oldest hand-over of which it is not known that it arrived: a test (gateway), an end (scheduler)",
    ("mts.schema",),
)
TOLD_AGAIN: Counter[Told] = Counter(
    "mts.settling.told_again",
    "{test}",
    "Tests of which settling found that they, their end or their report had not arrived, and that were told again",
    ("mts.told",),
)

# --- waiting and granting: scheduler

HELD: Gauge[Lane | Transport] = Gauge(
    "mts.tests.held", "{test}", "Tests that wait, due or not", ("mts.lane", "mts.transport")
)
ON_HOLD: Gauge[Lane | Transport] = Gauge(
    "mts.tests.on_hold", "{test}", "Those of them that an operator holds", ("mts.lane", "mts.transport")
)
DUE: Gauge[Lane | Transport] = Gauge(
    "mts.tests.due",
    "{test}",
    "Tests that could be dialled now: their pause is over, their run window open, their address free",
    ("mts.lane", "mts.transport"),
)
DUE_AGE: Gauge[Lane | Transport] = Gauge(
    "mts.tests.due.age", "s", "How long the test that is due longest has been due", ("mts.lane", "mts.transport")
)
HELD_OF_CLIENT: Gauge[Client] = Gauge(
    "mts.tests.held.by_client",
    "{test}",
    "Tests that wait, of the clients with the most; all others together are client `other`",
    ("mts.client_id",),
)
GRANT_LAG: Histogram[Lane | Transport] = Histogram(
    "mts.grant.lag",
    "s",
    "From when a test was due until it was handed to a dialler",
    ("mts.lane", "mts.transport"),
    bounds=(0.1, 0.25, 0.5, *LONG_SECONDS),
)
RUNNING_CALLS: Gauge[Transport] = Gauge(
    "mts.calls.running",
    "{call}",
    "Calls granted and not ended: the busy lines, as the scheduler knows them",
    ("mts.transport",),
)
ORPHANED_CALLS: Gauge[Transport] = Gauge(
    "mts.calls.orphaned", "{call}", "Running calls whose dialler has no lease any more", ("mts.transport",)
)
LOST_CALLS: Counter[Never] = Counter(
    "mts.calls.lost", "{call}", "Calls ended because their dialler's lease ran out or it forgot them"
)
LEASES: Gauge[Transport] = Gauge("mts.leases", "{dialler}", "Diallers with a lease", ("mts.transport",))
LEASED_LINES: Gauge[Transport] = Gauge(
    "mts.leases.lines", "{line}", "Lines of the diallers with a lease, in service or not", ("mts.transport",)
)
QUARANTINED: Gauge[Never] = Gauge("mts.addresses.quarantined", "{address}", "Addresses left alone after a lost call")
COMPLETED: Counter[Client | Lane | Outcome | Failure] = Counter(
    "mts.tests.completed",
    "{test}",
    "Tests that have had their final word, with the failure that ended them, if any",
    ("mts.client_id", "mts.lane", "mts.outcome", "mts.failure"),
)
REPEATED: Counter[Failure] = Counter(
    "mts.tests.repeated", "{test}", "Tests held again after an attempt that failed", ("mts.failure",)
)
TEST_DURATION: Histogram[Lane] = Histogram(
    "mts.test.duration", "s", "From accepting a test to its final word", ("mts.lane",), bounds=LONG_SECONDS
)

# --- calling: dialler

ACTIVE_CALLS: Gauge[Transport] = Gauge(
    "mts.calls.active", "{call}", "Calls that this dialler carries out", ("mts.transport",)
)
LINES: Gauge[Transport | State] = Gauge(
    "mts.lines",
    "{line}",
    "Lines of this dialler that are free, busy, or out of service because they rest after a fault",
    ("mts.transport", "mts.state"),
)
LINE_FIT: Gauge[Line] = Gauge(
    "mts.line.fit", "{line}", "1 = the line of the bank is in service, 0 = it rests", ("mts.line",)
)
LINE_FAULTS: Counter[Line] = Counter(
    "mts.line.faults", "{fault}", "Times that a line of the bank was put out of service", ("mts.line",)
)
LINE_SIGNAL: Gauge[Line] = Gauge(
    "mts.line.signal", "dBm", "Signal strength of a GSM line at its last set-up", ("mts.line",)
)
CALL_DURATION: Histogram[Transport] = Histogram(
    "mts.call.duration", "s", "From dialling to the line being down", ("mts.transport",), bounds=LONG_SECONDS
)
ATTEMPTS: Counter[Transport | Outcome | Failure] = Counter(
    "mts.attempts",
    "{attempt}",
    "Attempts at tests by how they ended, with the kind of failure, if any",
    ("mts.transport", "mts.outcome", "mts.failure"),
)
ATTEMPT_DURATION: Histogram[Literal["mts.meter_type"]] = Histogram(
    "mts.attempt.duration", "s", "Reading one meter, dialling included", ("mts.meter_type",), bounds=LONG_SECONDS
)

# --- results

RESULT_LAG: Histogram[Never] = Histogram(
    "mts.result.lag",
    "s",
    "From the final word on a test to its being readable",
    bounds=(*SHORT_SECONDS, 30.0, 60.0, 300.0, 1800.0),
)
LATE_ITEMS: Counter[Never] = Counter(
    "mts.results.late", "{item}", "Messages about tests that are no longer kept, counted and dropped"
)

# --- messages: all services

SENT: Counter[Messaging] = Counter(
    "messaging.client.sent.messages",
    "{message}",
    "Messages given to the broker, by kind; with error.type those it did not confirm",
    ("messaging.destination.name", "error.type"),
)
CONSUMED: Counter[Messaging] = Counter(
    "messaging.client.consumed.messages",
    "{message}",
    "Messages taken from a queue",
    ("messaging.destination.name",),
)
PROCESSING: Histogram[Messaging] = Histogram(
    "messaging.process.duration",
    "s",
    "Handling one batch of a queue's messages, repeats included",
    ("messaging.destination.name", "error.type"),
    bounds=(*SHORT_SECONDS, 30.0, 120.0),
)
ASKING: Histogram[Messaging] = Histogram(
    "messaging.client.operation.duration",
    "s",
    "Asking another service until its answer; with error.type those that got none",
    ("messaging.destination.name", "messaging.operation.name", "error.type"),
    bounds=SHORT_SECONDS,
)
DEAD_LETTERS: Counter[Messaging] = Counter(
    "mts.messages.dead",
    "{message}",
    "Messages of a queue that were put aside, each time that it happened",
    ("messaging.destination.name",),
)
DEAD_LETTERS_KEPT: Gauge[Messaging] = Gauge(
    "mts.dead_letters",
    "{message}",
    "Messages of a queue that were put aside and that nobody has put back or removed",
    ("messaging.destination.name",),
)
OUTBOX_SIZE: Gauge[Schema] = Gauge(
    "mts.outbox.size", "{row}", "Rows that wait to be told, counted up to 100 000", ("mts.schema",)
)
OUTBOX_AGE: Gauge[Schema] = Gauge("mts.outbox.age", "s", "How long the oldest of them has waited", ("mts.schema",))

# --- database: services that own a schema

CONNECTIONS: Gauge[Literal["db.client.connection.pool.name", "db.client.connection.state"]] = Gauge(
    "db.client.connection.count",
    "{connection}",
    "Database connections of this process, idle and used",
    ("db.client.connection.pool.name", "db.client.connection.state"),
)
LEVELS_DURATION: Gauge[Schema] = Gauge(
    "mts.levels.duration", "s", "How long the last reading of the levels in the database took", ("mts.schema",)
)
TABLE_SIZE: Gauge[Schema | Table | Literal["mts.part"]] = Gauge(
    "mts.table.size",
    "By",
    "Disk space of a table, its rows and its indexes apart",
    ("mts.schema", "mts.table", "mts.part"),
)
TABLE_ROWS: Gauge[Schema | Table | State] = Gauge(
    "mts.table.rows",
    "{row}",
    "Rows of a table as the server estimates them: live, and dead ones that VACUUM has not removed",
    ("mts.schema", "mts.table", "mts.state"),
)
TABLE_VACUUM_AGE: Gauge[Schema | Table] = Gauge(
    "mts.table.vacuum.age", "s", "Since (auto)vacuum last went over any part of a table", ("mts.schema", "mts.table")
)
TABLE_FREEZE_AGE: Gauge[Schema | Table] = Gauge(
    "mts.table.freeze.age",
    "{transaction}",
    "Transactions since the oldest row of a table that is not frozen; the server stops at 2 000 000 000",
    ("mts.schema", "mts.table"),
)
INVALID_INDEXES: Gauge[Schema] = Gauge(
    "mts.indexes.invalid", "{index}", "Indexes that no query may use, because building them failed", ("mts.schema",)
)

# --- recorded by FastAPI

_HTTP = ("http.request.method", "url.scheme", "network.protocol.version")
HTTP_DURATION: Foreign[str] = Foreign(
    "http.server.request.duration",
    "s",
    "Answering a request of the API",
    (*_HTTP, "http.route", "http.response.status_code", "error.type"),
)
HTTP_ACTIVE: Foreign[str] = Foreign(
    "http.server.active_requests", "{request}", "Requests of the API under way", _HTTP[:2]
)

ALL: Mapping[str, Instrument[Any]] = MappingProxyType(
    {each.name: each for each in list(globals().values()) if isinstance(each, Instrument)}
)
"""Every instrument by its name."""
