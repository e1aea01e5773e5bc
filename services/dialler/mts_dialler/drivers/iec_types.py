"""In what the meter types of the IEC 62056-21 driver differ (iec62056-21.md, sections 8 and 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mts_dialler.protocols.parity import CharacterFormat

VDEW_SUSPECT: Mapping[int, str] = {
    0x80: "power failure",
    0x40: "power restored",
    0x20: "clock set",
    0x04: "measurement disturbed",
    0x02: "clock invalid",
    0x01: "fatal error",
}
"""Bits of a P.01 status that make a reading suspect. 10 (reset) and 08 (season, on some meters: summer) do not."""

VDEW_EVENTS: Mapping[int, str] = {
    0x8000: "",  # set along with 20 by EMH
    0x4000: "Load profile cleared",
    0x2000: "Event log cleared",
    0x0400: "Error ended",
    0x0200: "Error began",
    0x0100: "Parameters changed",
    0x0080: "Power down",
    0x0040: "Power up",
    0x0020: "Clock set",
    0x0010: "Demand reset",
    0x0008: "Season change",
    0x0004: "Measurement disturbed",
    0x0002: "Running reserve exhausted",
    0x0001: "Fatal error",
}
"""Bits of a P.98 status."""

NOTHING_STORED = frozenset({"ERROR", "ER38"})
"""What meters answer to P.01 and P.98 where they have nothing to give."""


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """How one meter type is read.

    `profile_command` R5 gives P.01 in one answer, R6 in blocks of `rows_per_block`, of which the first that the meter
    takes is kept to; None: no programming mode is used, the readout is all. `names_seconds`: whether the times of a
    request have seconds. `season_status`: the P.01 status of the period that ends at a change of season, which is
    nothing to suspect.
    """

    profile_command: str | None = "R5"
    rows_per_block: tuple[int, ...] = ()
    names_seconds: bool = False
    season_status: int | None = None
    event_log: bool = False
    list_character: str = "?"
    error_bits: Mapping[int, str] = field(default_factory=dict)
    event_log_age: timedelta = timedelta(days=31)
    survey_chunk: timedelta = timedelta(days=1)
    character_format: CharacterFormat = CharacterFormat.SEVEN_EVEN


GENERAL = MeterProfile()
LANDIS_GYR_E650 = MeterProfile(event_log=True)
EMH_LZQJ = MeterProfile(
    profile_command="R6", rows_per_block=(24, 8), names_seconds=True, season_status=0x28, event_log=True
)
ISKRA_MT174 = MeterProfile(
    profile_command=None,
    error_bits={0: "Firmware error", 1: "Parameter checksum error", 2: "Energy checksum error", 6: "Maintenance due"},
)
