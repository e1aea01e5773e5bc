"""The exchange, the queues and who is told what: the one place where they are named.

Events travel over quorum queues bound to one topic exchange by their kind; requests go to classic transient queues
through the default exchange. Publishers declare every queue they feed (`declare` is idempotent), so that no event is
confirmed into nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from mts_common.messages import (
    AttemptFinished,
    AttemptReport,
    AttemptReportPart,
    CallFinished,
    CallGrant,
    CallReleased,
    CallReleasedReply,
    CallWant,
    CancelReply,
    CancelTests,
    DiallerAlive,
    DiallerLease,
    Message,
    ReadingsStored,
    SettleOutcomes,
    SettleOutcomesReply,
    SettleRequests,
    SettleRequestsReply,
    TestCancelled,
    TestFinished,
    TestRequested,
)
from mts_common.operator_messages import (
    ChangeJobs,
    ChangeJobsReply,
    LiftQuarantine,
    LiftQuarantineReply,
    ListDeadLetters,
    ListDeadLettersReply,
    ListJobs,
    ListJobsReply,
    ListLines,
    ListLinesReply,
    RequeueDeadLetters,
    RequeueDeadLettersReply,
)

EXCHANGE = "mts"


@dataclass(frozen=True, slots=True)
class EventQueue:
    """A durable quorum queue and the kinds of event that reach it."""

    name: str
    kinds: tuple[type[Message], ...]

    @property
    def dead(self) -> str:
        """The queue for what its consumer cannot handle: one for each service."""
        return dead_queue(self.name.partition(".")[0])


@dataclass(frozen=True, slots=True)
class RequestQueue:
    """A transient queue on which one kind of request is served, and the kind of its answers."""

    name: str
    kind: type[Message]
    reply: type[Message]


SCHEDULER_REQUESTS = EventQueue("scheduler.requests", (TestRequested,))
SCHEDULER_ATTEMPTS = EventQueue("scheduler.attempts", (AttemptFinished,))
SCHEDULER_CALLS = EventQueue("scheduler.calls", (CallFinished,))
RESULTS_REQUESTS = EventQueue("results.requests", (TestRequested,))
RESULTS_REPORTS = EventQueue("results.reports", (AttemptReport, AttemptReportPart))
RESULTS_CALLS = EventQueue("results.calls", (CallFinished,))
RESULTS_OUTCOMES = EventQueue("results.outcomes", (TestFinished, TestCancelled))
GATEWAY_READINGS = EventQueue("gateway.readings", (ReadingsStored,))

CALL_WANTS = RequestQueue("scheduler.call-want", CallWant, CallGrant)
DIALLER_ALIVES = RequestQueue("scheduler.dialler-alive", DiallerAlive, DiallerLease)
CALL_RELEASES = RequestQueue("scheduler.call-released", CallReleased, CallReleasedReply)
CANCELS = RequestQueue("scheduler.cancel", CancelTests, CancelReply)
SCHEDULER_SETTLES = RequestQueue("scheduler.settle", SettleRequests, SettleRequestsReply)
RESULTS_SETTLES = RequestQueue("results.settle-requests", SettleRequests, SettleRequestsReply)
OUTCOME_SETTLES = RequestQueue("results.settle-outcomes", SettleOutcomes, SettleOutcomesReply)

JOB_LISTS = RequestQueue("scheduler.jobs-list", ListJobs, ListJobsReply)
JOB_CHANGES = RequestQueue("scheduler.jobs-change", ChangeJobs, ChangeJobsReply)
LINE_LISTS = RequestQueue("scheduler.lines-list", ListLines, ListLinesReply)
QUARANTINE_LIFTS = RequestQueue("scheduler.quarantine-lift", LiftQuarantine, LiftQuarantineReply)
SCHEDULER_DEAD = RequestQueue("scheduler.dead-list", ListDeadLetters, ListDeadLettersReply)
SCHEDULER_REQUEUES = RequestQueue("scheduler.dead-requeue", RequeueDeadLetters, RequeueDeadLettersReply)
RESULTS_DEAD = RequestQueue("results.dead-list", ListDeadLetters, ListDeadLettersReply)
RESULTS_REQUEUES = RequestQueue("results.dead-requeue", RequeueDeadLetters, RequeueDeadLettersReply)

EVENT_QUEUES = (
    SCHEDULER_REQUESTS,
    SCHEDULER_ATTEMPTS,
    SCHEDULER_CALLS,
    RESULTS_REQUESTS,
    RESULTS_REPORTS,
    RESULTS_CALLS,
    RESULTS_OUTCOMES,
    GATEWAY_READINGS,
)
REQUEST_QUEUES = (
    CALL_WANTS,
    DIALLER_ALIVES,
    CALL_RELEASES,
    CANCELS,
    SCHEDULER_SETTLES,
    RESULTS_SETTLES,
    OUTCOME_SETTLES,
    JOB_LISTS,
    JOB_CHANGES,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    SCHEDULER_DEAD,
    SCHEDULER_REQUEUES,
    RESULTS_DEAD,
    RESULTS_REQUEUES,
)


def dead_queue(service: str) -> str:
    """The name of a service's dead-letter queue."""
    return f"{service}.dead"


DEAD_QUEUES = tuple(sorted({queue.dead for queue in EVENT_QUEUES}))
