"""Commands that several services have."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from mts_common import database
from mts_common.broker import Broker
from mts_common.dead_letters import DeadLetters
from mts_common.messages import Message
from mts_common.operator_messages import ListDeadLetters
from mts_common.settings import DatabaseSettings

REQUEUED_AT_ONCE = 1000

Result = TypeVar("Result")

LetterId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The dead letter's id.")]


def dead_letter_commands(service: str, load: Callable[[], DatabaseSettings]) -> typer.Typer:
    """`dead list | show | requeue` of a service that consumes events; what they print is JSON."""
    app = typer.Typer(no_args_is_help=True, help="What this service could not handle.")

    @app.command("list")
    def list_dead(
        queue: Annotated[str | None, typer.Option(help="Of this queue alone.")] = None,
        limit: Annotated[int, typer.Option(min=0, max=1000, help="The longest list.")] = 100,
        offset: Annotated[int, typer.Option(min=0, help="How many to skip.")] = 0,
    ) -> None:
        """List dead letters with their reasons, oldest first."""
        asked = ListDeadLetters(queue=queue, limit=limit, offset=offset)
        _print(_with_letters(service, load(), lambda letters: letters.list(asked)))

    @app.command("show")
    def show_dead(letter_id: LetterId) -> None:
        """Show one with what it says; secrets are struck out."""
        asked = ListDeadLetters(ids=(letter_id,), with_text=True)
        found = _with_letters(service, load(), lambda letters: letters.list(asked)).letters
        if not found:
            raise typer.BadParameter(f"there is no dead letter {letter_id}")
        typer.echo(found[0].model_dump_json(indent=2))

    @app.command("requeue")
    def requeue_dead(
        ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Which.")] = None,
        every: Annotated[bool, typer.Option("--all", help=f"All there are, up to {REQUEUED_AT_ONCE}.")] = False,
    ) -> None:
        """Put dead letters back into their queues. One that cannot be handled will come back here."""
        if bool(ids) == every:
            raise typer.BadParameter("name the dead letters, or --all")

        async def requeue(letters: DeadLetters) -> tuple[int, ...]:
            if ids:
                return await letters.requeue(ids)
            found = await letters.list(ListDeadLetters(limit=REQUEUED_AT_ONCE))
            return await letters.requeue([letter.id for letter in found.letters])

        done = _with_letters(service, load(), requeue)
        typer.echo(f"{len(done)} put back: {' '.join(map(str, done))}".rstrip(": "))
        if ids and set(done) != set(ids):
            sys.exit(1)

    return app


def _with_letters(service: str, settings: DatabaseSettings, work: Callable[[DeadLetters], Awaitable[Result]]) -> Result:
    async def do() -> Result:
        name = f"mts-{service} command"
        async with (
            database.open_pool(settings.postgres_url.get_secret_value(), name, 2) as pool,
            Broker(settings.amqp_url.get_secret_value(), name) as broker,
        ):
            return await work(DeadLetters(pool, service, broker.publisher))

    return asyncio.run(do())


def _print(reply: Message) -> None:
    typer.echo(reply.model_dump_json(indent=2, exclude_none=True))
