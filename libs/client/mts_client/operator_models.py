"""What MTS tells operators: tests that wait, lines and dead letters."""

from __future__ import annotations

from mts_client.models import ApiModel, UtcTime


class WaitingTest(ApiModel):
    """A test that waits for a call; `ready_time` is not there while an operator holds it."""

    test_id: int
    client_id: int
    meter_type: str
    remote_address: str
    transport: str
    immediate: bool
    on_hold: bool
    ready_time: UtcTime | None = None
    attempts: int
    tries: int
    failure: str | None = None
    received_time: UtcTime


class WaitingTests(ApiModel):
    """A page of them, by id."""

    total_result_count: int
    result_count: int
    offset: int
    jobs: tuple[WaitingTest, ...]


class Dialler(ApiModel):
    """A dialler's lease; `calls` of its `lines` are in a call."""

    dialler: str
    transport: str
    lines: int
    calls: int
    lease_until_time: UtcTime


class RunningCall(ApiModel):
    """A call and the tests in it that have not ended."""

    call_id: str
    dialler: str
    client_id: int
    remote_address: str
    transport: str
    start_time: UtcTime
    not_after_time: UtcTime | None = None
    test_ids: tuple[int, ...]


class QuarantinedAddress(ApiModel):
    """An address that is left alone until then."""

    remote_address: str
    until_time: UtcTime
    reason: str


class Lines(ApiModel):
    """Who holds lines, what runs on them, and which addresses are left alone."""

    diallers: tuple[Dialler, ...]
    calls: tuple[RunningCall, ...]
    quarantine: tuple[QuarantinedAddress, ...]


class QuarantineLifted(ApiModel):
    """`lifted` says that the address was in quarantine until now."""

    remote_address: str
    lifted: bool


class DeadLetter(ApiModel):
    """A message that `service` could not handle; `text`, if asked for and readable, has secrets struck out."""

    service: str
    dead_letter_id: int
    queue: str
    kind: str
    reason: str
    size: int
    died_time: UtcTime
    text: str | None = None


class DeadLetters(ApiModel):
    """A page of them, the oldest first."""

    total_result_count: int
    result_count: int
    offset: int
    dead_letters: tuple[DeadLetter, ...]
