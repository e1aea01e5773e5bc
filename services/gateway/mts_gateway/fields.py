"""Reading named parameters of a body or a query: names in any case of letters, every fault collected with its name.

`null` and `""` mean that a parameter is absent; what is not asked for is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import unquote_to_bytes

from mts_gateway.strict_json import flaw

MAX_ID = 2**63 - 1
MAX_QUERY_PARAMETERS = 100

_DIGITS = re.compile(r"[0-9]{1,400}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class MalformedQuery(ValueError):
    """A query string that is not percent-encoded UTF-8."""


def known(*names: str) -> Mapping[str, str]:
    """Parameter names by their lower-case form."""
    return {name.lower(): name for name in names}


class Fields:
    """The parameters of a JSON object; `where` stands before a name in every fault, e.g. `[3].` in a batch."""

    def __init__(
        self, members: Iterable[tuple[str, object]], names: Mapping[str, str], faults: list[str], where: str = ""
    ) -> None:
        self._faults = faults
        self._where = where
        self._values: dict[str, object] = {}
        self._repeated: set[str] = set()
        for given, value in members:
            name = names.get(given.lower())
            if name is None:
                self._check_unknown(given, value)
            elif name in self._values:
                self._note_repeated(name)
            else:
                self._values[name] = value

    def _note_repeated(self, name: str) -> None:
        if name not in self._repeated:
            self._repeated.add(name)
            self.fault(name, "is given more than once")

    def _check_unknown(self, given: str, value: object) -> None:
        found = flaw(given) or flaw(value)
        if found:
            shown = given[:100].encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")
            self.fault(shown, found)

    def fault(self, name: str, what: str) -> None:
        """Note what is wrong with a parameter."""
        self._faults.append(f"{self._where}{name} {what}")

    def value(self, name: str) -> object | None:
        """The raw value; None when absent."""
        found = self._values.get(name)
        return None if found == "" else found

    def required(self, name: str) -> bool:
        """Whether the parameter is there; a fault is noted if not."""
        if self.value(name) is not None:
            return True
        self.fault(name, "is required")
        return False

    def text(self, name: str, most: int) -> str | None:
        """A string of up to `most` characters."""
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, str):
            self.fault(name, "must be a string")
        elif len(found) > most:
            self.fault(name, f"must not be longer than {most} characters")
        elif problem := flaw(found):
            self.fault(name, problem)
        else:
            return found
        return None

    def flag(self, name: str) -> bool:
        """A boolean; False when absent."""
        found = self.value(name)
        if found is None:
            return False
        if not isinstance(found, bool):
            self.fault(name, "must be true or false")
            return False
        return found

    def whole(self, name: str, most: int, least: int = 0) -> int | None:
        """A whole number from `least` to `most`."""
        found = self.value(name)
        if found is None:
            return None
        number = self._as_whole(found)
        if number is None or number < least:
            self.fault(name, f"must be a whole number from {least} to {most}")
        elif number > most:
            self.fault(name, f"is over the limit of {most}")
        else:
            return number
        return None

    def identifier(self, name: str) -> int | None:
        """A required id: a JSON integer, or its digits in a string."""
        if not self.required(name):
            return None
        found = self.value(name)
        number = _digits(found) if isinstance(found, str) else self._as_whole(found)
        if number is None or not 1 <= number <= MAX_ID:
            self.fault(name, f"must be a whole number from 1 to {MAX_ID}")
            return None
        return number

    def day(self, name: str) -> date | None:
        """A date as yyyy-MM-dd."""
        text = self.text(name, 100)
        if text is None:
            return None
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.fault(name, "must be a date in the form yyyy-MM-dd")
        return None

    def time(self, name: str) -> datetime | None:
        """A UTC time as YYYY-MM-DDTHH:mm:ssZ."""
        text = self.text(name, 100)
        if text is None:
            return None
        try:
            if _TIME.fullmatch(text):
                return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            pass
        self.fault(name, "must be a UTC time in the form YYYY-MM-DDTHH:mm:ssZ")
        return None

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`, as written there."""
        found = self.value(name)
        if found is None:
            return default
        if not isinstance(found, str) or found not in choices:
            self.fault(name, f"must be one of {', '.join(choices)}")
            return default
        return found

    def _as_whole(self, found: object) -> int | None:
        """RFC 8259 knows numbers only: 10, 10.0 and 1e1 are the same whole number."""
        if isinstance(found, bool):
            return None
        if isinstance(found, Decimal):
            return int(found) if found == found.to_integral_value() else None
        return found if isinstance(found, int) else None


class QueryFields(Fields):
    """The parameters of a query string, where every value is text. Raises `MalformedQuery`."""

    def __init__(self, query: bytes, names: Mapping[str, str], faults: list[str]) -> None:
        super().__init__(_split(query), names, faults)

    def flag(self, name: str) -> bool:
        """`true` or `false` in any case of letters; False when absent."""
        found = self.value(name)
        if found is None:
            return False
        if not isinstance(found, str) or found.lower() not in ("true", "false"):
            self.fault(name, "must be true or false")
            return False
        return found.lower() == "true"

    def _as_whole(self, found: object) -> int | None:
        return _digits(found) if isinstance(found, str) else None


def _digits(text: str) -> int | None:
    return int(text) if _DIGITS.fullmatch(text) else None


def _split(query: bytes) -> Iterable[tuple[str, object]]:
    """The pairs of an application/x-www-form-urlencoded query, decoded strictly."""
    pieces = [piece for piece in query.split(b"&") if piece]
    if len(pieces) > MAX_QUERY_PARAMETERS:
        raise MalformedQuery(f"the query has more than {MAX_QUERY_PARAMETERS} parameters")
    for piece in pieces:
        name, _, value = piece.replace(b"+", b" ").partition(b"=")
        try:
            yield unquote_to_bytes(name).decode("utf-8"), unquote_to_bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedQuery("the query is not percent-encoded UTF-8") from None
