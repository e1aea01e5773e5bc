"""What no consumer could handle: kept in a table of the service that owns the queue, shown, and put back.

A quorum queue cannot be looked into without counting a delivery of everything seen, and RabbitMQ 4 drops what has been
delivered too often (decision 0075). So each service moves its dead letters from its dead-letter queue into a table,
which its migration creates:

    CREATE TABLE SCHEMA.dead_letter (
        dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        queue text NOT NULL,
        kind text NOT NULL,
        reason text NOT NULL,
        body bytea NOT NULL,
        encoding text,
        digest bytea NOT NULL,
        died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (queue, kind, digest)
    );
    ALTER TABLE SCHEMA.dead_letter ALTER COLUMN body SET STORAGE EXTERNAL;
"""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
from aio_pika.abc import AbstractIncomingMessage

from mts_common import database, metrics
from mts_common.amqp import Link
from mts_common.consumer import Batching, Consumer
from mts_common.database import Connection, Pool, schema_statements
from mts_common.levels import Levels
from mts_common.operator_messages import (
    DeadLetter,
    ListDeadLetters,
    ListDeadLettersReply,
    RequeueDeadLetters,
    RequeueDeadLettersReply,
)
from mts_common.publisher import Publisher, PublishFailed
from mts_common.pulse import Pulse, Pulses
from mts_common.topology import EVENT_QUEUES, EventQueue, dead_queue
from mts_common.vocabulary import about

SHOWN_CHARACTERS = 64 * 1024
SHOWN_STRING = 200
READABLE_BYTES = 16 * 1024**2
SECRET = "***"  # noqa: S105

_SECRET_NAMES = ("password", "token", "secret")
_OWN_QUEUES = frozenset(queue.name for queue in EVENT_QUEUES)

_log = logging.getLogger(__name__)


class DeadLetterConsumer(Consumer):
    """Moves what arrives in a service's dead-letter queue into its table, unread."""

    def __init__(self, link: Link, publisher: Publisher, letters: DeadLetters, pulses: Pulses) -> None:
        queue = EventQueue(dead_queue(letters.schema), ())
        super().__init__(link, publisher, queue, _no_items, Batching(prefetch=20), pulses)
        self._letters = letters

    async def settle(self, batch: Sequence[AbstractIncomingMessage], pulse: Pulse) -> None:
        """Keep them; waits for a database that is away."""
        await self.persist(lambda: self._letters.bury(batch), pulse)


async def _no_items(_items: list[Any]) -> None:
    """There is nothing to handle in what is dead."""


class DeadLetters:
    """The dead letters of one service, which is named as its schema is."""

    def __init__(self, pool: Pool, schema: str, publisher: Publisher) -> None:
        self._pool = pool
        self.schema = schema
        self._sql = schema_statements(schema)
        self._publisher = publisher

    async def bury(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        """Keep messages of the dead-letter queue, however often they come. Raises one of `database.UNAVAILABLE`."""
        rows = {(row[0], row[1], row[3]): row for row in map(_row, batch)}
        await self._pool.execute(self._sql["bury"], *zip(*rows.values(), strict=True))

    @property
    def levels(self) -> Levels:
        """How many lie here, by the queue that they died in."""
        queues = [queue.name for queue in EVENT_QUEUES if queue.dead == dead_queue(self.schema)]

        async def read(connection: Connection) -> None:
            for row in await connection.fetch(self._sql["dead_letter_levels"], queues):
                metrics.DEAD_LETTERS_KEPT.set(row["kept"], {"messaging.destination.name": row["queue"]})

        return Levels((metrics.DEAD_LETTERS_KEPT,), read)

    async def serve_list(self, items: list[ListDeadLetters]) -> list[ListDeadLettersReply]:
        """The server of the service's `dead.list`."""
        return [await self.list(item) for item in items]

    async def serve_requeue(self, items: list[RequeueDeadLetters]) -> list[RequeueDeadLettersReply]:
        """The server of the service's `dead.requeue`."""
        return [RequeueDeadLettersReply(requeued=await self.requeue(item.ids)) for item in items]

    async def list(self, asked: ListDeadLetters) -> ListDeadLettersReply:
        """What was asked for."""
        which = (asked.queue, asked.ids)
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            total = await connection.fetchval(self._sql["count_dead_letters"], *which)
            rows = await connection.fetch(self._sql["dead_letters"], *which, asked.limit, asked.offset)
        return ListDeadLettersReply(
            total=total, letters=tuple([await self._letter(row, asked.with_text) for row in rows])
        )

    async def requeue(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Put dead letters back, each confirmed by the broker before it is removed here; those that were.

        One that is not known is left out, and so is one that the broker does not take: it stays.
        """
        return tuple([letter_id for letter_id in ids if await self._requeue(letter_id)])

    async def _requeue(self, letter_id: int) -> bool:
        row = await self._pool.fetchrow(self._sql["dead_letter"], letter_id)
        if row is None or row["queue"] not in _OWN_QUEUES:
            return False
        try:
            await self._publisher.put_back(row["queue"], row["kind"], row["body"], row["encoding"])
        except PublishFailed as error:
            _log.warning("dead letter %d stays: %s", letter_id, error)
            return False
        await self._pool.execute(self._sql["raised"], letter_id, row["died_at"])
        _log.info("dead letter %d is in %s again", letter_id, row["queue"], extra=about("requeue"))
        return True

    async def _letter(self, row: asyncpg.Record, with_text: bool) -> DeadLetter:
        text = None
        if with_text and row["size"] <= READABLE_BYTES:
            whole = await self._pool.fetchrow(self._sql["dead_letter"], row["dead_letter_id"])
            text = whole and readable(whole["body"], whole["encoding"])
        return DeadLetter(
            id=row["dead_letter_id"],
            queue=row["queue"],
            message_kind=row["kind"],
            reason=row["reason"],
            size=row["size"],
            died_at=row["died_at"],
            text=text,
        )


async def forget(pool: Pool, schema: str, days: int) -> None:
    """Remove the dead letters that nobody has looked after for so many days."""
    await pool.execute(schema_statements(schema)["forget_dead_letters"], days)


def readable(body: bytes, encoding: str | None) -> str | None:
    """The JSON of a body, secrets struck out and long strings cut; None if it is no JSON, or far too much."""
    try:
        if encoding == "gzip":
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
                body = stream.read(READABLE_BYTES + 1)
        if len(body) > READABLE_BYTES:
            return None
        content = json.loads(body)
        return json.dumps(_struck_out(content), ensure_ascii=False)[:SHOWN_CHARACTERS]
    except (ValueError, OSError, EOFError, RecursionError):
        return None


def _struck_out(value: Any, name: str = "") -> Any:
    if any(secret in name.lower() for secret in _SECRET_NAMES) and value is not None:
        return SECRET
    if isinstance(value, dict):
        return {key: _struck_out(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_struck_out(part) for part in value]
    if isinstance(value, str) and len(value) > SHOWN_STRING:
        return f"{value[:SHOWN_STRING]}… ({len(value)} characters)"
    return value


def _row(message: AbstractIncomingMessage) -> tuple[str, str, str, bytes, str | None]:
    """Queue, kind, reason, body and encoding; the broker's own word where the consumer gave none."""
    headers = message.headers
    queue = headers.get("mts-queue") or headers.get("x-first-death-queue") or ""
    reason = headers.get("mts-reason") or f"the broker: {_storable(headers.get('x-first-death-reason'))}"
    return (
        _storable(queue),
        _storable(message.type or ""),
        _storable(reason),
        message.body,
        message.content_encoding or None,
    )


def _storable(text: object) -> str:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes | bytearray) else str(text)
    return shown.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
