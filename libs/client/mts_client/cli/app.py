"""The root of `mts` and the commands about single tests and the service."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mts_client import calls
from mts_client.cli import admin, batch, contracts, readings, registry
from mts_client.cli.session import (
    ExitCode,
    MtsGroup,
    Session,
    print_error,
    print_json,
    print_text,
    query,
    session_of,
)
from mts_client.cli.waiting import ONE_DAY, TEST_POLL, Deadline, Poll, Wait, exit_by, wait_for_test
from mts_client.client import MtsClient
from mts_client.models import Dialect, MeterTest, Search, SearchStatus
from mts_client.rendering import lists
from mts_client.rendering.report import report
from mts_client.rendering.trace import trace as trace_text

_HELP = """Test electricity meters over the MTS API.

Configuration: MTS_URL, MTS_TOKEN, MTS_ADMIN_TOKEN, MTS_CA_FILE, else the keys url, token, admin_token, ca_file of
~/.config/mts/config.toml, else .local/stack.json of a running local stack. Of users (mts devices, mts measurements,
mts contracts): MTS_USER, MTS_USER_PASSWORD, else the keys user, password, else asked for.
MTS_TRACE_URL or trace_url, such as http://localhost:16686/trace/{trace_id}, makes mts trace print where the trace of
the request is shown.

Exit codes: 0 done; 1 a test ended in ERROR (with --wait); 2 wrong usage, configuration or file; 3 refused by the
server; 4 the server did not answer; 5 still pending at the deadline; 70 a fault in mts; 130 interrupted.
"""

app = typer.Typer(cls=MtsGroup, help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(batch.app, name="batch")
app.add_typer(admin.app, name="admin")
app.add_typer(registry.app, name="registry")
app.command("devices")(readings.devices)
app.command("measurements")(readings.measurements)
app.command("contracts")(contracts.contracts)

TestId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The test's id.")]
Json = Annotated[bool, typer.Option("--json", help="Print the server's JSON exactly as sent.")]


def _date(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


@app.callback()
def root(
    context: typer.Context,
    stack: Annotated[Path | None, typer.Option(help="Use the local stack described in this stack.json.")] = None,
) -> None:
    """Make the session that the commands use."""
    context.obj = dataclasses.replace(context.find_object(Session) or Session(), stack=stack)


@app.command()
def request(
    context: typer.Context,
    meter_type: Annotated[str, typer.Option(help="One of `mts meter-types`.")],
    remote_address: Annotated[str, typer.Option(help="A phone number or HOST:PORT.")],
    request_reference: Annotated[str | None, typer.Option(help="Your own reference, e.g. the MPAN.")] = None,
    immediate: Annotated[bool, typer.Option("--immediate", help="Run now, not in the next run window.")] = False,
    coms_settings: Annotated[str | None, typer.Option(help="Data bits, parity, stop bits, e.g. 7E1.")] = None,
    outstation_address: Annotated[str | None, typer.Option(help="The meter's outstation address.")] = None,
    serial_number: Annotated[str | None, typer.Option(help="The serial number that the meter must return.")] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="MTS_METER_PASSWORD", help="The meter's password; - reads a line of standard input."),
    ] = None,
    ask_password: Annotated[bool, typer.Option("--ask-password", help="Ask for the password, unseen.")] = False,
    survey_days: Annotated[int, typer.Option(min=0, help="Days of survey data to read.")] = 0,
    survey_date: Annotated[
        date | None, typer.Option(parser=_date, metavar="YYYY-MM-DD", help="The survey's first day (UTC).")
    ] = None,
    as_json: Json = False,
    wait: Wait = False,
    deadline: Deadline = ONE_DAY,
    poll: Poll = TEST_POLL,
) -> None:
    """Request a test of a meter; with --wait, report it when it is completed."""
    test = MeterTest.model_validate(
        {
            "request_reference": request_reference,
            "immediate": immediate,
            "meter_type": meter_type,
            "remote_address": remote_address,
            "coms_settings": coms_settings,
            "outstation_address": outstation_address,
            "serial_number": serial_number,
            "password": _password(password, ask=ask_password),
            "survey_days": survey_days,
            "survey_date": survey_date,
        }
    )
    call = calls.test_request(test)
    if not wait:
        when = "now" if immediate else "in the next run window"
        query(context, call, lambda test_id: Text(f"Test {test_id} requested, to run {when}\n"), as_json=as_json)
        return
    with session_of(context).client() as client:
        test_id = client.send(call)
        print_error(f"Test {test_id} requested")
        _report_completed(client, test_id, as_json=as_json, dialect=None, deadline=deadline, poll=poll)


def _password(given: str | None, *, ask: bool) -> str | None:
    if ask:
        return str(typer.prompt("Meter password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n") if given == "-" else given


def _report_completed(
    client: MtsClient, test_id: int, *, as_json: bool, dialect: Dialect | None, deadline: float, poll: float
) -> None:
    completed = wait_for_test(client, test_id, deadline, poll)
    call = calls.test_status(test_id, dialect)
    if as_json:
        print_json(client.send(call.as_sent()))
    else:
        print_text(report(client.send(call) if dialect else completed))
    exit_by([completed.outcome])


@app.command()
def status(
    context: typer.Context,
    test_id: TestId,
    as_json: Json = False,
    dialect: Annotated[Dialect | None, typer.Option(help="The shape of the registers; default: the token's.")] = None,
    wait: Wait = False,
    deadline: Deadline = ONE_DAY,
    poll: Poll = TEST_POLL,
) -> None:
    """Report a test: header, what the meter said, registers, survey. Times are UTC."""
    if not wait:
        query(context, calls.test_status(test_id, dialect), report, as_json=as_json)
        return
    with session_of(context).client() as client:
        _report_completed(client, test_id, as_json=as_json, dialect=dialect, deadline=deadline, poll=poll)


@app.command()
def trace(
    context: typer.Context,
    test_id: TestId,
    as_admin: Annotated[bool, typer.Option("--admin", help="Any client's test, with the admin token.")] = False,
    as_json: Json = False,
) -> None:
    """Show what went over the wire in each attempt of a test."""
    call = calls.admin_test_trace(test_id) if as_admin else calls.test_trace(test_id)
    link = session_of(context).config().trace_link
    query(context, call, lambda found: trace_text(found, link(found.trace_id)), as_json=as_json)


@app.command()
def search(
    context: typer.Context,
    from_time: Annotated[
        datetime | None,
        typer.Option(
            "--from", parser=readings.time_of, metavar="TIME", help="Received at or after, UTC; default: a day ago."
        ),
    ] = None,
    to_time: Annotated[
        datetime | None,
        typer.Option("--to", parser=readings.time_of, metavar="TIME", help="Received before; default: now."),
    ] = None,
    request_reference: Annotated[str | None, typer.Option(help="The whole reference.")] = None,
    meter_type: Annotated[str | None, typer.Option(help="The meter type.")] = None,
    remote_address: Annotated[str | None, typer.Option(help="A part of the address.")] = None,
    state: Annotated[SearchStatus | None, typer.Option("--status", help="Default: ALL.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="The longest list (with --all: size of a page).")] = None,
    offset: Annotated[int | None, typer.Option(min=0, help="How many to skip.")] = None,
    reverse_order: Annotated[bool, typer.Option("--reverse", help="The last received first.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All that match, page by page.")] = False,
    as_json: Json = False,
) -> None:
    """List the tests that match."""
    wanted = Search(
        from_time=from_time or datetime.now(UTC) - timedelta(days=1),
        to_time=to_time,
        request_reference=request_reference,
        meter_type=meter_type,
        remote_address=remote_address,
        status=state,
        limit=limit,
        offset=offset,
        reverse_order=reverse_order,
    )
    if not every:
        show = calls.test_search(wanted)
        query(context, show, lambda page: lists.found_tests(page.results, page.total_result_count), as_json=as_json)
        return
    if as_json:
        raise typer.BadParameter("--json prints one answer of the server, --all is made of several")
    with session_of(context).client() as client:
        found = list(client.search_all(wanted))
    print_text(lists.found_tests(found, len(found)))


@app.command()
def cancel(context: typer.Context, test_id: TestId) -> None:
    """Cancel a pending test; one that is running or completed stays as it is."""
    query(context, calls.test_cancel(test_id), lambda answered: Text(f"Test {answered} cancelled, if it was pending\n"))


@app.command("service-status")
def service_status(context: typer.Context, as_json: Json = False) -> None:
    """Show the service's version and status; needs no token."""
    query(context, calls.service_status(), lists.service_status, as_json=as_json)


@app.command()
def limits(context: typer.Context, as_json: Json = False) -> None:
    """Show the server's limits."""
    query(context, calls.limits(), lists.limits, as_json=as_json)


@app.command("meter-types")
def meter_types(context: typer.Context, as_json: Json = False) -> None:
    """List the meter types."""
    query(context, calls.meter_types(), lists.meter_types, as_json=as_json)


def main() -> None:
    """Run `mts` and exit; what nobody foresaw ends in one line too, because a traceback could hold secrets."""
    try:
        app()
    except Exception as error:
        print_error(f"mts: a fault in mts itself: {type(error).__name__}")
        sys.exit(ExitCode.FAULT_IN_MTS)
