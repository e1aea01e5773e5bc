"""`python -m mts_stack up | down | demo`: what the Makefile's targets run."""

from __future__ import annotations

import json
import os
import shlex
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import typer

from mts_metersim.presets import fleet
from mts_stack.paths import ROOT
from mts_stack.processes import StackFault
from mts_stack.stack import Description, Stack, stop_other

app = typer.Typer(help="MTS on one machine.", no_args_is_help=True, add_completion=False)

WINDOW_AFTER = timedelta(hours=12)
WINDOW_LENGTH = timedelta(hours=1)

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or a closed terminal."""


def stop_on_signals() -> None:
    """From now on the first signal raises `Stopped` in the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Stopped

    for number in _ENDING:
        signal.signal(number, stop)


def ignore_signals() -> None:
    """From now on we are ending already, and are not to be cut off."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def local_directory() -> Path:
    """Where the stack lives: MTS_LOCAL_DIR, else `.local` in the repository."""
    return Path(os.environ.get("MTS_LOCAL_DIR") or ROOT / ".local")


def caller_settings() -> dict[str, str]:
    """The MTS_… settings of the caller's environment, which go over the stack's own."""
    return {name: value for name, value in os.environ.items() if name.startswith("MTS_") and value}


def run_window(opens: datetime, closes: datetime) -> str:
    """MTS_RUN_WINDOWS for one daily window, both ends in UTC."""
    return json.dumps([{"opens": f"{opens:%H:%M:%S}", "closes": f"{closes:%H:%M:%S}", "zone": "UTC"}])


@app.command()
def up() -> None:
    """Start the stack and keep it in the foreground; Ctrl-C ends it."""
    opens = datetime.now(UTC) + WINDOW_AFTER
    settings = {"MTS_RUN_WINDOWS": run_window(opens, opens + WINDOW_LENGTH), **caller_settings()}
    stack = Stack(local_directory(), settings, [*fleet("demo"), *fleet("faulty")])
    try:
        stop_on_signals()
        typer.echo(f"Starting in {stack.directory} …")
        typer.echo(_greeting(stack.start(), stack.directory))
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
    call = f"curl --cacert {shlex.quote(str(ca))} -H 'Authorization: Bearer {description.token}'"
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


if __name__ == "__main__":
    app()
