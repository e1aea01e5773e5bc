"""The columns of a registry file in CSV, kind by kind, and how a cell of each is read and written.

A cell is blank where the item does not give the key; `null` says that the key has no value. A text that is `null`, or
begins with a backslash, has one before it. A list is its elements with `;` between them, or a JSON list. Decimals keep
their digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NULL = "null"
_ESCAPE = "\\"


class BadCell(ValueError):
    """What a cell should have been; it never repeats the cell."""


@dataclass(frozen=True, slots=True)
class Column:
    """`read` makes the JSON value of a cell; it raises `BadCell`."""

    read: Callable[[str], object]


def _text(cell: str) -> object:
    return cell.removeprefix(_ESCAPE)


def _whole(cell: str) -> object:
    if not _WHOLE.fullmatch(cell.strip()):
        raise BadCell("must be a whole number")
    return int(cell)


def _flag(cell: str) -> object:
    try:
        return {"true": True, "false": False}[cell.strip().lower()]
    except KeyError:
        raise BadCell("must be true or false") from None


def _list(cell: str) -> object:
    return _json_list(cell) if cell.startswith("[") else [part.strip() for part in cell.split(";") if part.strip()]


def _json_list(cell: str) -> object:
    try:
        found = json.loads(cell, parse_float=str)
    except ValueError:
        raise BadCell("must be a JSON list") from None
    if not isinstance(found, list):
        raise BadCell("must be a JSON list")
    return found


TEXT, WHOLE, FLAG = Column(_text), Column(_whole), Column(_flag)
LIST, JSON_LIST = Column(_list), Column(_json_list)

_AUDIT = {
    "CreatedBy": TEXT,
    "CreationDate": TEXT,
    "LastUpdatedBy": TEXT,
    "LastUpdateDate": TEXT,
    "objectVersion": WHOLE,
}

COLUMNS: Mapping[str, Mapping[str, Column]] = MappingProxyType(
    {
        "distributors": {"id": TEXT, "userName": TEXT},
        "timezones": {"id": WHOLE, "name": TEXT},
        "users": {"id": TEXT, "userName": TEXT, "password": TEXT, "distributor": TEXT, "roles": LIST},
        "customers": {
            "id": TEXT,
            "distributor": TEXT,
            "accountNumber": TEXT,
            "firstName": TEXT,
            "lastName": TEXT,
            "email": TEXT,
            "userName": TEXT,
            "mobile": TEXT,
            "dayTimeContact": TEXT,
            "workContact": TEXT,
            "location": TEXT,
            "timezone": WHOLE,
            "currency": TEXT,
            "metric": FLAG,
        },
        "devices": {
            "deviceId": TEXT,
            "distributor": TEXT,
            "customer": TEXT,
            "label": TEXT,
            "meterType": TEXT,
            "remoteAddress": TEXT,
            "outstationAddress": TEXT,
            "serialNumber": TEXT,
            "phases": WHOLE,
            "registered": FLAG,
            "timezone": WHOLE,
            "intervalSeconds": WHOLE,
            "channels": LIST,
            "latitude": TEXT,
            "longitude": TEXT,
            "relays": JSON_LIST,
        },
        "assets": {"id": WHOLE, "number": TEXT, "distributor": TEXT},
        "meters": {
            "meterId": WHOLE,
            "code": TEXT,
            "name": TEXT,
            "description": TEXT,
            "uomCode": TEXT,
            "unitOfMeasure": TEXT,
            "asset": TEXT,
            "deviceId": TEXT,
            "register": TEXT,
            "baseDailyRate": TEXT,
            "active": FLAG,
        },
        "contracts": {
            "ContractId": WHOLE,
            "ContractNumber": TEXT,
            "AssetNumber": TEXT,
            "CoverageCode": TEXT,
            "CoverageId": WHOLE,
            "ContractStatusCode": TEXT,
            "ContractStartDate": TEXT,
            "ContractEndDate": TEXT,
            "CalculatedExpirationDate": TEXT,
            "ContractNotes": TEXT,
            "ExternalReferenceNumber": TEXT,
            **_AUDIT,
        },
        "contractMeters": {
            "ContractId": WHOLE,
            "ContractMeterId": WHOLE,
            "MeterId": WHOLE,
            "MeterStartValue": TEXT,
            "MeterIntervalValue": TEXT,
            "CalculatedDueDate": TEXT,
            "ActiveEndDate": TEXT,
            **_AUDIT,
        },
    }
)


def read_cell(column: Column, cell: str) -> object:
    """The JSON value of a cell that is not blank. Raises `BadCell`."""
    return None if cell == _NULL else column.read(cell)


def write_cell(value: object) -> str:
    """The cell that is read as `value`; blank for what has none."""
    match value:
        case None | [] | "":
            return ""
        case bool():
            return str(value).lower()
        case list() if all(isinstance(part, str) and ";" not in part and part == part.strip() for part in value):
            shown = ";".join(value)
            return json.dumps(value) if shown.startswith("[") else shown
        case list():
            return json.dumps(value, default=str)
        case Decimal():
            return format(value, "f")
        case str() if value == _NULL or value.startswith(_ESCAPE):
            return _ESCAPE + value
        case _:
            return str(value)
