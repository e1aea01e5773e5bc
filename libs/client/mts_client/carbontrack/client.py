"""The blocking and the asyncio client of the carbonTRACK API.

Both have the same methods with the same parameters, described in `calls`: `CarbonTrackClient.devices()` gives a
`DevicePage`, `AsyncCarbonTrackClient.devices()` an awaitable of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime

import httpx
from pydantic import SecretStr

from mts_client.calls import Call
from mts_client.carbontrack import calls
from mts_client.carbontrack.calls import Pages
from mts_client.carbontrack.login import Login
from mts_client.carbontrack.models import Device, DevicePage, Measurement, MeasurementPage
from mts_client.performing import Api, Asyncio, Blocking, Method, T, Trust, origin_of
from mts_client.procedures import Procedure, RetryPolicy

_DEFAULT_RETRIES = RetryPolicy()


class _Api(Api):
    """The methods of the API, and what both clients know."""

    distributors = Method(calls.distributors)
    customers = Method(calls.customers)
    devices = Method(calls.devices)
    measurements = Method(calls.measurements)

    def __init__(
        self, user: str, password: SecretStr | str, retries: RetryPolicy, monotonic: Callable[[], float]
    ) -> None:
        secret = password if isinstance(password, SecretStr) else SecretStr(password)
        self._login = Login(user, secret, retries, monotonic)

    def _exchange(self, call: Call[T]) -> Procedure[T]:
        return self._login.exchange(call)


def _device_pages(customer_reference: str | None, registered_only: bool) -> Pages[DevicePage]:
    return Pages(
        lambda index: calls.devices(
            customer_reference=customer_reference, registered_only=registered_only, page_index=index, page_size=1000
        )
    )


def _measurement_pages(
    device_id: str | Sequence[str] | None, from_time: datetime | None, to_time: datetime | None
) -> Pages[MeasurementPage]:
    return Pages(
        lambda index: calls.measurements(
            device_id, from_time=from_time, to_time=to_time, page_index=index, page_size=1000
        )
    )


class CarbonTrackClient(_Api, Blocking):
    """The blocking client; close it or use it as a context manager. Not for several threads at once.

    `url` is that of the MTS service, of which the origin counts; `trust` a CA file or an SSL context. Methods raise
    `MtsError` leaves, as those of `MtsClient` do. `sleep` and `monotonic` are for tests.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: SecretStr | str,
        *,
        trust: Trust = None,
        retries: RetryPolicy = _DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _Api.__init__(self, user, password, retries, monotonic)
        Blocking.__init__(self, origin_of(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    def all_devices(self, *, customer_reference: str | None = None, registered_only: bool = False) -> Iterator[Device]:
        """All devices that match, page by page."""
        pages = _device_pages(customer_reference, registered_only)
        while (call := pages.next_call()) is not None:
            yield from pages.take(self.send(call)).devices

    def all_measurements(
        self,
        device_id: str | Sequence[str] | None = None,
        *,
        from_time: datetime | None = None,
        to_time: datetime | None = None,
    ) -> Iterator[Measurement]:
        """All records that match, page by page."""
        pages = _measurement_pages(device_id, from_time, to_time)
        while (call := pages.next_call()) is not None:
            yield from pages.take(self.send(call)).measurements


class AsyncCarbonTrackClient(_Api, Asyncio):
    """The asyncio client; parameters and errors as `CarbonTrackClient`. Any number of tasks may use it at once."""

    def __init__(
        self,
        url: str,
        user: str,
        password: SecretStr | str,
        *,
        trust: Trust = None,
        retries: RetryPolicy = _DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _Api.__init__(self, user, password, retries, monotonic)
        Asyncio.__init__(self, origin_of(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    async def all_devices(
        self, *, customer_reference: str | None = None, registered_only: bool = False
    ) -> AsyncIterator[Device]:
        """All devices that match, page by page."""
        pages = _device_pages(customer_reference, registered_only)
        while (call := pages.next_call()) is not None:
            for device in pages.take(await self.send(call)).devices:
                yield device

    async def all_measurements(
        self,
        device_id: str | Sequence[str] | None = None,
        *,
        from_time: datetime | None = None,
        to_time: datetime | None = None,
    ) -> AsyncIterator[Measurement]:
        """All records that match, page by page."""
        pages = _measurement_pages(device_id, from_time, to_time)
        while (call := pages.next_call()) is not None:
            for record in pages.take(await self.send(call)).measurements:
                yield record
