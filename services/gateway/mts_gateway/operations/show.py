"""What operators are answered, as JSON; a value that is not known is left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mts_common.operator_messages import (
    DeadLetter,
    DiallerSession,
    HeldJob,
    ListJobsReply,
    ListLinesReply,
    QuarantinedAddress,
    RunningCall,
)
from mts_gateway.render import show_time

Shown = dict[str, object]


def show_jobs(found: ListJobsReply, offset: int) -> Shown:
    """A page of the tests that wait."""
    return {**_page(found.total, len(found.jobs), offset), "jobs": list(map(_job, found.jobs))}


def show_lines(found: ListLinesReply) -> Shown:
    """Diallers, running calls and quarantined addresses."""
    return {
        "diallers": list(map(_dialler, found.diallers)),
        "calls": list(map(_call, found.calls)),
        "quarantine": list(map(_quarantined, found.quarantine)),
    }


def show_letters(found: Sequence[tuple[str, DeadLetter]], total: int, offset: int) -> Shown:
    """A page of dead letters, each with the service that keeps it."""
    return {**_page(total, len(found), offset), "deadLetters": [show_letter(*each) for each in found]}


def show_letter(service: str, letter: DeadLetter) -> Shown:
    """A dead letter."""
    return _known(
        {
            "service": service,
            "deadLetterId": letter.id,
            "queue": letter.queue,
            "kind": letter.message_kind,
            "reason": letter.reason,
            "size": letter.size,
            "diedTime": show_time(letter.died_at),
            "text": letter.text,
        }
    )


def _page(total: int, count: int, offset: int) -> Shown:
    return {"totalResultCount": total, "resultCount": count, "offset": offset}


def _job(job: HeldJob) -> Shown:
    return _known(
        {
            "testId": job.test_id,
            "clientId": job.client_id,
            "meterType": job.meter_type,
            "remoteAddress": job.remote_address,
            "transport": job.transport,
            "immediate": job.immediate,
            "onHold": job.ready_at is None,
            "readyTime": _time(job.ready_at),
            "attempts": job.attempts,
            "tries": job.tries,
            "failure": job.failure,
            "receivedTime": show_time(job.received_at),
        }
    )


def _dialler(session: DiallerSession) -> Shown:
    return {
        "dialler": session.dialler,
        "transport": session.transport,
        "lines": session.lines,
        "calls": session.calls,
        "leaseUntilTime": show_time(session.lease_until),
    }


def _call(call: RunningCall) -> Shown:
    return _known(
        {
            "callId": str(call.call_id),
            "dialler": call.dialler,
            "clientId": call.client_id,
            "remoteAddress": call.remote_address,
            "transport": call.transport,
            "startTime": show_time(call.started_at),
            "notAfterTime": _time(call.not_after),
            "testIds": list(call.test_ids),
        }
    )


def _quarantined(found: QuarantinedAddress) -> Shown:
    return {"remoteAddress": found.address, "untilTime": show_time(found.until), "reason": found.reason}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else show_time(moment)


def _known(shown: Shown) -> Shown:
    return {name: value for name, value in shown.items() if value is not None}
