"""The bank: every line of the lines file, held as long as the dialler runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mts_dialler.channels.direct import DirectLine
from mts_dialler.channels.modem import ModemLine
from mts_dialler.channels.own import OwnLine
from mts_dialler.clock import Clock
from mts_dialler.lines import BankLine
from mts_dialler.lines_file import LineKind, LineSettings
from mts_dialler.numbers import Numbers


@asynccontextmanager
async def open_bank(
    lines: Sequence[LineSettings], denied: Numbers, country_code: str, clock: Clock
) -> AsyncIterator[list[BankLine]]:
    """The lines, none of them touched before its `start`; on leaving, their devices are let go of."""
    own = [_own(settings, clock) for settings in lines]
    try:
        yield [
            BankLine(line, settings, _denied_on(settings, denied), country_code, clock)
            for line, settings in zip(own, lines, strict=True)
        ]
    finally:
        await asyncio.gather(*(line.close() for line in own))


def _own(settings: LineSettings, clock: Clock) -> OwnLine:
    if settings.kind is LineKind.DIRECT:
        return DirectLine(settings)
    return ModemLine(settings, clock)


def _denied_on(settings: LineSettings, denied: Numbers) -> Numbers:
    """A direct line's numbers are names: nothing is dialled."""
    return Numbers(()) if settings.kind is LineKind.DIRECT else denied
