"""The single values of a registry file (registry-seed.md), read strictly: nothing is rounded, guessed or cut."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from mts_common import addresses, catalogue
from mts_common.addresses import AddressError
from mts_common.messages import zone_key
from mts_gateway.strict_json import Members, flaw

MAX_WHOLE = 2**53 - 1
MAX_DECIMAL = 100  # characters

Read = Callable[[object], object]
"""Takes a JSON value that is not null; what to store, itself of JSON types or Decimal. Raises `Unfit`."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DEVICE_ID = re.compile(r"[0-9]{15,16}")


class Unfit(ValueError):
    """A value that its key cannot take; the text says what is wrong with it and never repeats it."""


def text(most: int, least: int = 0) -> Read:
    """A string of `least` to `most` characters."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Unfit("must be a string")
        if not least <= len(value) <= most:
            raise Unfit(f"must have {least} to {most} characters" if least else f"must not be longer than {most}")
        if problem := flaw(value):
            raise Unfit(problem)
        return value

    return read


def known_text(most: int) -> Read:
    """A string; an empty one says that it is not known."""
    read_text = text(most)
    return lambda value: read_text(value) or None


def whole(least: int = 1, most: int = MAX_WHOLE) -> Read:
    """A whole number."""

    def read(value: object) -> int:
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Unfit(f"must be a whole number from {least} to {most}")
        return value

    return read


def number_of(*choices: int) -> Read:
    """One of `choices`."""
    read_whole = whole(min(choices), max(choices))

    def read(value: object) -> object:
        number = read_whole(value)
        if number not in choices:
            raise Unfit(f"must be one of {', '.join(map(str, choices))}")
        return number

    return read


def decimal(least: int | None = None, most: int | None = None) -> Read:
    """A decimal, in a string or as a number, with all its digits."""
    low, high = "any" if least is None else least, "any" if most is None else most
    bounds = "" if least is None and most is None else f" from {low} to {high}"

    def read(value: object) -> Decimal:
        number = _number(value)
        if number is None or (least is not None and number < least) or (most is not None and number > most):
            raise Unfit(f"must be a decimal{bounds}, as a number or a string")
        return number

    return read


def _number(value: object) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if len(value) <= MAX_DECIMAL and _DECIMAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    shown = str(value)
    return Decimal(value) if len(shown) <= MAX_DECIMAL and _DECIMAL.fullmatch(shown) else None


def flag(value: object) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise Unfit("must be true or false")
    return value


def uuid(value: object) -> str:
    """A UUID in its canonical form."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Unfit("must be a UUID")
    return str(UUID(value))


def device_id(value: object) -> str:
    """The number of a device, which is text."""
    if not isinstance(value, str) or not _DEVICE_ID.fullmatch(value):
        raise Unfit("must be a string of 15 or 16 digits")
    return value


def day(value: object) -> str:
    """A date."""
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise Unfit("must be a date in the form yyyy-MM-dd")


def moment(value: object) -> str:
    """A time with a zone, in UTC."""
    try:
        if isinstance(value, str) and (found := datetime.fromisoformat(value)).tzinfo is not None:
            return found.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass
    raise Unfit("must be an ISO 8601 time with a zone")


def zone(value: object) -> str:
    """An IANA time zone."""
    try:
        if isinstance(value, str):
            return zone_key(value)
    except ValueError:
        pass
    raise Unfit("must be an IANA time zone, e.g. Europe/London")


def choice(*choices: str) -> Read:
    """One of `choices`."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Unfit(f"must be one of {', '.join(choices)}")
        return value

    return read


def items(read_item: Read, most: int) -> Read:
    """A list without doubles."""

    def read(value: object) -> list[object]:
        if not isinstance(value, list) or isinstance(value, Members) or len(value) > most:
            raise Unfit(f"must be a list of at most {most}")
        found = [read_item(item) for item in value]
        if len(set(map(str, found))) < len(found):
            raise Unfit("must not name the same twice")
        return found

    return read


def by_channel(value: object) -> dict[str, Decimal]:
    """Decimals by the name of their channel; null is a value that is not there."""
    if not isinstance(value, Members):
        raise Unfit("must be an object of channel names with decimals")
    read_name, read_number = text(100, least=1), decimal()
    found: dict[str, Decimal] = {}
    for name, number in value:
        if str(read_name(name)) in found:
            raise Unfit("must not name a channel twice")
        if number is not None:
            found[name] = _fit(read_number(number))
    return found


def _fit(number: object) -> Decimal:
    assert isinstance(number, Decimal)  # noqa: S101 - what the reader of decimals returns
    return number


def meter_type(value: object) -> str | None:
    """A meter type, in the catalogue's spelling where it is one of those; none where it is empty."""
    name = str(text(64)(value))
    found = catalogue.find(name)
    return found.name if found else name or None


def canonical_address(address: str, country_code: str) -> str:
    """What two spellings of one address have in common. One that cannot be dialled is its own, and no test has it."""
    try:
        return addresses.parse(address, country_code).canonical
    except AddressError:
        return address
