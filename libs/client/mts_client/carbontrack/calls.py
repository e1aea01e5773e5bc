"""Every method of the carbonTRACK API described as data, as `mts_client.calls` does for that of MTS."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr

from mts_client.calls import Access, Call, reader
from mts_client.carbontrack.models import CustomerPage, DevicePage, Distributor, Grant, IndexedPage, MeasurementPage

PageT = TypeVar("PageT", bound=IndexedPage)

_GRANT = reader(Grant)
_DISTRIBUTORS = reader(tuple[Distributor, ...])
_CUSTOMERS = reader(CustomerPage)
_DEVICES = reader(DevicePage)
_MEASUREMENTS = reader(MeasurementPage)


def _token(**given: str) -> Call[Grant]:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Call("POST", "oauth/token", _GRANT, Access.NONE, body=urlencode(given).encode(), headers=headers)


def password_grant(user: str, password: SecretStr) -> Call[Grant]:
    """Exchange a user's name and password for tokens."""
    return _token(grant_type="password", username=user, password=password.get_secret_value())


def refresh_grant(refresh_token: SecretStr) -> Call[Grant]:
    """Exchange a refresh token for a new access token."""
    return _token(grant_type="refresh_token", refresh_token=refresh_token.get_secret_value())


def distributors() -> Call[tuple[Distributor, ...]]:
    """The distributors that the user sees."""
    return Call("GET", "ctapi/Distributor", _DISTRIBUTORS, Access.USER)


def customers(
    *,
    reference: str | None = None,
    phone: str | None = None,
    address: str | None = None,
    page: int = 1,
    page_size: int | None = None,
) -> Call[CustomerPage]:
    """One page, counted from 1, of the customers that match."""
    asked = {
        "customerRequest.customerRef": reference,
        "customerRequest.phone": phone,
        "customerRequest.address": address,
        "customerRequest.page": str(page),
        "customerRequest.pageSize": None if page_size is None else str(page_size),
    }
    query = {name: value for name, value in asked.items() if value is not None}
    return Call("GET", "ctapi/Customer", _CUSTOMERS, Access.USER, query=query)


def devices(
    *,
    device_id: str | Sequence[str] | None = None,
    customer_reference: str | None = None,
    registered_only: bool = False,
    page_index: int = 0,
    page_size: int | None = None,
) -> Call[DevicePage]:
    """One page, counted from 0, of the devices that match."""
    body = _body(
        DeviceID=device_id if isinstance(device_id, str | None) else list(device_id),
        CustomerReference=customer_reference,
        RegisteredOnly=registered_only,
        PageIndex=page_index,
        PageSize=page_size,
    )
    return Call("POST", "ctapi/Device", _DEVICES, Access.USER, body=body)


def measurements(
    device_id: str | Sequence[str] | None = None,
    *,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
    page_index: int = 0,
    page_size: int | None = None,
) -> Call[MeasurementPage]:
    """One page, counted from 0, of the records from `from_time` to `to_time`, both included; by default of the last day
    and of all devices.
    """
    body = _body(
        DeviceID=device_id if isinstance(device_id, str | None) else list(device_id),
        FromUTCDate=None if from_time is None else _utc(from_time),
        ToUTCDate=None if to_time is None else _utc(to_time),
        PageIndex=page_index,
        PageSize=page_size,
    )
    return Call("POST", "ctapi/Measurement", _MEASUREMENTS, Access.USER, body=body)


def _body(**given: object) -> bytes:
    return json.dumps({name: value for name, value in given.items() if value is not None}).encode()


def _utc(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Pages(Generic[PageT]):
    """The calls that page through devices or records, in order."""

    def __init__(self, describe: Callable[[int], Call[PageT]]) -> None:
        self._describe = describe
        self._index = 0
        self._more = True

    def next_call(self) -> Call[PageT] | None:
        """The next page's call, None after the last page."""
        return self._describe(self._index) if self._more else None

    def take(self, page: PageT) -> PageT:
        """Accept the answer of `next_call`, and give it back."""
        self._index += 1
        self._more = self._index < page.pages
        return page
