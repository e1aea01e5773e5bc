"""What operators ask the services and change in them, through the gateway: request/reply, as in `messages`."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from mts_common.messages import FailureKind, Message, Part, Transport


class ListJobs(Message):
    """gateway → scheduler: the tests that wait for a call, by id; of one client, kind, or part of an address."""

    kind = "jobs.list"

    client_id: int | None = None
    immediate: bool | None = None
    on_hold: bool | None = None
    address: str | None = None
    limit: int = Field(default=100, ge=0, le=1000)
    offset: int = Field(default=0, ge=0)


class HeldJob(Part):
    """A test that waits; `ready_at` = not called before, None while an operator holds it."""

    test_id: int
    client_id: int
    meter_type: str
    remote_address: str
    transport: Transport
    immediate: bool
    ready_at: AwareDatetime | None
    attempts: int
    tries: int
    failure: FailureKind | None
    received_at: AwareDatetime


class ListJobsReply(Message):
    """`total` counts all that match."""

    kind = "jobs.list-reply"

    total: int
    jobs: tuple[HeldJob, ...]


class JobChange(StrEnum):
    """What an operator does to tests that wait."""

    HOLD = "hold"  # not called until released
    RELEASE = "release"  # the hold, and any pause after a failure, is over
    RELEASE_NOW = "release_now"  # and an overnight test does not wait for its run window


class ChangeJobs(Message):
    """gateway → scheduler: do this to these tests, as far as they wait."""

    kind = "jobs.change"

    change: JobChange
    test_ids: tuple[int, ...] = Field(max_length=1000)


class ChangeJobsReply(Message):
    """`changed` stand as was asked, be it that they did before; the others do not wait, or are not known."""

    kind = "jobs.change-reply"

    changed: tuple[int, ...]


class ListLines(Message):
    """gateway → scheduler: who holds lines, what runs on them, and which addresses are left alone."""

    kind = "lines.list"

    limit: int = Field(default=1000, ge=0, le=1000)


class DiallerSession(Part):
    """A dialler's lease; `lines` as it last told, `calls` those that it is in."""

    dialler: str
    transport: Transport
    lines: int
    calls: int
    lease_until: AwareDatetime


class RunningCall(Part):
    call_id: UUID
    dialler: str
    client_id: int
    remote_address: str
    transport: Transport
    started_at: AwareDatetime
    not_after: AwareDatetime | None
    test_ids: tuple[int, ...]


class QuarantinedAddress(Part):
    """A canonical address that is not called before `until`."""

    address: str
    until: AwareDatetime
    reason: str


class ListLinesReply(Message):
    """At most `limit` of each, the oldest calls and the quarantines that end first."""

    kind = "lines.list-reply"

    diallers: tuple[DiallerSession, ...]
    calls: tuple[RunningCall, ...]
    quarantine: tuple[QuarantinedAddress, ...]


class LiftQuarantine(Message):
    """gateway → scheduler: call this canonical address again, if there is work for it."""

    kind = "quarantine.lift"

    address: str


class LiftQuarantineReply(Message):
    """`lifted`: it was in quarantine until now."""

    kind = "quarantine.lift-reply"

    lifted: bool


class ListDeadLetters(Message):
    """gateway → scheduler, results: your dead letters, oldest first; of one queue, or those of these ids alone.

    `with_text`: with what they say, as far as it may be shown.
    """

    kind = "dead.list"

    queue: str | None = None
    ids: tuple[int, ...] | None = None
    limit: int = Field(default=100, ge=0, le=1000)
    offset: int = Field(default=0, ge=0)
    with_text: bool = False


class DeadLetter(Part):
    """A message that no consumer could handle. `size`: bytes as it travelled; `died_at`: when it was put aside last.

    `text` is its JSON with secrets struck out and cut at `dead_letters.SHOWN_CHARACTERS`; None: not asked for, or not
    JSON, and then nobody can say what is secret in it.
    """

    id: int
    queue: str
    message_kind: str
    reason: str
    size: int
    died_at: AwareDatetime
    text: str | None = None


class ListDeadLettersReply(Message):
    """`total` counts all that match."""

    kind = "dead.list-reply"

    total: int
    letters: tuple[DeadLetter, ...]


class RequeueDeadLetters(Message):
    """gateway → scheduler, results: put these back into the queues they come from."""

    kind = "dead.requeue"

    ids: tuple[int, ...] = Field(max_length=1000)


class RequeueDeadLettersReply(Message):
    """`requeued` are in their queues again; the others are not known, or the broker did not take them and they stay."""

    kind = "dead.requeue-reply"

    requeued: tuple[int, ...]
