"""`python -m mts_results run | migrate | rebuild | dead`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from mts_common import database, service
from mts_common.commands import dead_letter_commands
from mts_results.projections import PROJECTIONS
from mts_results.rebuild import rebuild
from mts_results.run import serve
from mts_results.settings import ResultsSettings

app = typer.Typer(help="Materialises what clients read.", no_args_is_help=True, add_completion=False)
app.add_typer(dead_letter_commands("results", ResultsSettings), name="dead")


@app.command("run")
def run_command() -> None:
    """Run the service until SIGTERM or SIGINT."""
    settings = ResultsSettings()
    sys.exit(service.run("results", settings, lambda stop: serve(settings, stop)))


@app.command("migrate")
def migrate_command() -> None:
    """Bring the schemas results and results_v1 up to date."""
    url = ResultsSettings().postgres_url.get_secret_value()
    for name in asyncio.run(database.migrate(url, "results", "mts_results")):
        typer.echo(f"applied {name}")


@app.command("rebuild")
def rebuild_command(
    projection: Annotated[list[str] | None, typer.Option(help="A projection to make again; default all.")] = None,
) -> None:
    """Make projections again from the stored requests, reports and outcomes; results may run meanwhile."""
    names = projection or list(PROJECTIONS)
    unknown = sorted(set(names) - set(PROJECTIONS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(PROJECTIONS)}")
    typer.echo(f"{asyncio.run(_rebuild(names))} tests")


async def _rebuild(names: list[str]) -> int:
    settings = ResultsSettings()
    url = settings.postgres_url.get_secret_value()
    async with database.open_pool(url, "mts-results rebuild", 2, settings.statement_seconds) as pool:
        return await rebuild(pool, names)


if __name__ == "__main__":
    app()
