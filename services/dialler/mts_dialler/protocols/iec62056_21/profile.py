"""The load profile P.01 (iec62056-21.md, section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mts_dialler.protocols.iec62056_21.data_sets import Value, is_bare, refusal
from mts_dialler.protocols.iec62056_21.stamps import Stamp, parse_stamp

MAX_CHANNELS = 64
MAX_MINUTES = 24 * 60

Row = tuple[Decimal | None, ...]

_HEADER = re.compile(r"P\.[0-9]{2,3}(?=\()")
_GROUP = re.compile(r"\(([^()]*)\)")
_STATUS = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Channel:
    code: str
    unit: str


@dataclass(frozen=True, slots=True)
class Block:
    """One header and its rows. The first row's period ends at `stamp`, each further one `minutes` later.

    `status` applies to all rows: a meter writes a new header when it changes. A value is None where the meter sent
    none.
    """

    stamp: Stamp
    status: int
    minutes: int
    channels: tuple[Channel, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """`complete`: everything in the answer was understood, and it was whole. `error`: what the meter sent instead.

    `bare`: the error came without the code of the profile.
    """

    blocks: tuple[Block, ...]
    complete: bool
    error: str = ""
    bare: bool = False


def parse_profile(text: str, *, ended: bool = True) -> Profile:
    """An answer to P.01, its partial blocks joined as they came, with or without line ends between them.

    `ended` False: the answer broke off. Only complete rows are given, up to the first thing that cannot be understood
    under each header.
    """
    if error := refusal(text):
        return Profile((), complete=True, error=error, bare=is_bare(text))
    starts = [match.start() for match in _HEADER.finditer(text)]
    if not starts:
        return Profile((), complete=ended and not text.strip())
    blocks: list[Block] = []
    complete = ended and not text[: starts[0]].strip()
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        block, whole = _parse_block(text[start:end])
        complete = complete and whole
        if block is not None:
            blocks.append(block)
    return Profile(tuple(blocks), complete)


def _parse_block(text: str) -> tuple[Block | None, bool]:
    """The block, None if its header is unreadable; and whether all of it was understood."""
    groups = _GROUP.findall(text)
    header = _parse_header(groups)
    if header is None:
        return None, False
    stamp, status, minutes, channels = header
    width = len(channels)
    body = text[_end_of_group(text, 4 + 2 * width) :]
    rows, whole = _parse_rows(body, width)
    return Block(stamp, status, minutes, channels, tuple(rows)), whole


def _parse_header(groups: Sequence[str]) -> tuple[Stamp, int, int, tuple[Channel, ...]] | None:
    """(stamp)(status)(minutes)(n) and n times (code)(unit)."""
    if len(groups) < 4:
        return None
    stamp = parse_stamp(groups[0])
    minutes, count = _count(groups[2], MAX_MINUTES), _count(groups[3], MAX_CHANNELS)
    if stamp is None or not _STATUS.fullmatch(groups[1]) or not minutes or not count or len(groups) < 4 + 2 * count:
        return None
    names = groups[4 : 4 + 2 * count]
    if any(Value(unit).number is not None for unit in names[1::2]):
        return None
    channels = tuple(Channel(code, unit) for code, unit in zip(names[::2], names[1::2], strict=True))
    return stamp, int(groups[1], 16), minutes, channels


def _count(text: str, most: int) -> int:
    """0 for what is no number from 1 to `most`."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    return number if number <= most else 0


def _end_of_group(text: str, count: int) -> int:
    end = 0
    for _ in range(count):
        end = text.index(")", end) + 1
    return end


def _parse_rows(body: str, width: int) -> tuple[list[Row], bool]:
    """Rows of `width` values, and whether nothing was left over.

    Rows are told by their number of values, because some meters put no line end between partial blocks, and a line may
    be folded. But if the whole does not divide, a line that does not divide ends what can be trusted.
    """
    lines = [_GROUP.findall(line) for line in body.splitlines()]
    whole = not _GROUP.sub("", body).strip() and sum(map(len, lines)) % width == 0
    values: list[str] = []
    for line in lines:
        values += line
        if not whole and len(line) % width:
            break
    rows = [_parse_row(values[start : start + width]) for start in range(0, len(values) - width + 1, width)]
    return rows, whole


def _parse_row(values: Iterable[str]) -> Row:
    return tuple(Value(value).number for value in values)
