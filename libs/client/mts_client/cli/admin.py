"""`mts admin`: what needs a token of scope admin. Clients and tokens here, the rest in `operations`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from mts_client import calls
from mts_client.cli import operations
from mts_client.cli.session import query
from mts_client.models import Dialect
from mts_client.rendering import lists

app = typer.Typer(
    help="Clients, tokens, waiting tests, lines, dead letters (needs a token of scope admin).", no_args_is_help=True
)
clients = typer.Typer(help="The owners of tokens.", no_args_is_help=True)
tokens = typer.Typer(help="API access tokens.", no_args_is_help=True)
app.add_typer(clients, name="client")
app.add_typer(tokens, name="token")
app.add_typer(operations.jobs, name="job")
app.add_typer(operations.lines, name="line")
app.add_typer(operations.dead, name="dead")

Json = Annotated[bool, typer.Option("--json", help="Print the server's JSON exactly as sent.")]


@clients.command("create")
def create_client(context: typer.Context, name: Annotated[str, typer.Argument(help="The client's name.")]) -> None:
    """Make a client."""
    query(context, calls.create_client(name), lambda client: Text(f"Client {client.client_id} made\n"))


@clients.command("list")
def list_clients(context: typer.Context, as_json: Json = False) -> None:
    """List the clients."""
    query(context, calls.list_clients(), lists.clients, as_json=as_json)


@tokens.command("create")
def create_token(
    context: typer.Context,
    client_id: Annotated[int, typer.Argument(metavar="CLIENT_ID", min=1, help="The owner.")],
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="mts or admin; repeat for both.")] = None,
    valid_days: Annotated[int, typer.Option(min=1, help="Days until it expires.")] = 365,
    dialect: Annotated[Dialect, typer.Option(help="The shape of its tests' registers.")] = Dialect.GROUPED,
) -> None:
    """Make a token and show its secret, this once."""
    call = calls.create_token(client_id, scopes=scopes or ("mts",), valid_days=valid_days, dialect=dialect)
    query(context, call, lists.new_token)


@tokens.command("list")
def list_tokens(context: typer.Context, as_json: Json = False) -> None:
    """List the tokens, without secrets."""
    query(context, calls.list_tokens(), lists.tokens, as_json=as_json)


@tokens.command("delete")
def delete_token(
    context: typer.Context, token_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="The token's id.")]
) -> None:
    """Delete a token; it stops working at once."""
    query(context, calls.delete_token(token_id), lambda deleted: Text(f"Token {deleted} deleted\n"))
