"""A line without a modem: an optical head, an RS-232 or RS-485 port at the meter itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from mts_common.messages import NameValue, Transport
from mts_dialler.channels.own import OpenPort, framing_of, open_port
from mts_dialler.channels.port import Framing, Port
from mts_dialler.errors import LineDropped, LineFault
from mts_dialler.lines_file import LineSettings
from mts_dialler.protocols.parity import CharacterFormat


@contextlib.contextmanager
def port_faults(settings: LineSettings) -> Iterator[None]:
    """A port that is not there, or has gone, is our fault."""
    try:
        yield
    except (LineFault, LineDropped) as error:
        raise LineFault(f"line {settings.name}: {error}") from error


class DirectLine:
    """`OwnLine` with the meter on its port. The port is open, and locked, in a call only."""

    def __init__(self, settings: LineSettings, open_port: OpenPort = open_port) -> None:
        self.settings = settings
        self.rest_seconds = settings.pause_seconds
        self.fit = True
        self._open_port = open_port

    @property
    def _sign_on_baud(self) -> int:
        return self.settings.sign_on_baud or self.settings.baud

    async def check(self) -> None:
        """Can the port be opened?"""
        with port_faults(self.settings):
            port = await self._open_port(self.settings, self._sign_on_baud, self.settings.framing)
        await port.close()

    async def call(self, number: str, coms_settings: str | None) -> DirectChannel:  # noqa: ARG002 - it has one meter
        framing, character_format = framing_of(self.settings, coms_settings)
        with port_faults(self.settings):
            port = await self._open_port(self.settings, self._sign_on_baud, framing)
        return DirectChannel(port, self.settings, framing, character_format)

    async def close(self) -> None:
        """There is nothing to let go of between calls."""


class DirectChannel:
    """`OwnChannel` over a port of ours; made by `DirectLine.call`."""

    transport: Final = Transport.MODEM
    facts: tuple[NameValue, ...] = ()

    def __init__(
        self, port: Port, settings: LineSettings, framing: Framing, character_format: CharacterFormat | None
    ) -> None:
        self.character_format = character_format
        self.close = port.close
        self._port = port
        self._settings = settings
        self._framing = framing

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        with port_faults(self._settings):
            return await self._port.read(max_bytes, seconds)

    async def write(self, data: bytes, seconds: float) -> None:
        with port_faults(self._settings):
            await self._port.write(data, seconds)

    async def set_speed(self, baud: int | None) -> None:
        if self._settings.sign_on_baud is not None:
            with port_faults(self._settings):
                await self._port.set_format(baud or self._settings.sign_on_baud, self._framing)
