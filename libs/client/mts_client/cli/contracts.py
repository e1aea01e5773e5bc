"""`mts contracts`: warranty contracts and when their meters are due, over the contract meters API."""

from __future__ import annotations

from typing import Annotated

import typer

from mts_client.cli.session import print_json, print_text, session_of
from mts_client.contracts import ContractsClient, calls
from mts_client.rendering import contracts as show

ContractId = Annotated[int | None, typer.Argument(metavar="[CONTRACT]", min=1, help="The contract's id.")]
User = Annotated[str | None, typer.Option("--user", help="The user of the contract meters API; default: MTS_USER.")]
AskPassword = Annotated[
    bool, typer.Option("--ask-password", help="Ask for the user's password, unseen; default: MTS_USER_PASSWORD.")
]
Page = Annotated[int, typer.Option("--page", min=0, help="With --json: which page, counted from 0.")]
Json = Annotated[bool, typer.Option("--json", help="Print one page of the server's JSON exactly as sent.")]


def contracts(
    context: typer.Context,
    contract_id: ContractId = None,
    user: User = None,
    ask_password: AskPassword = False,
    as_json: Json = False,
    page: Page = 0,
) -> None:
    """List warranty contracts, or the meters of one with the days on which they are due."""
    session = session_of(context)
    found = session.config()
    name, password = session.credentials(user, ask=ask_password)
    with ContractsClient(
        found.url, name, password, trust=found.ca_file, transport=session.transport, sleep=session.sleep
    ) as client:
        if as_json:
            print_json(_one_page(client, contract_id, page))
        elif contract_id is None:
            print_text(show.contracts(list(client.all_contracts())))
        else:
            print_text(show.contract_meters(list(client.all_contract_meters(contract_id))))


def _one_page(client: ContractsClient, contract_id: int | None, page: int) -> bytes:
    offset = page * calls.LARGEST_PAGE
    if contract_id is None:
        return client.send(calls.contracts(limit=calls.LARGEST_PAGE, offset=offset).as_sent())
    return client.send(calls.contract_meters(contract_id, limit=calls.LARGEST_PAGE, offset=offset).as_sent())
