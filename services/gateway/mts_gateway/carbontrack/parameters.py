"""The parameters of a request: names in any case, values as .NET clients and people write them (carbontrack.md, 3).

A value is read when it is asked for; the first that is wrong is refused by name. `null`, a blank text and a zero GUID
mean that a parameter is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.strict_json import is_storable

MOST = 1000
"""Of a page."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_GUID = re.compile(
    r"(?P<brace>\{)?([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?(brace)\})",
    re.IGNORECASE,
)
_DEVICE_ID = re.compile(r"[0-9]{15,16}")
_LARGEST = 2**31 - 1
_MILLISECONDS_FROM = 10**11
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NIL = UUID(int=0)


class Parameters:
    """Named values; of a name that comes again the last counts."""

    def __init__(self, given: Iterable[tuple[str, object]]) -> None:
        self._values = {name.lower(): value for name, value in given}

    def _get(self, name: str) -> object | None:
        value = self._values.get(name.lower())
        if isinstance(value, str):
            if not is_storable(value):
                raise envelope.malformed(f"{name} holds a NUL or half of a character")
            return value if value.strip() else None
        return value

    def text(self, name: str) -> str | None:
        """A text; a number is taken as the text it was written as."""
        value = self._get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise envelope.malformed(f"{name} must be a string")
        return str(value)

    def whole(self, name: str, default: int = 0) -> int:
        """An integer from 0 that fits 32 bits."""
        value = self._get(name)
        if value is None:
            return default
        number = _whole(value)
        if number is None or not 0 <= number <= _LARGEST:
            raise Refusal(envelope.BAD_NUMBER, "A number is not valid.", f"{name} must be an integer, not negative")
        return number

    def page_size(self, name: str, default: int) -> int:
        """Rows of a page: 0 means the default, and what is over the most is the most."""
        return min(self.whole(name) or default, MOST)

    def flag(self, name: str) -> bool:
        """A boolean, false if absent."""
        value = self._get(name)
        known = {None: False, True: True, False: False, "true": True, "false": False}
        key = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(key, bool | str | None) or key not in known:
            raise Refusal(envelope.BAD_FLAG, "A flag is not valid.", f"{name} must be true or false")
        return known[key]

    def guid(self, name: str) -> UUID | None:
        """A GUID, None for the zero one."""
        value = self._get(name)
        if value is None:
            return None
        found = _GUID.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise Refusal(envelope.BAD_GUID, "An id is not valid.", f"{name} must be a GUID")
        guid = UUID(found.group(2))
        return None if guid == _NIL else guid

    def moment(self, name: str) -> datetime | None:
        """A time: ISO 8601, without a zone UTC, or Unix seconds or milliseconds."""
        value = self._get(name)
        if value is None:
            return None
        try:
            number = _whole(value)
            if number is not None:
                return _from_unix(number)
            if isinstance(value, str):
                time = datetime.fromisoformat(value.strip())
                return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise Refusal(envelope.BAD_DATE, "A date is not valid.", f"{name} must be ISO 8601 or Unix seconds")

    def device_ids(self, name: str) -> list[str]:
        """DeviceIDs, each once: one, a list, or a text of several; none if absent."""
        value = self._get(name)
        found = dict.fromkeys(_ids(value))
        if not all(isinstance(one, str) and _DEVICE_ID.fullmatch(one) for one in found):
            raise Refusal(envelope.BAD_DEVICE_ID, "A DeviceID is not valid.", f"{name} must be 15 or 16 digits")
        return [str(one) for one in found]


def _ids(value: object) -> Iterator[object]:
    """The ids in a value; what is none of the forms comes as it is, to be refused."""
    if isinstance(value, list):
        for item in value:
            yield from _ids(item) if isinstance(item, str | int) else iter([repr(item)])
    elif isinstance(value, str):
        inner = value.strip()
        if inner.startswith("[") and inner.endswith("]"):
            inner = inner[1:-1]
        for piece in inner.split(",") if inner.strip() else ():
            yield piece.strip().strip("'\"")
    elif value is not None:
        yield str(value)


def _whole(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    return None


def _from_unix(number: int) -> datetime:
    unit = timedelta(milliseconds=1) if abs(number) >= _MILLISECONDS_FROM else timedelta(seconds=1)
    return _EPOCH + number * unit
