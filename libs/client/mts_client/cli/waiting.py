"""Waiting for tests with something to look at, and the exit code that follows from their outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mts_client.cli.session import ExitCode, error_console
from mts_client.client import MtsClient
from mts_client.models import BatchStatus, MeterTestStatus, Outcome

Wait = Annotated[bool, typer.Option("--wait", help="Wait until completed; exit code 1 if a test ends in ERROR.")]
Deadline = Annotated[
    float, typer.Option("--deadline", min=0, metavar="SECONDS", help="The longest wait; exit code 5 when it is over.")
]
Poll = Annotated[float, typer.Option("--poll", min=0.1, metavar="SECONDS", help="Pause between two queries.")]

# An overnight test is over within a day.
ONE_DAY = 86_400.0
TEST_POLL = 2.0
BATCH_POLL = 5.0


def wait_for_test(client: MtsClient, test_id: int, deadline: float, poll: float) -> MeterTestStatus:
    """The completed test; a spinner turns meanwhile if there is a terminal."""
    with error_console().status(f"waiting for test {test_id}"):
        return client.wait_for_result(test_id, deadline=deadline, poll=poll)


def wait_for_batches(client: MtsClient, batch_ids: Sequence[int], deadline: float, poll: float) -> list[BatchStatus]:
    """The completed batches, waited for one after the other, each with its bar."""
    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    completed = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = {batch_id: progress.add_task(f"batch {batch_id}", total=None) for batch_id in batch_ids}

        def show(batch: BatchStatus) -> None:
            progress.update(bars[batch.batch_id], total=batch.total_count, completed=batch.completed_count)

        for batch_id in batch_ids:
            completed.append(client.wait_for_batch(batch_id, deadline=deadline, poll=poll, progress=show))
    return completed


def exit_by(outcomes: Iterable[Outcome]) -> None:
    """End with the code of a failed test if one of the outcomes is an error."""
    if Outcome.ERROR in outcomes:
        raise typer.Exit(ExitCode.TEST_FAILED)
