"""A TCP relay on loopback that cuts, stalls and loses what passes: between the services and one of their servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeVar

CHUNK = 64 * 1024
CALL_SECONDS = 10.0
NAME_BYTES = 4096

Result = TypeVar("Result")


class Direction(Enum):
    """Which way bytes travel."""

    TO_SERVER = auto()
    TO_CLIENT = auto()


BOTH = frozenset(Direction)


class _Connection:
    """One client's connection and that to the server behind it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.writers = (client, server)
        self.greeting = b""
        self.lossy = False

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Use as a context manager; every method may be called from any thread.

    A fault holds until `resume`, for connections made meanwhile too. `only` restricts it to clients that say so in
    their first bytes: RabbitMQ's clients give a connection name there, PostgreSQL's their role.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy of {port}", daemon=True)
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swallowed: tuple[frozenset[Direction], bytes] = (frozenset(), b"")
        self._held: tuple[frozenset[Direction], bytes] = (frozenset(), b"")
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def cut(self, only: bytes = b"") -> int:
        """Break the connections that are open now, with a reset; how many."""

        async def cut() -> int:
            chosen = [connection for connection in self._connections if only in connection.greeting]
            for connection in chosen:
                connection.cut()
            return len(chosen)

        return self._call(cut())

    def stall(self, directions: frozenset[Direction] = BOTH, only: bytes = b"") -> None:
        """Keep bytes back; `resume` lets them go."""
        self._call(self._set(held=(directions, only)))

    def swallow(self, directions: frozenset[Direction] = BOTH, only: bytes = b"") -> None:
        """Lose bytes; `resume` breaks the connections that have lost some."""
        self._call(self._set(swallowed=(directions, only)))

    def resume(self) -> None:
        """No more faults."""

        async def resume() -> None:
            await self._set((frozenset(), b""), (frozenset(), b""))
            for connection in self._connections:
                if connection.lossy:
                    connection.cut()

        self._call(resume())

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    async def _set(
        self,
        held: tuple[frozenset[Direction], bytes] | None = None,
        swallowed: tuple[frozenset[Direction], bytes] | None = None,
    ) -> None:
        self._held = self._held if held is None else held
        self._swallowed = self._swallowed if swallowed is None else swallowed
        self._changed.set()
        self._changed = asyncio.Event()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._relay(reader, writer), name="proxied connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                server, to_server = await asyncio.open_connection(*self._target)
        except (OSError, TimeoutError):
            to_client.transport.abort()
            return
        connection = _Connection(to_client, to_server)
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(connection, Direction.TO_SERVER, client, to_server), name="to server")
                both.create_task(self._pump(connection, Direction.TO_CLIENT, server, to_client), name="to client")
        finally:
            self._connections.discard(connection)
            connection.cut()

    async def _pump(
        self, connection: _Connection, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if direction is Direction.TO_SERVER and len(connection.greeting) < NAME_BYTES:
                    connection.greeting += data
                while _applies(self._held, connection, direction):
                    await self._changed.wait()
                if _applies(self._swallowed, connection, direction):
                    connection.lossy = True
                else:
                    sink.write(data)
                    await sink.drain()
        # An end is a fact like any other byte: it does not pass a line that is stuck.
        while _applies(self._held, connection, direction) or _applies(self._swallowed, connection, direction):
            await self._changed.wait()
        connection.cut()


def _applies(fault: tuple[frozenset[Direction], bytes], connection: _Connection, direction: Direction) -> bool:
    directions, only = fault
    return direction in directions and only in connection.greeting
