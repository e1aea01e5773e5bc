"""In what the meter types of the A1700 driver differ (elster-a1700.md, sections 5 to 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mts_dialler.drivers.elster_registers import A1140_COUNTERS, COUNTERS, EXTENDED_COUNTERS, Counter
from mts_dialler.protocols.elster import encodings, identities, layouts
from mts_dialler.protocols.elster.layouts import Layout


@dataclass(frozen=True, slots=True)
class Ratio:
    """An identity that holds a transformer's ratio, primary and secondary."""

    name: str
    identity: str
    octets: int
    parse: Callable[[bytes], tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class ElsterType:
    """How one meter type is read. Identities stand with their octets.

    `request_octets`: of the number of days of load profile asked for; `names_ranges`: a range of days can be asked for
    as well; `own_firmware`: an identity tells the firmware, not the identification.
    """

    product: str
    layout: Layout
    clock: tuple[str, int]
    parse_clock: Callable[[bytes], datetime]
    ratios: tuple[Ratio, ...]
    status_octets: int
    status_words: Callable[[bytes], list[str]]
    counters: tuple[Counter, ...]
    extended_counters: tuple[Counter, ...]
    request_octets: int
    names_ranges: bool = False
    own_firmware: bool = False


A1700 = ElsterType(
    product=identities.A1700,
    layout=layouts.A1700,
    clock=(identities.CLOCK, 7),
    parse_clock=encodings.clock,
    ratios=(
        Ratio("CT", identities.CURRENT_TRANSFORMER, 6, encodings.ratio),
        Ratio("VT", identities.VOLTAGE_TRANSFORMER, 7, encodings.ratio),
    ),
    status_octets=4,
    status_words=identities.status_words,
    counters=COUNTERS,
    extended_counters=EXTENDED_COUNTERS,
    request_octets=2,
)
A1140 = ElsterType(
    product=identities.A1140,
    layout=layouts.A1140,
    clock=(identities.CLOCK_SECONDS, 4),
    parse_clock=encodings.clock_seconds,
    ratios=(
        Ratio("CT", identities.CURRENT_TRANSFORMER, 8, encodings.binary_ratio),
        Ratio("VT", identities.VOLTAGE_TRANSFORMER, 7, encodings.ratio),
    ),
    status_octets=8,
    status_words=identities.status_text,
    counters=A1140_COUNTERS,
    extended_counters=A1140_COUNTERS,
    request_octets=4,
    names_ranges=True,
    own_firmware=True,
)
