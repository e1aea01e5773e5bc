"""The outbox: what a service tells is written in the transaction that makes it true, and published afterwards.

A service's migration creates the table:

    CREATE TABLE SCHEMA.outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        item text NOT NULL,
        tries integer NOT NULL DEFAULT 0,
        not_before timestamptz NOT NULL DEFAULT now(),
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX outbox_due ON SCHEMA.outbox (not_before, id);

A row may be told more than once, never not at all, and in no certain order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import asyncpg

from mts_common import database, failpoints, metrics
from mts_common.amqp import Backoff
from mts_common.database import Connection, Pool, schema_statements
from mts_common.levels import Levels
from mts_common.messages import VERSION, Message
from mts_common.publisher import BrokerUnreachable, Publisher, PublishRefused
from mts_common.pulse import Pulses

POLL_SECONDS = 0.2
CONFIRM_SECONDS = 5.0
ROUND_SECONDS = 180.0  # more than its statements and its confirms can take together
CLAIM_ROWS = 2000
PACK_ITEMS = 200
COUNTED_ROWS = 100_000

_log = logging.getLogger(__name__)


class Outbox:
    """The outbox table of one schema."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.statements = schema_statements(schema)

    async def put(self, connection: Connection, items: Sequence[Message]) -> None:
        """Write what is to be told; it is told if and only if the caller's transaction commits."""
        if items:
            texts = [item.model_dump_json() for item in items]
            await connection.execute(self.statements["put"], [item.kind for item in items], texts)

    @property
    def levels(self) -> Levels:
        """How much waits to be told, and for how long."""

        async def read(connection: Connection) -> None:
            row = await connection.fetchrow(self.statements["backlog"], COUNTED_ROWS)
            if row is not None:
                metrics.OUTBOX_SIZE.set(row["size"], {"mts.schema": self.schema})
                metrics.OUTBOX_AGE.set(row["age"], {"mts.schema": self.schema})

        return Levels((metrics.OUTBOX_SIZE, metrics.OUTBOX_AGE), read)


class Relay:
    """Publishes the rows of an outbox. Several may run over one table."""

    def __init__(self, pool: Pool, outbox: Outbox, publisher: Publisher, pulses: Pulses | None = None) -> None:
        self._pool = pool
        self._pulses = pulses or Pulses()
        self._schema = outbox.schema
        self._sql = outbox.statements
        self._publisher = publisher
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a transaction with an outbox row has just been committed in this process."""
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled, whatever happens to broker and database."""
        backoff = Backoff(last=2.0)
        with self._pulses.part(f"{self._schema} outbox") as pulse:
            while True:
                pulse.within(ROUND_SECONDS)
                self._woken.clear()
                try:
                    more = await self._tell_some()
                    backoff.reset()
                except (BrokerUnreachable, *database.UNAVAILABLE) as error:
                    _log.warning("outbox: %s, telling again", type(error).__name__)
                    await backoff.wait()
                    continue
                if not more:
                    await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _tell_some(self) -> bool:
        """Tell what can be claimed; whether there may be more at once."""
        async with database.transaction(self._pool) as connection:
            rows = await connection.fetch(self._sql["claim"], CLAIM_ROWS)
            packs = list(_packs(rows))
            results = await asyncio.gather(*map(self._tell, packs), return_exceptions=True)
            told = [row["id"] for pack, result in zip(packs, results, strict=True) if result is None for row in pack]
            refused = [
                row["id"]
                for pack, result in zip(packs, results, strict=True)
                if isinstance(result, PublishRefused)
                for row in pack
            ]
            if told:
                failpoints.reach("relay.confirmed", self._schema)
                await connection.execute(self._sql["told"], told)
            if refused:
                _log.error("outbox: the broker refused %d rows, trying them again one by one", len(refused))
                await connection.execute(self._sql["put_off"], refused)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, PublishRefused):
                raise result
        return len(rows) == CLAIM_ROWS

    async def _tell(self, pack: Sequence[asyncpg.Record]) -> None:
        items = ",".join(row["item"] for row in pack)
        body = f'{{"v":{VERSION},"items":[{items}]}}'.encode()
        await self._publisher.publish_body(pack[0]["kind"], body, CONFIRM_SECONDS)


def _packs(rows: Iterable[asyncpg.Record]) -> Iterator[list[asyncpg.Record]]:
    """Rows of a kind together, at most `PACK_ITEMS`; those the broker has refused before each alone."""
    by_kind: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        if row["tries"]:
            yield [row]
        else:
            by_kind[row["kind"]].append(row)
    for same in by_kind.values():
        for start in range(0, len(same), PACK_ITEMS):
            yield same[start : start + PACK_ITEMS]
