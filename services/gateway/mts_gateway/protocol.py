"""uvicorn's HTTP/1.1 protocol with the limits that a hostile client meets before the application sees it.

llhttp bounds neither the size nor the time of a request's head, and what uvicorn says of a malformed request is plain
text.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mts_gateway.render import to_json

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 10.0
UNREAD_BYTES = 64 * 1024**2  # of a body that nobody reads, so that its sender gets to see the answer
UNREAD_SECONDS = 10.0
WRITE_SECONDS = 60.0
CONNECTIONS = 4000


class HeadTooLarge(Exception):
    """The request line and headers are over the limit."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with bounds on the head's size and time, on unread bodies, and on answers that are not taken."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._waits_since = self.loop.time()
        self._head_bytes = 0
        self._unread_bytes = 0
        self._arriving = _Deadline(self)
        self._leaving = _Deadline(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request soon. Over the number of connections, the one that has waited longest for one gives way."""
        super().connection_made(transport)
        self._arriving.start(HEAD_SECONDS)
        if len(self.connections) > CONNECTIONS:
            waiting = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.waits_since]
            min(waiting, key=lambda each: each.waits_since).transport.abort()

    @property
    def waits_since(self) -> float:
        """By the loop's clock, since when a request's head is waited for; 0 = a request is being read or answered."""
        return self._waits_since

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._arriving.stop()
        self._leaving.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see that what has begun also ends."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        elif self._in_head and not self._arriving.running and self.timeout_keep_alive_task is None:
            self._arriving.start(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """The first byte of a request line."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._unread_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line; many of them may arrive in one piece."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application takes over, and with it its own limits."""
        self._in_head = False
        self._waits_since = 0.0
        self._arriving.stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body; after the answer it is thrown away, up to a limit."""
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > UNREAD_BYTES:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole; if it was answered before, the next request is expected."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0
        self._arriving.stop()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._arriving.start(HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """An answer given before the body was whole leaves the rest a limited time to arrive."""
        self._waits_since = 0.0 if self.pipeline else self.loop.time()
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._arriving.start(UNREAD_SECONDS)

    def pause_writing(self) -> None:
        """The client does not take the answer."""
        super().pause_writing()
        self._leaving.start(WRITE_SECONDS)

    def resume_writing(self) -> None:
        """It does now."""
        super().resume_writing()
        self._leaving.stop()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the API's own shape."""
        body = to_json({"details": [msg]})
        head = STATUS_LINE[400]
        for name, value in self.server_state.default_headers:
            head += name + b": " + value + b"\r\n"
        head += b"content-type: application/json; charset=utf-8\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()


class _Deadline:
    """Cuts a connection that takes too long over something."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol
        self._timer: TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._timer is not None

    def start(self, seconds: float) -> None:
        self.stop()
        self._timer = self._protocol.loop.call_later(seconds, self._protocol.transport.abort)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
