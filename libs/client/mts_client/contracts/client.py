"""The blocking and the asyncio client of the contract meters API.

Both have the same methods with the same parameters, described in `calls`: `ContractsClient.contract(7)` gives a
`Contract`, `AsyncContractsClient.contract(7)` an awaitable of one.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
from pydantic import SecretStr

from mts_client import procedures
from mts_client.calls import Access, Call
from mts_client.contracts import calls
from mts_client.contracts.models import Contract, ContractMeter
from mts_client.errors import NotConfigured
from mts_client.performing import Api, Asyncio, Blocking, Method, T, Trust, origin_of
from mts_client.procedures import Procedure, RetryPolicy

_DEFAULT_RETRIES = RetryPolicy()


class _Api(Api):
    """The methods of the API, and what both clients know."""

    contracts = Method(calls.contracts)
    contract = Method(calls.contract)
    contract_meters = Method(calls.contract_meters)
    contract_meter = Method(calls.contract_meter)
    change_contract_meter = Method(calls.change_contract_meter)

    def __init__(self, user: str, password: SecretStr | str, retries: RetryPolicy) -> None:
        if ":" in user:
            raise NotConfigured("a user's name has no colon")
        secret = password if isinstance(password, str) else password.get_secret_value()
        self._credentials = SecretStr(base64.b64encode(f"{user}:{secret}".encode()).decode("ascii"))
        self._retries = retries

    def _exchange(self, call: Call[T]) -> Procedure[T]:
        credentials = {Access.USER: self._credentials.get_secret_value()}
        return procedures.exchange(call, credentials, self._retries, scheme="Basic")


class ContractsClient(_Api, Blocking):
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
        _Api.__init__(self, user, password, retries)
        Blocking.__init__(self, origin_of(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    def all_contracts(self) -> Iterator[Contract]:
        """All contracts that the user sees, page by page."""
        pages = calls.contract_pages()
        while (call := pages.next_call()) is not None:
            yield from pages.take(self.send(call)).items

    def all_contract_meters(self, contract_id: int) -> Iterator[ContractMeter]:
        """All meters of a contract, page by page."""
        pages = calls.contract_meter_pages(contract_id)
        while (call := pages.next_call()) is not None:
            yield from pages.take(self.send(call)).items


class AsyncContractsClient(_Api, Asyncio):
    """The asyncio client; parameters and errors as `ContractsClient`. Any number of tasks may use it at once."""

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
        _Api.__init__(self, user, password, retries)
        Asyncio.__init__(self, origin_of(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    async def all_contracts(self) -> AsyncIterator[Contract]:
        """All contracts that the user sees, page by page."""
        pages = calls.contract_pages()
        while (call := pages.next_call()) is not None:
            for contract in pages.take(await self.send(call)).items:
                yield contract

    async def all_contract_meters(self, contract_id: int) -> AsyncIterator[ContractMeter]:
        """All meters of a contract, page by page."""
        pages = calls.contract_meter_pages(contract_id)
        while (call := pages.next_call()) is not None:
            for meter in pages.take(await self.send(call)).items:
                yield meter
