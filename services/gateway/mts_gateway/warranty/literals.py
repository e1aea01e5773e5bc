"""Text of a client as the value of an attribute: typed, bounded, or refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal

from mts_gateway.strict_json import is_storable
from mts_gateway.warranty.resources import Attribute, Kind

Value = str | int | Decimal | bool | date | datetime
"""What an attribute holds, other than null."""

LARGEST_INTEGER = 2**63 - 1

_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE
)
_LOST_PLUS = re.compile(r" (?=\d\d:\d\d$)")
_FLAGS = {"true": True, "y": True, "false": False, "n": False}


class WrongLiteral(ValueError):
    """The text is no value of the attribute's type."""


def read_literal(attribute: Attribute, text: str) -> Value:
    """The value that `text` means for this attribute. Raises `WrongLiteral`, whose text shows it."""
    try:
        return _READERS[attribute.kind](text)
    except (ValueError, OverflowError):
        raise WrongLiteral(f"{text[:100]!r} is no {attribute.kind} for {attribute.name}") from None


def read_number(text: str) -> int | Decimal:
    """A number; whole ones that a 64-bit column may hold are integers. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError
    number = Decimal(text)
    whole = number == number.to_integral_value()
    return int(number) if whole and abs(number) <= LARGEST_INTEGER else number


def read_date(text: str) -> date:
    """A day as YYYY-MM-DD. Raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def _read_timestamp(text: str) -> datetime:
    """A moment with its zone, or a day, which means its midnight (UTC); a "+" that was sent as such came as a space."""
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    found = _TIMESTAMP.fullmatch(_LOST_PLUS.sub("+", text))
    if not found:
        raise ValueError
    return datetime.fromisoformat(found[1] + found[2].upper()).astimezone(UTC)


def _read_text(text: str) -> str:
    if not is_storable(text):
        raise ValueError
    return text


def _read_flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError
    return _FLAGS[text.lower()]


_READERS = {
    Kind.INTEGER: read_number,
    Kind.NUMBER: read_number,
    Kind.STRING: _read_text,
    Kind.BOOLEAN: _read_flag,
    Kind.DATE: read_date,
    Kind.TIMESTAMP: _read_timestamp,
}
