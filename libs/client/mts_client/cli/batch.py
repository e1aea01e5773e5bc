"""`mts batch`: files of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from mts_client import calls
from mts_client.batch_file import Row, read_batch, server_faults, split
from mts_client.cli.session import print_error, print_text, query, session_of
from mts_client.cli.waiting import BATCH_POLL, ONE_DAY, Deadline, Poll, Wait, exit_by, wait_for_batches
from mts_client.client import MtsClient
from mts_client.errors import BadRequest, MtsError, Unreachable
from mts_client.rendering import lists

app = typer.Typer(help="Batches of tests.", no_args_is_help=True)

BatchId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The batch's id.")]


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="CSV in the format of MTS; - is standard input.")],
    immediate: Annotated[bool, typer.Option("--immediate", help="Run now, not in the next run window.")] = False,
    wait: Wait = False,
    deadline: Deadline = ONE_DAY,
    poll: Poll = BATCH_POLL,
) -> None:
    """Request all tests of a file, or none: a fault in any line is told by line and column.

    Columns: MPAN, METER_TYPE, REMOTE_ADDRESS, COM_SETTINGS, OUTSTATION, PASSWORD, SURVEY_DAYS, SURVEY_DATE,
    SERIAL_NUMBER. A file over the server's limits is sent as several batches.
    """
    rows = read_batch(file.read(), immediate=immediate)
    with session_of(context).client() as client:
        limits = client.limits()
        batch_ids = _submit(client, list(split(rows, limits.max_batch_tests, limits.max_body_bytes)))
        if wait:
            _report_completed(client, batch_ids, deadline, poll)


def _submit(client: MtsClient, parts: Sequence[Sequence[Row]]) -> list[int]:
    accepted: list[int] = []
    for part in parts:
        try:
            batch_id = client.batch_request([row.test for row in part])
        except MtsError as error:
            _take_back(client, accepted)
            if isinstance(error, BadRequest):
                raise BadRequest([str(fault) for fault in server_faults(error.details, part)]) from error
            if isinstance(error, Unreachable):
                print_error(f"It is not known whether {_lines(part)} were accepted; see `mts search`")
            raise
        accepted.append(batch_id)
        print_text(Text(f"Batch {batch_id} requested: {len(part)} tests, {_lines(part)}\n"))
    return accepted


def _lines(part: Sequence[Row]) -> str:
    return f"lines {part[0].line} to {part[-1].line}"


def _take_back(client: MtsClient, accepted: Sequence[int]) -> None:
    """Cancel what was accepted of a file that is then refused, and say what could not be cancelled."""
    for batch_id in accepted:
        try:
            cancelled = client.batch_cancel(batch_id)
        except MtsError as error:
            print_error(f"Batch {batch_id} could not be cancelled: {error}")
        else:
            print_error(f"Batch {batch_id} taken back: {cancelled.cancelled_count} tests cancelled")


def _report_completed(client: MtsClient, batch_ids: Sequence[int], deadline: float, poll: float) -> None:
    completed = wait_for_batches(client, batch_ids, deadline, poll)
    for batch in completed:
        print_text(lists.batch_status(batch))
    exit_by(test.outcome for batch in completed for test in batch.status)


@app.command()
def status(
    context: typer.Context,
    batch_id: BatchId,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's JSON exactly as sent.")] = False,
    wait: Wait = False,
    deadline: Deadline = ONE_DAY,
    poll: Poll = BATCH_POLL,
) -> None:
    """Show a batch's counts and the result of each of its tests."""
    call = calls.batch_status(batch_id)
    if not wait:
        query(context, call, lists.batch_status, as_json=as_json)
        return
    with session_of(context).client() as client:
        _report_completed(client, [batch_id], deadline, poll)


@app.command()
def cancel(
    context: typer.Context,
    batch_id: BatchId,
    delete_completed: Annotated[
        bool, typer.Option("--delete-completed", help="Delete the completed tests and their results too.")
    ] = False,
) -> None:
    """Cancel a batch's pending tests."""
    call = calls.batch_cancel(batch_id, delete_completed=delete_completed)
    query(context, call, lambda done: Text(f"Batch {done.batch_id}: {done.cancelled_count} tests cancelled\n"))
