"""The event log P.98 and its like (iec62056-21.md, section 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mts_dialler.protocols.iec62056_21.data_sets import parse_data_sets
from mts_dialler.protocols.iec62056_21.stamps import Stamp, parse_stamp

_LOG = re.compile(r"P\.(?:98|99)")
_STATUS = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """`stamp` is the clock before a change of it; `values` what the meter noted with the event, in order, by code."""

    stamp: Stamp
    status: int
    values: tuple[tuple[str, str], ...] = ()


def parse_event_log(text: str) -> list[LogEntry]:
    """The entries in the order sent, which need not be that of time. What is no entry is passed over."""
    entries = (
        _parse_entry([value.text for value in data_set.values])
        for data_set in parse_data_sets(text)
        if _LOG.fullmatch(data_set.code)
    )
    return [entry for entry in entries if entry is not None]


def _parse_entry(fields: list[str]) -> LogEntry | None:
    """(stamp)(status)()(k), k times (code)(unit), k times (value)."""
    if len(fields) < 4 or not _STATUS.fullmatch(fields[1]):
        return None
    stamp = parse_stamp(fields[0])
    count = int(fields[3]) if fields[3].isascii() and fields[3].isdigit() and len(fields[3]) < 3 else -1
    if stamp is None or len(fields) != 4 + 3 * count:
        return None
    codes = fields[4 : 4 + 2 * count : 2]
    return LogEntry(stamp, int(fields[1], 16), tuple(zip(codes, fields[4 + 2 * count :], strict=True)))
