"""Phone numbers that a line may dial, and those that must never be.

The grammar is that of a bank's number filter (modems.md, section 1): items divided by `;`, each `number` or `prefix*`,
with `-` before it for the opposite.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mts_common.addresses import international

_ITEM = re.compile(r"(?P<minus>-?)(?P<number>\+?[0-9]*)(?P<any>\*?)")


@dataclass(frozen=True, slots=True)
class Item:
    """`number` as it was written, national or international."""

    number: str
    is_prefix: bool
    minus: bool

    def fits(self, canonical: str, country_code: str) -> bool:
        own = international(self.number, country_code) if self.number else ""
        return canonical.startswith(own) if self.is_prefix else canonical == own


@dataclass(frozen=True, slots=True)
class Numbers:
    """A parsed list of items."""

    items: tuple[Item, ...]

    @classmethod
    def parse(cls, text: str) -> Numbers:
        """Raises ValueError."""
        items = []
        for part in filter(None, map(str.strip, text.split(";"))):
            found = _ITEM.fullmatch(part)
            if found is None or not (found["number"].strip("+") or found["any"]):
                raise ValueError(f"{part!r} is neither a number nor a prefix with *")
            items.append(Item(found["number"], bool(found["any"]), bool(found["minus"])))
        return cls(tuple(items))

    @property
    def allows_some_only(self) -> bool:
        """As a filter: are there items that allow, and none that allows all?"""
        allowing = [item for item in self.items if not item.minus]
        return bool(allowing) and all(item.number for item in allowing)

    def denies(self, canonical: str, country_code: str) -> bool:
        """As a list of what is denied, where `-` makes an exception: the longest item that fits decides."""
        fitting = [item for item in self.items if item.fits(canonical, country_code)]
        longest = max(fitting, key=lambda item: len(international(item.number, country_code)), default=None)
        return longest is not None and not longest.minus
