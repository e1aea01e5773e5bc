"""`python -m mts_gateway`: run the service, migrate its schema, keep its clients and tokens, and its dead letters."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from mts_common import database, service
from mts_common.commands import dead_letter_commands
from mts_common.database import Statements
from mts_gateway import runtime
from mts_gateway.clients import (
    DEFAULT_VALID_DAYS,
    MAX_NAME,
    MAX_VALID_DAYS,
    Clients,
    NewToken,
    UnknownClient,
    UnknownToken,
)
from mts_gateway.settings import GatewaySettings

Result = TypeVar("Result")

app = typer.Typer(
    help="Serves the HTTP APIs.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
client = typer.Typer(no_args_is_help=True, help="The clients of the API.")
token = typer.Typer(no_args_is_help=True, help="Their access tokens.")
app.add_typer(client, name="client")
app.add_typer(token, name="token")
app.add_typer(dead_letter_commands("gateway", GatewaySettings), name="dead")


class Scope(StrEnum):
    """What a token may do: the MTS API, the administration, the contract meters API."""

    MTS = "mts"
    ADMIN = "admin"
    WARRANTY_READ = "warranty:read"
    WARRANTY_WRITE = "warranty:write"


class Dialect(StrEnum):
    """In which document's shape registers are shown."""

    GROUPED = "grouped"
    FLAT = "flat"


@app.command()
def run() -> None:
    """Serve the API until SIGTERM or SIGINT."""
    settings = GatewaySettings()
    sys.exit(service.run("gateway", settings, lambda stop: runtime.run(settings, stop)))


@app.command()
def migrate() -> None:
    """Bring the schema up to date."""
    url = GatewaySettings().postgres_url.get_secret_value()
    _print({"applied": asyncio.run(database.migrate(url, runtime.SCHEMA, "mts_gateway"))})


@client.command("create")
def create_client(name: Annotated[str, typer.Argument(help="How the client is called.")]) -> None:
    """Create a client."""
    if not 1 <= len(name) <= MAX_NAME:
        raise typer.BadParameter(f"a name has 1 to {MAX_NAME} characters")
    _print(_with_clients(lambda clients: clients.create_client(name)))


@client.command("list")
def list_clients() -> None:
    """List all clients."""
    _print({"clients": _with_clients(lambda clients: clients.list_clients())})


@token.command("create")
def create_token(
    owner: Annotated[int, typer.Option("--client", help="Id of the client that owns the token")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; can be given more than once")],
    valid_days: Annotated[
        int, typer.Option(min=1, max=MAX_VALID_DAYS, help="Days until it expires")
    ] = DEFAULT_VALID_DAYS,
    dialect: Annotated[Dialect, typer.Option(help="The shape of its tests' registers")] = Dialect.GROUPED,
) -> None:
    """Create a token and show its secret, this once."""
    new = NewToken(owner, tuple(sorted({each.value for each in scope})), valid_days, dialect.value)
    try:
        _print(_with_clients(lambda clients: clients.create_token(new)))
    except UnknownClient:
        raise typer.BadParameter(f"there is no client {owner}") from None


@token.command("list")
def list_tokens() -> None:
    """List all tokens that have not been deleted."""
    _print({"tokens": _with_clients(lambda clients: clients.list_tokens())})


@token.command("delete")
def delete_token(token_id: Annotated[int, typer.Argument(help="The token's id.")]) -> None:
    """Delete a token: it opens nothing from now on."""
    try:
        _with_clients(lambda clients: clients.delete_token(token_id))
    except UnknownToken:
        raise typer.BadParameter(f"there is no token {token_id}") from None
    _print({"tokenId": token_id})


def _with_clients(work: Callable[[Clients], Awaitable[Result]]) -> Result:
    async def do() -> Result:
        settings = GatewaySettings()
        async with database.open_pool(settings.postgres_url.get_secret_value(), "mts-gateway command", 2) as pool:
            return await work(Clients(pool, Statements("mts_gateway")))

    return asyncio.run(do())


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    app()
