"""Which numbers a bank of modems may dial.

A filter is a list of items divided by `;`: `number` or `prefix*` allows, `-number` or `-prefix*` forbids; what is not
forbidden and fits one of those that allow may be dialled. Without an item that allows, everything not forbidden may.
Grammar: modems.md section 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mts_common.addresses import international

_ITEM = re.compile(r"(?P<forbid>-?)(?P<number>(?:\+?[0-9]+)?)(?P<any>\*?)")


class FilterFault(ValueError):
    """A filter that is not of the grammar."""


@dataclass(frozen=True, slots=True)
class Admission:
    """LIKE patterns of canonical addresses: of those that may be dialled, and those among them that may not."""

    allowed: tuple[str, ...] = ("%",)
    forbidden: tuple[str, ...] = ()


def admission(number_filter: str, country_code: str) -> Admission:
    """What a filter lets through. Its numbers are national or international, as in a remoteAddress.

    Raises `FilterFault`.
    """
    patterns: dict[str, list[str]] = {"": [], "-": []}
    for item in filter(None, map(str.strip, number_filter.split(";"))):
        found = _ITEM.fullmatch(item)
        if found is None or not (found["number"] or found["any"]):
            raise FilterFault(f"{item!r} is neither a number nor a prefix with *")
        number = international(found["number"], country_code) if found["number"] else ""
        patterns[found["forbid"]].append(number + ("%" if found["any"] else ""))
    return Admission(tuple(patterns[""] or ["%"]), tuple(patterns["-"]))
