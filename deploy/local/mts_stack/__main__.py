"""`python -m mts_stack up | down | demo | seed`: what the Makefile's targets run."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from rich.console import Console

from mts_gateway.registry.items import RegistryFaults
from mts_metersim.preset_bank import bank
from mts_metersim.presets import fleet
from mts_stack.demo import run_demo
from mts_stack.processes import StackFault
from mts_stack.seed import seed_stack
from mts_stack.settings import caller_settings, local_directory, run_window
from mts_stack.signals import Stopped, ignore_signals, stop_on_signals
from mts_stack.stack import Description, Stack, stop_other

app = typer.Typer(help="MTS on one machine.", no_args_is_help=True, add_completion=False)

WINDOW_AFTER = timedelta(hours=12)
WINDOW_LENGTH = timedelta(hours=1)
# Where the output is no terminal and has no width of its own.
FILE_COLUMNS = 140


@app.command()
def up() -> None:
    """Start the stack and keep it in the foreground; Ctrl-C ends it."""
    window = run_window(datetime.now(UTC) + WINDOW_AFTER, WINDOW_LENGTH)
    settings = {"MTS_RUN_WINDOWS": window, **caller_settings()}
    stack = Stack(local_directory(), [*fleet("demo"), *fleet("families"), *fleet("faulty")], bank())
    try:
        stop_on_signals()
        typer.echo(f"Starting in {stack.directory} …")
        stack.prepare()
        typer.echo(_greeting(stack.start(settings), stack.directory))
        stack.watch()
    except Stopped:
        typer.echo("Stopping …")
    except StackFault as fault:
        typer.echo(f"The stack stops: {fault}", err=True)
        raise typer.Exit(1) from fault
    finally:
        ignore_signals()
        stack.stop()


def _greeting(description: Description, directory: Path) -> str:
    meter = description.meters[0]
    wanted = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")
    body = json.dumps({"immediate": True, "surveyDays": 1, **{name: meter[name] for name in wanted if meter[name]}})
    ca = directory / "tls" / "ca.pem"
    call = f"curl -sS --cacert {shlex.quote(str(ca))} -H 'Authorization: Bearer {description.token}'"
    return f"""\
MTS is ready. Ctrl-C, or make down in another shell, ends it.

  API       {description.gateway}
  RabbitMQ  {description.amqp}
  Postgres  {description.postgres}
  meters    {len(description.meters)} healthy, {len(description.faulty_meters)} special; see {directory / "stack.json"}
  logs      {directory / "log"}

Test a meter, then read the outcome with the testId of the answer:

  {call} -H 'Content-Type: application/json' \\
    -d {shlex.quote(body)} {description.gateway}/test-request

  {call} '{description.gateway}/test-status?testId=1'

or:  .venv/bin/mts status --wait 1
"""


@app.command()
def down() -> None:
    """End the stack that `up` started, from any shell."""
    typer.echo("The stack has ended." if stop_other(local_directory()) else "No stack runs.")


@app.command()
def demo() -> None:
    """Start a stack of its own, test simulated meters, show the outcomes, stop; 0 if all were as expected."""
    directory = local_directory() / "demo"
    console = Console(width=None if sys.stdout.isatty() else FILE_COLUMNS)
    try:
        stop_on_signals()
        as_expected = run_demo(directory, caller_settings(), console)
    except Stopped as stopped:
        raise typer.Exit(1) from stopped
    except StackFault as fault:
        typer.echo(f"The demo stops: {fault}", err=True)
        raise typer.Exit(1) from fault
    if not as_expected:
        typer.echo(f"The logs are in {directory / 'log'}", err=True)
        raise typer.Exit(1)
    shutil.rmtree(directory)


@app.command()
def seed(file: Path) -> None:
    """Replace the registry and the readings of the running stack with those of a registry seed file."""
    try:
        counts = seed_stack(local_directory(), file)
    except RegistryFaults as refused:
        for fault in refused.faults:
            typer.echo(f"{file}: {fault}", err=True)
        typer.echo("Nothing has changed.", err=True)
        raise typer.Exit(1) from refused
    except StackFault as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from fault
    typer.echo("Loaded " + ", ".join(f"{count} {kind}" for kind, count in counts.items()) + ".")


if __name__ == "__main__":
    app()
