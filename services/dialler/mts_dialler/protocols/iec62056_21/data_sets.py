"""The data sets of a readout or an answer, as meters really write them (iec62056-21.md, section 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_GROUP = re.compile(r"([^()\r\n!]*)\(([^()]*)\)")
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:[.,][0-9]{1,9})?")  # longer ones are texts
_GLUED = re.compile(r"([-+]?[0-9]+(?:[.,][0-9]+)?)([kM]?(?:Wh|W|varh|var|VAh|VA|V|A|Hz))")
_REFUSED = re.compile(r"(?:P\.[0-9]{2,3})?\(?(ER(?:ROR|R)?[0-9]{0,4})\)?")
_CODE = re.compile(
    r"(?:(?:(?P<medium>[0-9]+)-)?(?P<channel>[0-9]+):)?"
    r"(?P<c>[0-9]{1,3}|[CFLP])(?:\.(?P<d>[0-9A-F]{1,3}))?(?:\.(?P<e>[0-9]{1,3}))?"
    r"(?:(?P<mark>[*&])(?P<reset>[0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True)
class Value:
    """The content of one pair of parentheses; `unit` is empty where the meter gave none."""

    text: str
    unit: str = ""

    @property
    def number(self) -> Decimal | None:
        """The value exactly as shown, None if it is no number. A decimal comma counts as a point."""
        return Decimal(self.text.strip().replace(",", ".")) if _NUMBER.fullmatch(self.text.strip()) else None

    @property
    def parts(self) -> tuple[Value, ...]:
        """The values joined by `&` in this one; itself if there is no `&`."""
        return tuple(_parse_value(part) for part in self.text.split("&")) if "&" in self.text else (self,)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A code and the values in parentheses after it. `code` is empty where the meter sent only the value."""

    code: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """The parts of an OBIS or EDIS code. `e` is None where it is left out.

    `reset` is the history index, `manual` whether it was stored at a manual reset; None = the current value.
    """

    c: str
    d: str | None = None
    e: str | None = None
    medium: str | None = None
    channel: str | None = None
    reset: str | None = None
    manual: bool = False

    @property
    def short(self) -> str:
        """`c.d.e` as far as given."""
        return ".".join(part for part in (self.c, self.d, self.e) if part is not None)


def parse_data_sets(text: str) -> list[DataSet]:
    """Every data set in order, duplicates kept; what is no data set is passed over."""
    found: list[DataSet] = []
    for line in text.splitlines():
        new_line = True
        for match in _GROUP.finditer(line):
            code, value = match[1].strip(), _parse_value(match[2])
            if code or new_line:
                found.append(DataSet(code, (value,)))
            else:
                found[-1] = DataSet(found[-1].code, (*found[-1].values, value))
            new_line = False
    return found


def refusal(text: str) -> str:
    """The error that an answer consists of, with or without the code that was asked for; "" if it is none."""
    found = _REFUSED.fullmatch(text.strip())
    return found[1] if found else ""


def is_bare(text: str) -> bool:
    """Is an answer without the code of a profile or log before it?"""
    return not text.lstrip().startswith("P.")


def parse_code(text: str) -> Code | None:
    """None for what is neither OBIS nor EDIS. `*255` means the current value and is dropped."""
    found = _CODE.fullmatch(text)
    if found is None:
        return None
    reset = None if found["reset"] == "255" else found["reset"]
    return Code(found["c"], found["d"], found["e"], found["medium"], found["channel"], reset, found["mark"] == "&")


def _parse_value(body: str) -> Value:
    if "&" in body:
        return Value(body)
    if "*" in body:
        text, _, unit = body.partition("*")
        return Value(text, unit)
    glued = _GLUED.fullmatch(body)
    return Value(glued[1], glued[2]) if glued else Value(body)
