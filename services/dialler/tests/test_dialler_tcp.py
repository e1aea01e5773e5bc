"""Lines over TCP, on real sockets; the last test repeats the others on the event loop that the service runs on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

import psutil
import pytest
import uvloop

from mts_dialler.channels import tcp
from mts_dialler.channels.inbox import PAUSE_ABOVE
from mts_dialler.errors import ConnectRefused, ConnectTimeout, DiallerError, LineDropped, LineFault, MeterSilent
from mts_dialler.testing import eventually
from mts_metersim.testing import far_end

HERE = ip_address("127.0.0.1")
SECONDS = 5.0


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


async def deafness(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


def open_lines(port: int) -> int:
    """Sockets of this process that are connected to `port`."""
    return sum(bool(each.raddr) and each.raddr.port == port for each in psutil.Process().net_connections("tcp"))


async def test_bytes_travel_both_ways() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()

    async with far_end(echo) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        await channel.write(b"/?!\r\n", SECONDS)
        heard = b""
        while len(heard) < 5:
            heard += await channel.read(2, SECONDS)
        assert heard == b"/?!\r\n"
        await channel.close()


async def test_what_came_before_the_end_is_read_before_the_end_is_told() -> None:
    async def last_words(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"B0")
        await writer.drain()

    async with far_end(last_words) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        await eventually(lambda: channel._inbox.ended)
        assert await channel.read(100, SECONDS) == b"B0"
        with pytest.raises(LineDropped, match="far end"):
            await channel.read(100, SECONDS)
        await channel.close()


async def test_silence_is_told_after_its_time() -> None:
    async with far_end(silence) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        with pytest.raises(MeterSilent):
            await channel.read(100, 0.01)
        await channel.close()


async def test_a_read_that_waits_is_woken_by_a_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with far_end(reset) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        await channel.write(b"xy", SECONDS)
        with pytest.raises(LineDropped):
            await channel.read(100, SECONDS)
        with pytest.raises(LineDropped):
            await eventually_writes(channel)
        await channel.close()


async def eventually_writes(channel: tcp.TcpChannel) -> None:
    for _ in range(100):
        await channel.write(b"x", SECONDS)
        await asyncio.sleep(0)


async def test_a_line_that_takes_no_bytes_is_dropped() -> None:
    async with far_end(deafness) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        with pytest.raises(LineDropped, match="took no bytes"):
            await channel.write(bytes(64 * 1024 * 1024), 0.05)
        async with asyncio.timeout(SECONDS):
            await channel.close()


async def test_unread_bytes_are_bounded() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with far_end(flood) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        await eventually(lambda: channel._inbox._paused)
        assert len(channel._inbox._unread) <= PAUSE_ABOVE + tcp._CHUNK
        total = 0
        while total < 1024 * 1024:  # reading goes on after a pause
            total += len(await channel.read(4096, SECONDS))
            assert len(channel._inbox._unread) <= PAUSE_ABOVE + tcp._CHUNK
        await channel.close()


async def test_closing_leaves_no_socket_and_may_be_repeated() -> None:
    async with far_end(silence) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        assert open_lines(port) == 1
        await channel.close()
        await channel.close()
        await eventually(lambda: open_lines(port) == 0)
        with pytest.raises(LineDropped):
            await channel.read(1, SECONDS)
        with pytest.raises(LineDropped):
            await channel.write(b"x", SECONDS)


async def test_a_close_that_is_cancelled_leaves_no_socket() -> None:
    async with far_end(deafness) as port:
        channel = await tcp.connect([HERE], port, SECONDS)
        with pytest.raises(LineDropped):
            await channel.write(bytes(64 * 1024 * 1024), 0.01)
        closing = asyncio.create_task(channel.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await eventually(lambda: open_lines(port) == 0)


async def test_a_closed_port_refuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectRefused) as refusal:
            await tcp.connect([HERE], unused.getsockname()[1], SECONDS)
    assert isinstance(refusal.value.__cause__, ConnectionRefusedError)


async def test_the_next_address_is_tried_when_the_first_refuses() -> None:
    async with far_end(silence) as port:
        channel = await tcp.connect([ip_address("127.9.9.9"), HERE], port, SECONDS)
        await channel.close()


@pytest.fixture
def full_port() -> socket.socket:
    """A port whose queue of callers is full, so that the next one gets no answer."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    return listener


async def test_an_address_that_does_not_answer_times_out_and_leaves_no_socket(full_port: socket.socket) -> None:
    port = full_port.getsockname()[1]
    with full_port, socket.create_connection(("127.0.0.1", port)):
        before = open_lines(port)
        with pytest.raises(ConnectTimeout):
            await tcp.connect([HERE], port, 0.05)
        assert open_lines(port) == before


async def test_a_connect_that_is_cancelled_leaves_no_socket(full_port: socket.socket) -> None:
    port = full_port.getsockname()[1]
    with full_port, socket.create_connection(("127.0.0.1", port)):
        before = open_lines(port)
        connecting = asyncio.create_task(tcp.connect([HERE], port, SECONDS))
        await eventually(lambda: open_lines(port) == before + 1)
        connecting.cancel()
        await asyncio.wait([connecting])
        await eventually(lambda: open_lines(port) == before)


@pytest.mark.parametrize(
    ("number", "leaf"),
    [
        (errno.EHOSTUNREACH, ConnectRefused),
        (errno.ENETUNREACH, ConnectRefused),
        (errno.ETIMEDOUT, ConnectTimeout),
        (errno.EMFILE, LineFault),
        (errno.EADDRNOTAVAIL, LineFault),
        (errno.EPROTO, LineFault),
    ],
)
async def test_an_error_of_the_system_becomes_one_of_ours(
    number: int, leaf: type[DiallerError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> socket.socket:
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "socket", fail)
    with pytest.raises(leaf) as error:
        await tcp.connect([HERE], 4059, SECONDS)
    assert isinstance(error.value.__cause__, OSError)


async def test_a_thousand_lines_are_open_at_once() -> None:
    async with far_end(silence) as port:
        async with asyncio.TaskGroup() as group:
            dials = [group.create_task(tcp.connect([HERE], port, 30.0)) for _ in range(1000)]
        channels = [dial.result() for dial in dials]
        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(channel.write(b"/?!\r\n", SECONDS))
        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(channel.close())
        await eventually(lambda: open_lines(port) == 0)


@pytest.mark.parametrize(
    "behaviour",
    [
        test_bytes_travel_both_ways,
        test_what_came_before_the_end_is_read_before_the_end_is_told,
        test_silence_is_told_after_its_time,
        test_a_read_that_waits_is_woken_by_a_reset,
        test_a_line_that_takes_no_bytes_is_dropped,
        test_unread_bytes_are_bounded,
        test_closing_leaves_no_socket_and_may_be_repeated,
        test_a_close_that_is_cancelled_leaves_no_socket,
        test_a_closed_port_refuses,
        test_the_next_address_is_tried_when_the_first_refuses,
        test_a_thousand_lines_are_open_at_once,
    ],
)
def test_the_same_on_uvloop(behaviour: Callable[[], Coroutine[Any, Any, None]]) -> None:
    uvloop.run(behaviour())
