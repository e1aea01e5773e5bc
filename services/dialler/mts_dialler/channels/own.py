"""A line of the bank: what it can do, whatever it is; and how its port is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from mts_dialler.channels import remote, rfc2217
from mts_dialler.channels.base import OwnChannel
from mts_dialler.channels.port import EIGHT_NONE_ONE, Framing, Port
from mts_dialler.channels.serial import open_serial
from mts_dialler.errors import NotConfigured
from mts_dialler.lines_file import LineSettings
from mts_dialler.protocols.parity import CharacterFormat

OPEN_SECONDS: Final = 15.0

OpenPort = Callable[[LineSettings, int, Framing], Awaitable[Port]]


class OwnLine(Protocol):
    """One call at a time. A line that failed has let go of its device, and takes it again when it is next used."""

    @property
    def fit(self) -> bool:
        """Did it do what it had to, when it was last used?"""
        ...

    @property
    def rest_seconds(self) -> float:
        """How long the line must rest after its last call, at least."""
        ...

    async def check(self) -> None:
        """Is it fit for a call? Raises `LineFault`."""
        ...

    async def call(self, number: str, coms_settings: str | None) -> OwnChannel:
        """A connected channel, whose `close` hangs up. Leaves no call standing when cancelled.

        Raises `DialBusy`, `DialNoAnswer`, `DialNoCarrier`, `LineFault`, `NotConfigured`.
        """
        ...

    async def close(self) -> None:
        """Lets go of the device. Raises nothing."""
        ...


async def open_port(settings: LineSettings, baud: int, framing: Framing) -> Port:
    """The line's port, open and locked. Raises `LineFault`."""
    if settings.device.startswith(rfc2217.SCHEME):
        return await rfc2217.open_rfc2217(settings.device, baud, framing, OPEN_SECONDS)
    if settings.device.startswith(remote.SCHEME):
        return await remote.open_remote(settings.device, OPEN_SECONDS)
    return open_serial(settings.device, baud, framing)


def framing_of(settings: LineSettings, coms_settings: str | None) -> tuple[Framing, CharacterFormat | None]:
    """How the port is set for a call, and how characters must travel in the octets that it takes then.

    Without hardware framing the port is 8N1 and parity is made in software (modems.md, section 4). Raises
    `NotConfigured` for a comsSettings that this line cannot have.
    """
    try:
        wanted = Framing.parse(coms_settings) if coms_settings else None
    except ValueError as error:
        raise NotConfigured("the comsSettings cannot be read") from error
    if settings.hardware_framing:
        framing = wanted or settings.framing
        return framing, None if framing == EIGHT_NONE_ONE and wanted is None else CharacterFormat.EIGHT_NONE
    if wanted is None:
        return EIGHT_NONE_ONE, None
    carried = wanted.in_software()
    if carried is None:
        raise NotConfigured(f"{coms_settings} needs a line with hardware framing")
    return EIGHT_NONE_ONE, carried
