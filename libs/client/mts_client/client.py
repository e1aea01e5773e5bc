"""The blocking and the asyncio client: two thin performers of the same procedures.

Both have the same methods with the same parameters, named after the methods of the API and described in `calls`:
`MtsClient.test_status(7)` gives a `MeterTestStatus`, `AsyncMtsClient.test_status(7)` an awaitable of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
from pydantic import SecretStr

from mts_client import calls, procedures
from mts_client.calls import Access, Call
from mts_client.errors import NotConfigured
from mts_client.models import BatchStatus, FoundTest, MeterTestStatus, Search
from mts_client.performing import Api, Asyncio, Blocking, Method, T, Trust, checked_url
from mts_client.procedures import Procedure, RetryPolicy, SearchPages

_DEFAULT_PATH = "/MTS"
_DEFAULT_RETRIES = RetryPolicy()


class _Api(Api):
    """The methods of the API, and what both clients know."""

    test_request = Method(calls.test_request)
    batch_request = Method(calls.batch_request)
    test_cancel = Method(calls.test_cancel)
    batch_cancel = Method(calls.batch_cancel)
    test_status = Method(calls.test_status)
    batch_status = Method(calls.batch_status)
    test_search = Method(calls.test_search)
    test_trace = Method(calls.test_trace)
    service_status = Method(calls.service_status)
    limits = Method(calls.limits)
    meter_types = Method(calls.meter_types)
    admin_test_trace = Method(calls.admin_test_trace)
    create_client = Method(calls.create_client)
    list_clients = Method(calls.list_clients)
    create_token = Method(calls.create_token)
    list_tokens = Method(calls.list_tokens)
    delete_token = Method(calls.delete_token)
    list_waiting_tests = Method(calls.list_waiting_tests)
    hold_tests = Method(calls.hold_tests)
    release_tests = Method(calls.release_tests)
    list_lines = Method(calls.list_lines)
    lift_quarantine = Method(calls.lift_quarantine)
    list_dead_letters = Method(calls.list_dead_letters)
    show_dead_letter = Method(calls.show_dead_letter)
    requeue_dead_letter = Method(calls.requeue_dead_letter)
    import_registry = Method(calls.import_registry)
    export_registry = Method(calls.export_registry)

    def __init__(
        self, token: SecretStr | str | None, admin_token: SecretStr | str | None, retries: RetryPolicy
    ) -> None:
        given = {Access.MTS: token, Access.ADMIN: admin_token}
        self._tokens = {access: _usable(secret) for access, secret in given.items() if secret is not None}
        self._retries = retries

    def _exchange(self, call: Call[T]) -> Procedure[T]:
        tokens = {access: secret.get_secret_value() for access, secret in self._tokens.items()}
        return procedures.exchange(call, tokens, self._retries)


def _usable(token: SecretStr | str) -> SecretStr:
    # Checked here, because httpx would show a token that does not fit a header in its error.
    secret = token.get_secret_value() if isinstance(token, SecretStr) else token
    if not (secret.isascii() and secret.isprintable() and secret and " " not in secret):
        raise NotConfigured("a token is printable ASCII without blanks; the configured one is not")
    return SecretStr(secret)


def _base_url(url: str) -> httpx.URL:
    """The service's URL, `/MTS` supplied if it has no path."""
    parsed = checked_url(url)
    return parsed.copy_with(path=_DEFAULT_PATH) if parsed.path in ("", "/") else parsed


class MtsClient(_Api, Blocking):
    """The blocking client; close it or use it as a context manager. Not for several threads at once.

    `url` is the service's `https://HOST[:PORT][/MTS]`; `trust` a CA file or an SSL context, by default the public CAs.
    Every method raises `MtsError` leaves: `Refused` ones with the server's details, `Unreachable` ones,
    `UnexpectedAnswer`, `NotConfigured`. `sleep` and `monotonic` are for tests.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr | str | None = None,
        *,
        admin_token: SecretStr | str | None = None,
        trust: Trust = None,
        retries: RetryPolicy = _DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _Api.__init__(self, token, admin_token, retries)
        Blocking.__init__(self, _base_url(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    def wait_for_result(
        self,
        test_id: int,
        *,
        deadline: float,
        poll: float = 2.0,
        progress: Callable[[MeterTestStatus], None] | None = None,
    ) -> MeterTestStatus:
        """The status of the completed test; see `procedures.wait`."""
        query = calls.test_status(test_id)
        waiting = procedures.wait(
            query, self._exchange, self._monotonic, deadline=deadline, poll=poll, progress=progress
        )
        return self._run(waiting)

    def wait_for_batch(
        self,
        batch_id: int,
        *,
        deadline: float,
        poll: float = 5.0,
        progress: Callable[[BatchStatus], None] | None = None,
    ) -> BatchStatus:
        """The status of the batch when all its tests are completed; see `procedures.wait`."""
        query = calls.batch_status(batch_id)
        waiting = procedures.wait(
            query, self._exchange, self._monotonic, deadline=deadline, poll=poll, progress=progress
        )
        return self._run(waiting)

    def search_all(self, search: Search) -> Iterator[FoundTest]:
        """All tests that match, page by page; see `procedures.SearchPages`."""
        pages = SearchPages(search)
        while (call := pages.next_call()) is not None:
            yield from pages.take(self.send(call))


class AsyncMtsClient(_Api, Asyncio):
    """The asyncio client; parameters and errors as `MtsClient`. Any number of tasks may use it at once."""

    def __init__(
        self,
        url: str,
        token: SecretStr | str | None = None,
        *,
        admin_token: SecretStr | str | None = None,
        trust: Trust = None,
        retries: RetryPolicy = _DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _Api.__init__(self, token, admin_token, retries)
        Asyncio.__init__(self, _base_url(url), trust=trust, transport=transport, sleep=sleep, monotonic=monotonic)

    async def wait_for_result(
        self,
        test_id: int,
        *,
        deadline: float,
        poll: float = 2.0,
        progress: Callable[[MeterTestStatus], None] | None = None,
    ) -> MeterTestStatus:
        """The status of the completed test; see `procedures.wait`."""
        query = calls.test_status(test_id)
        waiting = procedures.wait(
            query, self._exchange, self._monotonic, deadline=deadline, poll=poll, progress=progress
        )
        return await self._run(waiting)

    async def wait_for_batch(
        self,
        batch_id: int,
        *,
        deadline: float,
        poll: float = 5.0,
        progress: Callable[[BatchStatus], None] | None = None,
    ) -> BatchStatus:
        """The status of the batch when all its tests are completed; see `procedures.wait`."""
        query = calls.batch_status(batch_id)
        waiting = procedures.wait(
            query, self._exchange, self._monotonic, deadline=deadline, poll=poll, progress=progress
        )
        return await self._run(waiting)

    async def search_all(self, search: Search) -> AsyncIterator[FoundTest]:
        """All tests that match, page by page; see `procedures.SearchPages`."""
        pages = SearchPages(search)
        while (call := pages.next_call()) is not None:
            for test in pages.take(await self.send(call)):
                yield test
