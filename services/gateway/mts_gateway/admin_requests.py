"""The bodies of the admin API, checked."""

from __future__ import annotations

import re
from datetime import time

from mts_common.messages import RunWindow, zone_key
from mts_gateway.clients import DEFAULT_VALID_DAYS, MAX_NAME, MAX_VALID_DAYS, SCOPES, NewToken
from mts_gateway.fields import Fields, known
from mts_gateway.render import DIALECTS, GROUPED
from mts_gateway.strict_json import Members

MAX_WINDOWS = 50

_CLIENT = known("name", "runWindows")
_WINDOW = known("opens", "closes", "zone")
_TOKEN = known("client", "clientId", "scopes", "validDays", "dialect")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")


def check_client(body: object, faults: list[str]) -> tuple[str, tuple[RunWindow, ...] | None]:
    """The name and the run windows of a new client; only to be used if no fault was added."""
    if not isinstance(body, Members):
        faults.append("the body must be a JSON object")
        return "", None
    fields = Fields(body, _CLIENT, faults)
    name = fields.text("name", MAX_NAME) if fields.required("name") else None
    windows = fields.value("runWindows")
    return name or "", None if windows is None else _windows(fields, windows, faults)


def check_token(body: object, faults: list[str]) -> NewToken:
    """What a new token is to be; only to be used if no fault was added."""
    if not isinstance(body, Members):
        faults.append("the body must be a JSON object")
        return NewToken(0)
    fields = Fields(body, _TOKEN, faults)
    owner = "clientId" if fields.value("client") is None else "client"
    days = fields.whole("validDays", MAX_VALID_DAYS, least=1)
    return NewToken(
        client_id=fields.identifier(owner) or 0,
        scopes=_scopes(fields),
        valid_days=DEFAULT_VALID_DAYS if days is None else days,
        dialect=fields.choice("dialect", DIALECTS, GROUPED),
    )


def _scopes(fields: Fields) -> tuple[str, ...]:
    given = fields.value("scopes")
    if given is None:
        return NewToken(0).scopes
    if not isinstance(given, list) or not given or not all(scope in SCOPES for scope in given):
        fields.fault("scopes", f"must be a list of {', '.join(SCOPES)}")
        return ()
    return tuple(scope for scope in SCOPES if scope in given)


def _windows(fields: Fields, given: object, faults: list[str]) -> tuple[RunWindow, ...]:
    if not isinstance(given, list) or isinstance(given, Members) or not 1 <= len(given) <= MAX_WINDOWS:
        fields.fault("runWindows", f"must be a list of 1 to {MAX_WINDOWS} run windows")
        return ()
    windows = [_window(item, f"runWindows[{place}]", faults) for place, item in enumerate(given)]
    return tuple(window for window in windows if window is not None)


def _window(item: object, where: str, faults: list[str]) -> RunWindow | None:
    if not isinstance(item, Members):
        faults.append(f"{where} must be a JSON object")
        return None
    fields = Fields(item, _WINDOW, faults, f"{where}.")
    opens, closes, zone = _clock(fields, "opens"), _clock(fields, "closes"), _zone(fields)
    return RunWindow(opens=opens, closes=closes, zone=zone) if opens and closes and zone else None


def _clock(fields: Fields, name: str) -> time | None:
    text = fields.text(name, 100) if fields.required(name) else None
    if text is None:
        return None
    if not _CLOCK.fullmatch(text):
        fields.fault(name, "must be a wall clock time in the form HH:mm")
        return None
    return time.fromisoformat(text)


def _zone(fields: Fields) -> str | None:
    text = fields.text("zone", 100) if fields.required("zone") else None
    if text is None:
        return None
    try:
        return zone_key(text)
    except ValueError:
        fields.fault("zone", "must be an IANA time zone, e.g. Europe/London")
        return None
