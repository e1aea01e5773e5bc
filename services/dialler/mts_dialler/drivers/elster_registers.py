"""From the identities of an A1700 to registers and events (elster-a1700.md, sections 5, 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mts_common.messages import RegisterCategory, RegisterReading
from mts_dialler.drivers.survey import shown
from mts_dialler.protocols.elster import encodings, identities, layouts
from mts_dialler.protocols.elster.layouts import Layout

CUMULATIVE_OCTETS = 8  # of each register
MAXIMUM_DEMAND_OCTETS = 12
MAXIMUM_DEMANDS = 24  # 8 registers of the 3 greatest each
_BEST = 3


@dataclass(frozen=True, slots=True)
class Source:
    """What a source code counts. `unit` is that of power; an empty one has a scale of its own that we do not know."""

    quantity: str
    direction: str
    unit: str
    survey: str

    def named(self, kind: str) -> str:
        return f"{self.quantity} {kind} {self.direction}".strip() if self.unit else self.quantity


def _source(code: int) -> Source:
    match code:
        case 1:
            return Source("Active", "Import", "kW", "kWh Import")
        case 2:
            return Source("Active", "Export", "kW", "kWh Export")
        case 3 | 4 | 5 | 6:
            return Source("Reactive", f"Q{code - 2}", "kvar", f"kvarh Q{code - 2}")
        case 7:
            return Source("Apparent", "", "kVA", "kVAh Import")
        case layouts.VA_EXPORT:
            return Source("Apparent", "Export", "kVA", "kVAh Export")
        case 8 | 9 | 10:
            return Source(f"CDR {code - 7}", "", "", f"CDR {code - 7}")
        case _:
            return Source(f"External {code - 10}", "", "", f"External {code - 10}")


SOURCES: dict[int, Source] = {code: _source(code) for code in identities.SOURCES}


@dataclass(frozen=True, slots=True)
class Instantaneous:
    """A code of identity 605 and what 606 then holds."""

    code: int
    name: str
    units: str


INSTANTANEOUS: tuple[tuple[Instantaneous, ...], ...] = (
    (
        Instantaneous(0x1A, "Current L1", "A"),
        Instantaneous(0x2A, "Current L2", "A"),
        Instantaneous(0x4A, "Current L3", "A"),
        Instantaneous(0x08, "Frequency", "Hz"),
    ),
    (
        Instantaneous(0x1B, "Voltage L1", "V"),
        Instantaneous(0x2B, "Voltage L2", "V"),
        Instantaneous(0x4B, "Voltage L3", "V"),
        Instantaneous(0x03, "Power Factor", ""),
    ),
    (
        Instantaneous(0x1C, "Active Power L1", "kW"),
        Instantaneous(0x2C, "Active Power L2", "kW"),
        Instantaneous(0x4C, "Active Power L3", "kW"),
        Instantaneous(0x0C, "Total Active Power", "kW"),
    ),
    (
        Instantaneous(0x0D, "Total Reactive Power", "kvar"),
        Instantaneous(0x0E, "Total Apparent Power", "kVA"),
    ),
)
"""Requests of up to four values. The scaled codes (A to E) are those after the transformers."""


def number(category: RegisterCategory, name: str, value: Decimal, units: str, read_at: datetime) -> RegisterReading:
    return RegisterReading(category=category, name=name, number=value, units=units, read_at=read_at)


def cumulative(data: bytes, layout: Layout, read_at: datetime) -> Iterator[RegisterReading]:
    """Identity 507."""
    for index in range(layout.cumulative):
        if code := layout.source(index + 1):
            source = SOURCES[code]
            category = RegisterCategory.ENERGY if source.unit else RegisterCategory.MISCELLANEOUS
            yield _energy(category, source, "", data[8 * index : 8 * index + 8], read_at)


def time_of_use(data: bytes, codes: bytes, layout: Layout, read_at: datetime) -> Iterator[RegisterReading]:
    """Identities 508 and 667: rate registers, numbered from 1; those without a source are not in use."""
    for index, code in enumerate(codes):
        if source := layout.source(code):
            octets = data[8 * index : 8 * index + 8]
            yield _energy(RegisterCategory.TIME_OF_USE, SOURCES[source], f" T{index + 1}", octets, read_at)


def _energy(
    category: RegisterCategory, source: Source, suffix: str, octets: bytes, read_at: datetime
) -> RegisterReading:
    count = encodings.bcd_reversed(octets)
    value = encodings.kilo(count) if source.unit else Decimal(count)
    units = f"{source.unit}h" if source.unit else ""
    return number(category, source.named("Energy") + suffix, value, units, read_at)


@dataclass(frozen=True, slots=True)
class Maximum:
    """A maximum demand and its name."""

    name: str
    units: str
    demand: encodings.MaximumDemand


def maximum_demands(data: bytes, layout: Layout) -> Iterator[Maximum]:
    """Identity 510: of each register the three greatest, in falling order; those never reached are left out.

    A second register of the same source is named by its number, the second and third greatest by their rank.
    """
    named: set[int] = set()
    size = MAXIMUM_DEMAND_OCTETS * _BEST
    for register, start in enumerate(range(0, len(data), size), start=1):
        octets = data[start : start + size]
        entries = [
            encodings.maximum_demand(octets[at : at + MAXIMUM_DEMAND_OCTETS])
            for at in range(0, size, MAXIMUM_DEMAND_OCTETS)
        ]
        used = [entry for entry in entries if layout.source(entry.source) and entry.at is not None]
        repeated = {entry.source for entry in used} & named
        for rank, entry in enumerate(sorted(used, key=lambda each: each.value, reverse=True), start=1):
            source = SOURCES[layout.source(entry.source)]
            name = source.named("Maximum Demand") if source.unit else f"{source.quantity} Maximum Demand"
            name += f" Register {register}" if entry.source in repeated else ""
            yield Maximum(name + (f" Rank {rank}" if rank > 1 else ""), source.unit, entry)
        named |= {entry.source for entry in used}


@dataclass(frozen=True, slots=True)
class Counter:
    """An event counter: the register's name, the event's, and where its octets stand (plain and extended models).

    `counts` 2-octet counters come first; of the stamps, newest first, only the starts are told; `phases` says whether
    an octet for each stamp follows.
    """

    identity: str
    name: str
    event: str
    octets: int
    stamps_at: int
    stamps: int
    phases_at: int | None = None


COUNTERS = (
    Counter(identities.PHASE_FAILURES, "Phase Failures", "Phase failure", 17, 2, 3, 14),
    Counter(identities.REVERSE_RUNS, "Reverse Runs", "Reverse running", 14, 2, 3),
    Counter(identities.POWER_DOWNS, "Power Downs", "Power down", 14, 2, 3),
)
EXTENDED_COUNTERS = (
    Counter(identities.PHASE_FAILURES, "Phase Failures", "Phase failure", 63, 18, 5, 58),
    Counter(identities.REVERSE_RUNS, "Reverse Runs", "Reverse running", 46, 6, 5),
    Counter(identities.POWER_DOWNS, "Power Downs", "Power down", 22, 2, 5),
)
A1140_COUNTERS = (
    Counter(identities.TERMINAL_COVER, "Terminal Cover Openings", "Terminal cover opened", 14, 2, 3),
    Counter(identities.MAIN_COVER, "Main Cover Openings", "Main cover opened", 14, 2, 3),
    *COUNTERS,
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`at` is the meter's wall clock (naive)."""

    text: str
    at: datetime


def count(counter: Counter, data: bytes) -> int:
    """How often it happened; an extended phase failure counter has one count for each phase."""
    counts = 3 if counter.phases_at is not None and counter.octets > 17 else 1
    return sum(encodings.little(data[2 * index : 2 * index + 2]) for index in range(counts))


def occurrences(counter: Counter, data: bytes) -> Iterator[Occurrence]:
    """The last ones, newest first."""
    for index in range(counter.stamps):
        start = counter.stamps_at + 4 * index
        at = encodings.stamp(data[start : start + 4])
        if at is not None:
            phase = "" if counter.phases_at is None else f" (phase {data[counter.phases_at + index]})"
            yield Occurrence(counter.event + phase, at)


def at_time(maximum: Maximum, at: datetime, read_at: datetime) -> RegisterReading:
    """When a maximum was reached (UTC), as a register beside it."""
    return RegisterReading(
        category=RegisterCategory.MISCELLANEOUS, name=f"{maximum.name} Time", text=shown(at), read_at=read_at
    )
