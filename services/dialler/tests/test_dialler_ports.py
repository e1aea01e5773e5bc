"""Serial ports, here and behind servers, and lines without a modem."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import serial
from serial.rfc2217 import PortManager

from mts_common.messages import Transport
from mts_dialler.channels.base import OwnChannel
from mts_dialler.channels.direct import DirectLine
from mts_dialler.channels.modem import ModemLine
from mts_dialler.channels.own import open_port
from mts_dialler.channels.port import EIGHT_NONE_ONE, Framing, Port
from mts_dialler.channels.serial import open_serial
from mts_dialler.errors import LineDropped, LineFault, MeterSilent
from mts_dialler.lines_file import LineSettings
from mts_dialler.protocols.parity import CharacterCodec, CharacterFormat
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import running_bank, to_host_and_port
from mts_metersim.modem_plan import ModemSpec, Plan, Subscriber
from mts_metersim.testing import far_end

SECONDS = 5.0


class Far:
    """The other end of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self.master, False)

    @property
    def speed(self) -> int:
        """The constant of the speed that the port is set to."""
        return int(termios.tcgetattr(self.master)[4])

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    async def heard(self, count: int) -> bytes:
        data = b""
        async with asyncio.timeout(SECONDS):
            while len(data) < count:
                with suppress(BlockingIOError):
                    data += os.read(self.master, count - len(data))
                await asyncio.sleep(0.001)
        return data

    def vanish(self) -> None:
        os.close(self.master)
        self.master = -1


@pytest.fixture
def far() -> Iterator[Far]:
    end = Far()
    yield end
    if end.master >= 0:
        end.vanish()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


async def read(port: Port | OwnChannel, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await port.read(count - len(data), SECONDS)
    return data


# --- a port of this machine


async def test_a_serial_port_carries_every_octet(far: Far) -> None:
    port = open_serial(far.path, 9600, EIGHT_NONE_ONE)
    everything = bytes(range(256))
    far.say(everything)
    assert await read(port, 256) == everything
    await port.write(everything, SECONDS)
    assert await far.heard(256) == everything
    assert port.carrier is None
    with pytest.raises(MeterSilent):
        await port.read(1, 0.01)
    await port.close()
    await port.close()
    with pytest.raises(LineDropped):
        await port.read(1, SECONDS)


async def test_dropping_dtr_is_seen_at_the_other_end_and_undone(far: Far) -> None:
    port = open_serial(far.path, 9600, EIGHT_NONE_ONE)
    dropping = asyncio.create_task(port.drop_dtr(0.1))
    await until(lambda: far.speed == termios.B0)
    assert await dropping
    assert far.speed == termios.B9600
    await port.close()


async def test_dtr_is_not_left_off_by_who_is_cancelled(far: Far) -> None:
    port = open_serial(far.path, 2400, EIGHT_NONE_ONE)
    dropping = asyncio.create_task(port.drop_dtr(60))
    await until(lambda: far.speed == termios.B0)
    dropping.cancel()
    await asyncio.wait([dropping])
    assert far.speed == termios.B2400
    await port.close()


async def test_the_speed_changes_when_what_was_written_has_been_sent(far: Far) -> None:
    port = open_serial(far.path, 300, EIGHT_NONE_ONE)
    began = asyncio.get_running_loop().time()
    await port.write(b"\x06051\r\n", SECONDS)
    await port.set_format(9600, EIGHT_NONE_ONE)
    assert asyncio.get_running_loop().time() - began >= 6 * 10 / 300
    assert far.speed == termios.B9600
    await port.close()


async def test_a_port_that_goes_away_is_told_of_whatever_is_done(far: Far) -> None:
    port = open_serial(far.path, 9600, EIGHT_NONE_ONE)
    far.say(b"last")
    assert await read(port, 4) == b"last"
    far.vanish()
    with pytest.raises(LineDropped, match="has gone"):
        await port.read(1, SECONDS)
    with pytest.raises(LineDropped):
        await port.write(b"x", SECONDS)
    for change in (lambda: port.drop_dtr(0.0), lambda: port.set_format(300, EIGHT_NONE_ONE)):
        with pytest.raises(LineDropped):
            await change()
    assert port.carrier is None
    await port.close()


async def test_a_port_that_takes_nothing_is_given_up(far: Far) -> None:
    port = open_serial(far.path, 115200, EIGHT_NONE_ONE)
    with pytest.raises(LineDropped, match=r"took no bytes for 0\.1 s"):
        await port.write(bytes(1_000_000), 0.1)
    await port.close()


@pytest.mark.parametrize("framing", ["7E1", "8N1"])
async def test_what_is_no_port_is_our_fault(tmp_path: Path, framing: str) -> None:
    (tmp_path / "file").write_text("")
    for name in ("none", "file"):
        with pytest.raises(LineFault, match="cannot be opened"):
            open_serial(str(tmp_path / name), 9600, Framing.parse(framing))


# --- a line without a modem


async def test_a_direct_line_signs_on_slowly_and_goes_faster(far: Far) -> None:
    line = DirectLine(
        LineSettings(name="head", device=far.path, kind="direct", numbers="0001", sign_on_baud=300, pause_seconds=1)
    )
    await line.check()
    assert line.rest_seconds == 1
    channel = await line.call("0001", "7E1")
    assert channel.transport is Transport.MODEM
    assert far.speed == termios.B300
    codec = CharacterCodec(channel.character_format or CharacterFormat.EIGHT_NONE)
    await channel.write(codec.encode(b"/?!\r\n"), SECONDS)
    assert await far.heard(5) == bytes.fromhex("af3f218d0a")
    await channel.set_speed(9600)
    assert far.speed == termios.B9600
    far.say(bytes.fromhex("af3f218d0a"))
    assert codec.decode(await read(channel, 5)) == b"/?!\r\n"
    await channel.set_speed(None)
    assert far.speed == termios.B300
    far.vanish()
    with pytest.raises(LineFault, match="line head: the serial port has gone"):
        await channel.read(1, SECONDS)
    await channel.close()
    await line.close()
    with pytest.raises(LineFault, match="line head: "):
        await line.check()


async def test_a_line_of_one_speed_never_changes_it(far: Far) -> None:
    line = DirectLine(LineSettings(name="bus", device=far.path, kind="direct", numbers="0001", baud=4800))
    channel = await line.call("0001", None)
    await channel.set_speed(9600)
    assert far.speed == termios.B4800
    await channel.close()


# --- behind a server


@asynccontextmanager
async def tcp_serial_server(device: Path) -> AsyncIterator[str]:
    """Bytes alone, as a terminal server in raw mode passes them on."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = open_serial(str(device), 9600, EIGHT_NONE_ONE)

        async def up() -> None:
            with suppress(LineDropped):
                while True:
                    writer.write(await port.read(1000, 60))

        going_up = asyncio.create_task(up())
        with suppress(ConnectionError):
            while data := await reader.read(1000):
                await port.write(data, SECONDS)
        await port.close()
        await going_up
        over.set()

    async with far_end(serve) as port:
        yield f"tcp://127.0.0.1:{port}"
        async with asyncio.timeout(SECONDS):
            await over.wait()


async def test_a_modem_behind_a_tcp_serial_server_is_hung_up_by_escape(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def meter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data.upper())
        ended.set()

    with CallLog(None) as log:
        async with AsyncExitStack() as stack:
            number = Subscriber(to=f"127.0.0.1:{await stack.enter_async_context(far_end(meter))}")
            plan = Plan((ModemSpec("m1", dtr_wired=False),), {"0770": number}, 0)
            await stack.enter_async_context(running_bank(plan, tmp_path, to_host_and_port, log))
            url = await stack.enter_async_context(tcp_serial_server(tmp_path / "m1"))
            settings = LineSettings(
                name="far", device=url, command_seconds=0.5, reset_pause_seconds=0, guard_seconds=0.1, settle_seconds=0
            )
            line = ModemLine(settings)
            channel = await line.call("0770", None)
            await channel.write(b"meter", SECONDS)
            assert await read(channel, 5) == b"METER"
            await channel.close()
            async with asyncio.timeout(SECONDS):
                await ended.wait()
            await line.close()


class TerminalServer:
    """RFC 2217 in front of a port whose output is its input, one caller at a time; pyserial's own server side."""

    def __init__(self) -> None:
        self.port = serial.serial_for_url("loop://", timeout=0.02)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self._caller: socket.socket | None = None
        self._manager: PortManager
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def write(self, data: bytes) -> None:
        if self._caller is not None:
            self._caller.sendall(data)

    def _serve(self) -> None:
        self._caller, _ = self._listener.accept()
        self._manager = PortManager(cast(Any, self.port), cast(Any, self))
        reading = threading.Thread(target=self._read)
        reading.start()
        with suppress(OSError):
            while data := self._caller.recv(1000):
                self.port.write(b"".join(self._manager.filter(data)))
        self.port.close()
        reading.join()
        self._caller.close()

    def _read(self) -> None:
        with suppress(OSError, TypeError):
            while self.port.is_open:
                self.write(b"".join(self._manager.escape(self.port.read(self.port.in_waiting or 1))))
                self._manager.check_modem_lines()

    def stop(self) -> None:
        if self._caller is not None:
            with suppress(OSError):
                self._caller.shutdown(socket.SHUT_RDWR)
        else:
            socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(SECONDS)
        self._listener.close()


@pytest.fixture
def server() -> Iterator[TerminalServer]:
    there = TerminalServer()
    yield there
    there.stop()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name).. is deprecated")
async def test_rfc_2217_carries_bytes_settings_and_dtr(server: TerminalServer) -> None:
    settings = LineSettings(name="far", device=server.url)
    port = await open_port(settings, 300, Framing(7, "E", 1))
    assert (server.port.baudrate, server.port.bytesize, server.port.parity) == (300, 7, "E")
    await port.set_format(9600, EIGHT_NONE_ONE)
    assert (server.port.baudrate, server.port.bytesize, server.port.parity) == (9600, 8, "N")
    everything = bytes(range(256))
    await port.write(everything, SECONDS)
    assert await read(port, 256) == everything
    await until(lambda: port.carrier is True)
    with pytest.raises(MeterSilent):
        await port.read(1, 0.01)
    assert server.port.dtr
    dropping = asyncio.create_task(port.drop_dtr(0.2))
    await until(lambda: not server.port.dtr)
    assert await dropping
    assert server.port.dtr
    server.stop()
    with pytest.raises(LineDropped):
        await port.read(1, SECONDS)
    with pytest.raises(LineDropped):
        await port.write(b"x", SECONDS)
    await port.close()


@pytest.mark.parametrize("scheme", ["tcp", "rfc2217"])
async def test_a_server_that_is_not_there_is_our_fault(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    settings = LineSettings(name="far", device=f"{scheme}://127.0.0.1:{nobody}")
    with pytest.raises(LineFault, match="cannot be opened"):
        await open_port(settings, 9600, EIGHT_NONE_ONE)


@pytest.mark.parametrize(
    ("text", "carried"),
    [("7E1", CharacterFormat.SEVEN_EVEN), ("7N2", CharacterFormat.SEVEN_MARK), ("8N1", CharacterFormat.EIGHT_NONE)],
)
def test_a_framing_is_read_and_written(text: str, carried: CharacterFormat) -> None:
    assert str(Framing.parse(text)) == text
    assert Framing.parse(text).in_software() is carried
    assert Framing.parse("8E1").in_software() is None
    for wrong in ("", "7E", "9N1", "7E3", "7e1"):
        with pytest.raises(ValueError, match="no framing"):
            Framing.parse(wrong)
