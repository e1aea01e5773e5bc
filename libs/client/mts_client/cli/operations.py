"""`mts admin job | line | dead`: tests that wait, lines, and what no service could handle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from mts_client import calls
from mts_client.calls import Call
from mts_client.cli.session import ExitCode, print_error, print_json, print_text, query, session_of
from mts_client.rendering import operations as show

jobs = typer.Typer(help="Tests that wait for a call.", no_args_is_help=True)
lines = typer.Typer(help="Diallers, running calls and addresses that are left alone.", no_args_is_help=True)
dead = typer.Typer(help="Messages that no service could handle.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the server's JSON exactly as sent.")]
TestIds = Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="The tests.")]
Service = Annotated[str, typer.Argument(metavar="SERVICE", help="gateway, scheduler or results.")]
Limit = Annotated[int | None, typer.Option(min=0, help="The longest list.")]
Offset = Annotated[int | None, typer.Option(min=0, help="How many to skip.")]


@jobs.command("list")
def list_jobs(
    context: typer.Context,
    client_id: Annotated[int | None, typer.Option("--client", min=1, help="Of this client alone.")] = None,
    immediate: Annotated[bool | None, typer.Option("--immediate/--overnight", help="Of this kind alone.")] = None,
    on_hold: Annotated[
        bool | None, typer.Option("--on-hold/--not-on-hold", help="Held by an operator, or not.")
    ] = None,
    remote_address: Annotated[str | None, typer.Option(help="A part of the address.")] = None,
    limit: Limit = None,
    offset: Offset = None,
    as_json: Json = False,
) -> None:
    """List the tests that wait."""
    call = calls.list_waiting_tests(
        client_id=client_id,
        immediate=immediate,
        on_hold=on_hold,
        remote_address=remote_address,
        limit=limit,
        offset=offset,
    )
    query(context, call, show.waiting_tests, as_json=as_json)


@jobs.command("hold")
def hold_jobs(context: typer.Context, test_ids: TestIds, as_json: Json = False) -> None:
    """Keep waiting tests from being called until they are released."""
    _change(context, calls.hold_tests(test_ids), test_ids, "held", as_json=as_json)


@jobs.command("release")
def release_jobs(
    context: typer.Context,
    test_ids: TestIds,
    now: Annotated[bool, typer.Option("--now", help="At once, whatever their run window.")] = False,
    as_json: Json = False,
) -> None:
    """Let waiting tests be called: ends a hold and any pause after a failure."""
    _change(context, calls.release_tests(test_ids, now=now), test_ids, "released", as_json=as_json)


def _change(
    context: typer.Context, call: Call[tuple[int, ...]], wanted: Sequence[int], done: str, *, as_json: bool
) -> None:
    """Print what was changed; exit as refused if that is not all that was wanted."""
    with session_of(context).client() as client:
        answer = client.send(call.as_sent())
    changed = call.parse(answer)
    if as_json:
        print_json(answer)
    else:
        print_text(Text(f"{len(changed)} tests {done}\n"))
    left = sorted(set(wanted) - set(changed))
    if left:
        print_error(f"mts: these do not wait, or are not known: {' '.join(map(str, left))}")
        raise typer.Exit(ExitCode.REFUSED)


@lines.command("list")
def list_lines(context: typer.Context, as_json: Json = False) -> None:
    """List diallers, running calls and quarantined addresses."""
    query(context, calls.list_lines(), show.lines, as_json=as_json)


@lines.command("lift")
def lift_quarantine(
    context: typer.Context,
    remote_address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As `line list` shows it.")],
    as_json: Json = False,
) -> None:
    """Let an address in quarantine be called again."""
    query(context, calls.lift_quarantine(remote_address), show.quarantine_lifted, as_json=as_json)


@dead.command("list")
def list_dead(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="gateway, scheduler or results.")] = None,
    queue: Annotated[str | None, typer.Option(help="Of this queue alone.")] = None,
    limit: Limit = None,
    offset: Offset = None,
    as_json: Json = False,
) -> None:
    """List dead letters with their reasons, the oldest first."""
    call = calls.list_dead_letters(service=service, queue=queue, limit=limit, offset=offset)
    query(context, call, show.dead_letters, as_json=as_json)


@dead.command("show")
def show_dead(
    context: typer.Context,
    service: Service,
    letter_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="The dead letter.")],
    as_json: Json = False,
) -> None:
    """Show a dead letter with what it says; secrets are struck out."""
    query(context, calls.show_dead_letter(service, letter_id), show.dead_letter, as_json=as_json)


@dead.command("requeue")
def requeue_dead(
    context: typer.Context,
    service: Service,
    letter_ids: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="The dead letters.")],
) -> None:
    """Put dead letters back into their queues, in this order; the first that is refused ends it."""
    with session_of(context).client() as client:
        for letter_id in letter_ids:
            done = client.send(calls.requeue_dead_letter(service, letter_id))
            print_text(Text(f"Dead letter {done} put back\n"))
