"""What MTS tells operators, as tables."""

from __future__ import annotations

from rich.text import Text

from mts_client.operator_models import DeadLetter, DeadLetters, Lines, QuarantineLifted, WaitingTests
from mts_client.rendering.layout import column_lines, paragraph, table, time_text, visible


def waiting_tests(page: WaitingTests) -> Text:
    """The tests that wait, and how many match altogether."""
    rows = [
        (
            str(job.test_id),
            str(job.client_id),
            job.meter_type,
            job.remote_address,
            "immediate" if job.immediate else "overnight",
            "on hold" if job.on_hold else time_text(job.ready_time),
            str(job.tries),
            job.failure or "",
            time_text(job.received_time),
        )
        for job in page.jobs
    ]
    headings = ("TEST", "CLIENT", "METER TYPE", "REMOTE ADDRESS", "KIND", "READY", "TRIES", "LAST FAILURE", "RECEIVED")
    return table(headings, rows).append(f"{page.result_count} of {page.total_result_count} tests\n")


def lines(found: Lines) -> Text:
    """Diallers, then running calls, then quarantined addresses."""
    diallers = [
        (each.dialler, each.transport, str(each.lines), str(each.calls), time_text(each.lease_until_time))
        for each in found.diallers
    ]
    calls = [
        (
            each.call_id,
            each.dialler,
            str(each.client_id),
            each.remote_address,
            time_text(each.start_time),
            " ".join(map(str, each.test_ids)),
        )
        for each in found.calls
    ]
    quarantine = [(each.remote_address, time_text(each.until_time), each.reason) for each in found.quarantine]
    text = table(("DIALLER", "TRANSPORT", "LINES", "CALLS", "LEASE UNTIL"), diallers)
    if calls:
        headings = ("CALL", "DIALLER", "CLIENT", "REMOTE ADDRESS", "STARTED", "TESTS")
        text.append("\n").append_text(table(headings, calls))
    if quarantine:
        text.append("\n").append_text(table(("LEFT ALONE", "UNTIL", "REASON"), quarantine))
    return text


def quarantine_lifted(answer: QuarantineLifted) -> Text:
    """Whether there was anything to lift."""
    address = visible(answer.remote_address)
    return Text(f"{address} may be called again\n" if answer.lifted else f"{address} was not in quarantine\n")


def dead_letters(page: DeadLetters) -> Text:
    """Dead letters, and how many match altogether."""
    rows = [
        (each.service, str(each.dead_letter_id), time_text(each.died_time), each.queue, each.kind, each.reason)
        for each in page.dead_letters
    ]
    headings = ("SERVICE", "ID", "DIED", "QUEUE", "KIND", "REASON")
    return table(headings, rows).append(f"{page.result_count} of {page.total_result_count} dead letters\n")


def dead_letter(letter: DeadLetter) -> Text:
    """A dead letter and what it says."""
    facts = [
        ("Service", letter.service),
        ("Id", str(letter.dead_letter_id)),
        ("Died", time_text(letter.died_time)),
        ("Queue", letter.queue),
        ("Kind", letter.kind),
        ("Reason", letter.reason),
        ("Bytes", str(letter.size)),
    ]
    said = "It cannot be read." if letter.text is None else visible(letter.text)
    return paragraph(column_lines(facts)).append(f"\n{said}\n")
