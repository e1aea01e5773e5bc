"""The methods of the contract meters API described as data, as `mts_client.calls` does for that of MTS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Generic, TypeVar

from mts_client.calls import Access, Call, reader
from mts_client.contracts.models import Contract, ContractMeter, ContractMeterPage, ContractPage, Page

PageT = TypeVar("PageT", bound=Page)

LARGEST_PAGE = 500

_ROOT = "fscmRestApi/resources/11.13.18.05/assetWarrantyContracts"
_HEADERS = {"REST-Framework-Version": "4"}  # rowmatch expressions, structured errors
_CONTRACT = reader(Contract)
_CONTRACTS = reader(ContractPage)
_METER = reader(ContractMeter)
_METERS = reader(ContractMeterPage)


def contracts(
    *, q: str | None = None, order_by: str | None = None, limit: int | None = None, offset: int | None = None
) -> Call[ContractPage]:
    """One page of the contracts that match the rowmatch expression `q`."""
    return Call("GET", _ROOT, _CONTRACTS, Access.USER, _query(q, order_by, limit, offset), headers=_HEADERS)


def contract(contract_id: int) -> Call[Contract]:
    """One contract."""
    return Call("GET", f"{_ROOT}/{contract_id:d}", _CONTRACT, Access.USER, headers=_HEADERS)


def contract_meters(
    contract_id: int,
    *,
    q: str | None = None,
    order_by: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Call[ContractMeterPage]:
    """One page of a contract's meters that match the rowmatch expression `q`."""
    query = _query(q, order_by, limit, offset)
    return Call("GET", _meters(contract_id), _METERS, Access.USER, query, headers=_HEADERS)


def contract_meter(contract_id: int, contract_meter_id: int) -> Call[ContractMeter]:
    """One meter of a contract."""
    return Call("GET", f"{_meters(contract_id)}/{contract_meter_id:d}", _METER, Access.USER, headers=_HEADERS)


def change_contract_meter(
    contract_id: int,
    contract_meter_id: int,
    *,
    start: Decimal | None = None,
    interval: Decimal | None = None,
    disabled: bool | None = None,
    version: str | None = None,
) -> Call[ContractMeter]:
    """Change what is not None. With a `version` only if nobody has changed the meter since; that is not repeatable,
    because the repeat after a lost answer would be refused.
    """
    values = {"MeterStartValue": start, "MeterIntervalValue": interval, "DisabledFlag": disabled}
    match = {} if version is None else {"If-Match": f'"{version}"'}
    return Call(
        "PATCH",
        f"{_meters(contract_id)}/{contract_meter_id:d}",
        _METER,
        Access.USER,
        body=_json({name: value for name, value in values.items() if value is not None}),
        headers={**_HEADERS, **match},
        repeatable=version is None,
    )


def _meters(contract_id: int) -> str:
    return f"{_ROOT}/{contract_id:d}/child/contractMeters"


def _query(q: str | None, order_by: str | None, limit: int | None, offset: int | None) -> dict[str, str]:
    asked = {"q": q, "orderBy": order_by, "limit": limit, "offset": offset}
    return {name: str(value) for name, value in asked.items() if value is not None}


def _json(values: Mapping[str, Any]) -> bytes:
    """An object of numbers and flags; every digit of a number is written."""
    members = (
        f"{json.dumps(name)}: {value:f}" if isinstance(value, Decimal) else f"{json.dumps(name)}: {json.dumps(value)}"
        for name, value in values.items()
    )
    return ("{" + ", ".join(members) + "}").encode()


class Pages(Generic[PageT]):
    """The calls that page through a collection, in order; the server says how long its pages are."""

    def __init__(self, describe: Callable[[int], Call[PageT]]) -> None:
        self._describe = describe
        self._offset = 0
        self._more = True

    def next_call(self) -> Call[PageT] | None:
        """The next page's call, None after the last page."""
        return self._describe(self._offset) if self._more else None

    def take(self, page: PageT) -> PageT:
        """Accept the answer of `next_call`, and give it back."""
        self._offset = page.offset + len(page.items)
        self._more = page.has_more and bool(page.items)
        return page


def contract_pages() -> Pages[ContractPage]:
    """Through all contracts, in the order of their ids."""
    return Pages(lambda offset: contracts(limit=LARGEST_PAGE, offset=offset))


def contract_meter_pages(contract_id: int) -> Pages[ContractMeterPage]:
    """Through all meters of a contract, in the order of their ids."""
    return Pages(lambda offset: contract_meters(contract_id, limit=LARGEST_PAGE, offset=offset))
