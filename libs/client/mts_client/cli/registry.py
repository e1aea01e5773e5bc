"""`mts registry`: the registry as files."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from mts_client import calls
from mts_client.cli.session import error_console, print_json, print_text, session_of
from mts_client.errors import BadRequest
from mts_client.registry_file import RegistryFile, read_csv, read_json, write_csv

app = typer.Typer(
    help="Distributors, users, customers, devices, assets, meters, contracts (needs a token of scope admin).",
    no_args_is_help=True,
)


class Format(enum.StrEnum):
    """How a registry file is written."""

    JSON = "json"
    CSV = "csv"


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A registry file: FILE.csv, or JSON.")],
) -> None:
    """Put the items of a file into the registry, or none: a fault is told by line and column, or by JSON pointer.

    Items of ids that are known take on the keys that the file gives. Doing it again changes nothing.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=error_console(), transient=True) as progress:
        task = progress.add_task("reading", total=3)
        content = file.read_bytes()
        registry = read_csv(content) if file.suffix.lower() == ".csv" else read_json(content)
        progress.update(task, completed=1, description="importing")
        with session_of(context).client() as client:
            changed = _import(client.import_registry, registry)
        progress.update(task, completed=3)
    print_text(Text(_summary(changed)))


def _import(send: calls.Import, registry: RegistryFile) -> Mapping[str, int]:
    try:
        return send(registry.body)
    except BadRequest as error:
        raise BadRequest(registry.faults(error.details)) from error


def _summary(changed: Mapping[str, int]) -> str:
    if not changed:
        return "Nothing has changed\n"
    return "Changed: " + ", ".join(f"{count} {kind}" for kind, count in changed.items()) + "\n"


@app.command("export")
def export_file(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format", help="json or csv.")] = Format.JSON,
) -> None:
    """Print the registry, without passwords, as a file that imports unchanged."""
    with session_of(context).client() as client:
        if form is Format.JSON:
            print_json(client.send(calls.export_registry().as_sent()))
        else:
            typer.echo(write_csv(client.export_registry()), nl=False)
