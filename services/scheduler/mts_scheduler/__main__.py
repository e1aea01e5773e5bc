"""`python -m mts_scheduler run | migrate | dead`."""

from __future__ import annotations

import asyncio
import sys

import typer

from mts_common import database, service
from mts_common.commands import dead_letter_commands
from mts_scheduler.run import serve
from mts_scheduler.settings import SchedulerSettings

app = typer.Typer(help="Holds tests and grants them to diallers.", no_args_is_help=True, add_completion=False)
app.add_typer(dead_letter_commands("scheduler", SchedulerSettings), name="dead")


@app.command("run")
def run_command() -> None:
    """Run the service until SIGTERM or SIGINT."""
    settings = SchedulerSettings()
    sys.exit(service.run("scheduler", settings, lambda stop: serve(settings, stop)))


@app.command("migrate")
def migrate_command() -> None:
    """Bring the schema scheduler up to date."""
    url = SchedulerSettings().postgres_url.get_secret_value()
    for name in asyncio.run(database.migrate(url, "scheduler", "mts_scheduler")):
        typer.echo(f"applied {name}")


if __name__ == "__main__":
    app()
