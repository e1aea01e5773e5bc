"""Everything else that MTS answers, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from mts_client.models import (
    ApiClient,
    BatchStatus,
    FoundTest,
    Limits,
    MeterType,
    NewToken,
    Outcome,
    ServiceStatus,
    Token,
)
from mts_client.rendering.layout import column_lines, paragraph, table, time_text, visible


def batch_status(batch: BatchStatus) -> Text:
    """A batch's counts and its tests."""
    kinds = Counter(test.outcome for test in batch.status)
    counts = ", ".join(f"{kinds[outcome]} {outcome.value}" for outcome in Outcome if kinds[outcome])
    heading = f"Batch {batch.batch_id}  {batch.completed_count} of {batch.total_count} completed"
    text = Text.assemble((heading, "bold"), f"  ({counts})\n" if counts else "\n")
    rows = [
        (str(test.test_id), test.request_reference or "", test.meter_type, test.remote_address, test.result_summary)
        for test in batch.status
    ]
    return text.append_text(table(("TEST", "REFERENCE", "METER TYPE", "REMOTE ADDRESS", "RESULT"), rows))


def found_tests(tests: Sequence[FoundTest], total: int) -> Text:
    """The tests a search found, and how many match altogether."""
    rows = [
        (
            str(test.test_id),
            time_text(test.received_timestamp),
            time_text(test.completed_timestamp),
            "" if test.batch_id is None else str(test.batch_id),
            test.request_reference or "",
            test.meter_type,
            test.remote_address,
            test.result_summary,
        )
        for test in tests
    ]
    headings = ("TEST", "RECEIVED", "COMPLETED", "BATCH", "REFERENCE", "METER TYPE", "REMOTE ADDRESS", "RESULT")
    return table(headings, rows).append(f"{len(tests)} of {total} tests\n")


def service_status(service: ServiceStatus) -> Text:
    """Version and status."""
    return paragraph(column_lines([("Version", service.service_version), ("Status", service.status)]))


def limits(found: Limits) -> Text:
    """Each limit under the name it has in the API."""
    return paragraph(column_lines([(name, str(value)) for name, value in found.model_dump(by_alias=True).items()]))


def meter_types(types: Sequence[MeterType]) -> Text:
    """The catalogue; a type that is not supported is known, but its tests are refused."""
    rows = [(each.meter_type, ", ".join(each.transports), "yes" if each.supported else "no") for each in types]
    return table(("METER TYPE", "TRANSPORTS", "SUPPORTED"), rows)


def clients(found: Sequence[ApiClient]) -> Text:
    """The owners of tokens."""
    rows = [(str(client.client_id), client.name, time_text(client.created_time)) for client in found]
    return table(("CLIENT", "NAME", "CREATED"), rows)


def tokens(found: Sequence[Token]) -> Text:
    """The tokens, which have no secrets to show."""
    return table(("TOKEN", "CLIENT", "SCOPES", "DIALECT", "CREATED", "EXPIRES"), [_token_row(token) for token in found])


def _token_row(token: Token) -> tuple[str, ...]:
    client = "" if token.client_id is None else str(token.client_id)
    times = (time_text(token.created_time), time_text(token.expires_time))
    return (str(token.token_id), client, ", ".join(token.scopes), token.dialect or "", *times)


def new_token(token: NewToken) -> Text:
    """The one place where a secret is shown: the server never shows it again."""
    text = Text(f"Token {token.token_id}, valid until {time_text(token.expires_time) or 'it is deleted'}. ")
    text.append("Keep the secret now, it is not shown again:\n")
    return text.append(f"{visible(token.token.get_secret_value())}\n")
