"""The lines of a dialler: which are free, which rest, and which numbers each may dial."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from mts_common import addresses, metrics
from mts_common.messages import GrantedCall, Transport
from mts_common.vocabulary import about
from mts_dialler.channels.base import Channel
from mts_dialler.channels.own import OwnLine
from mts_dialler.clock import Clock
from mts_dialler.dial import Dial
from mts_dialler.errors import AddressForbidden, LineFault, NotConfigured
from mts_dialler.lines_file import LineSettings
from mts_dialler.numbers import Numbers

_log = logging.getLogger(__name__)


class Lines(Protocol):
    """Lines that may dial the same numbers, so that one ask stands for all of them."""

    @property
    def number_filter(self) -> str:
        """In the grammar of `call.want`; "" = any number, or no numbers at all."""
        ...

    @property
    def total(self) -> int: ...

    @property
    def free(self) -> int:
        """How many calls may still be taken on."""
        ...

    async def start(self) -> None:
        """Returns when they may be used for the first time."""
        ...

    def take(self) -> Dial | None:
        """One line, if one is free."""
        ...

    async def rest(self, *, fault: bool) -> None:
        """Returns when a line that has carried a call may carry another; `fault`: it was at fault."""
        ...

    def give_back(self) -> None:
        """A line that was taken is free."""
        ...


class TcpLines:
    """So many connections at once, all alike."""

    def __init__(self, total: int, dial: Dial, rest_seconds: float, clock: Clock) -> None:
        self.total: Final = total
        self._dial = dial
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._taken = 0

    @property
    def number_filter(self) -> str:
        return ""

    @property
    def free(self) -> int:
        return self.total - self._taken

    async def start(self) -> None:
        """They may be used at once."""

    def take(self) -> Dial | None:
        if not self.free:
            return None
        self._taken += 1
        return self._dial

    async def rest(self, *, fault: bool) -> None:
        if fault:
            await self._clock.sleep(self._rest_seconds)

    def give_back(self) -> None:
        self._taken -= 1


class BankLine:
    """A line of the bank, which asks for itself. It is offered only when it has passed its check since its last fault.

    At fault it rests, twice as long each time in a row up to a limit, is checked, and rests on if it fails.
    """

    total: Final = 1

    def __init__(self, line: OwnLine, settings: LineSettings, denied: Numbers, country_code: str, clock: Clock) -> None:
        self.number_filter: Final = settings.numbers
        self._line = line
        self._settings = settings
        self._denied = denied
        self._country_code = country_code
        self._clock = clock
        self._faults = 0  # in a row
        self._free = False
        metrics.LINE_FAULTS.add(0, {"mts.line": settings.name})

    @property
    def free(self) -> int:
        return int(self._free)

    async def start(self) -> None:
        if not await self._is_fit():
            await self._recover()
        self._free = True

    def take(self) -> Dial | None:
        if not self._free:
            return None
        self._free = False
        return self

    async def rest(self, *, fault: bool) -> None:
        if not fault and self._line.fit:
            self._faults = 0
            await self._clock.sleep(self._line.rest_seconds)
            return
        self._note_fault("it failed in a call" if fault else "it did not hang up")
        await self._recover()

    def give_back(self) -> None:
        self._free = True

    async def __call__(self, call: GrantedCall) -> Channel:
        if self._denied.denies(call.canonical_address, self._country_code):
            raise AddressForbidden("calls to this number are not allowed")
        try:
            address = addresses.parse(call.remote_address, self._country_code)
        except addresses.AddressError as error:
            raise NotConfigured("the address cannot be read") from error
        if address.transport is not Transport.MODEM:
            raise NotConfigured("a modem cannot dial this address")
        return await self._line.call(address.text, call.coms_settings)

    # --- quarantine

    async def _recover(self) -> None:
        while True:
            doubled = self._settings.fault_rest_seconds * 2 ** min(self._faults - 1, 16)
            backoff = min(doubled, self._settings.fault_rest_most_seconds)
            await self._clock.sleep(max(backoff, self._line.rest_seconds))
            if await self._is_fit():
                _log.info("line %s is fit again", self._settings.name, extra=about("line-recovered"))
                return

    async def _is_fit(self) -> bool:
        try:
            await self._line.check()
        except LineFault as error:
            self._note_fault(str(error))
            return False
        metrics.LINE_FIT.set(1, {"mts.line": self._settings.name})
        return True

    def _note_fault(self, why: str) -> None:
        self._faults += 1
        metrics.LINE_FAULTS.add(1, {"mts.line": self._settings.name})
        metrics.LINE_FIT.set(0, {"mts.line": self._settings.name})
        _log.warning("line %s rests: %s", self._settings.name, why, extra=about("line-fault"))
