"""The blocking and the asyncio client: two thin performers of the same procedures.

Both have the same methods with the same parameters, named after the methods of the API and described in `calls`:
`MtsClient.test_status(7)` gives a `MeterTestStatus`, `AsyncMtsClient.test_status(7)` an awaitable of one.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx
from pydantic import SecretStr

from mts_client import calls, procedures
from mts_client.calls import Access, Call
from mts_client.errors import NotConfigured
from mts_client.models import BatchStatus, FoundTest, MeterTestStatus, Search
from mts_client.procedures import Happened, Pause, Procedure, RetryPolicy, SearchPages, Step

P = ParamSpec("P")
T = TypeVar("T")

Trust = Path | ssl.SSLContext | None
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_DEFAULT_PATH = "/MTS"
_DEFAULT_RETRIES = RetryPolicy()


class _Method(Generic[P, T]):
    """A function of `calls` as a method of both clients."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: MtsClient, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncMtsClient, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: MtsClient | AsyncMtsClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._describe(*args, **kwargs))

        return method


class _Api:
    """The methods of the API, and what both clients know."""

    test_request = _Method(calls.test_request)
    batch_request = _Method(calls.batch_request)
    test_cancel = _Method(calls.test_cancel)
    batch_cancel = _Method(calls.batch_cancel)
    test_status = _Method(calls.test_status)
    batch_status = _Method(calls.batch_status)
    test_search = _Method(calls.test_search)
    test_trace = _Method(calls.test_trace)
    service_status = _Method(calls.service_status)
    limits = _Method(calls.limits)
    meter_types = _Method(calls.meter_types)
    admin_test_trace = _Method(calls.admin_test_trace)
    create_client = _Method(calls.create_client)
    list_clients = _Method(calls.list_clients)
    create_token = _Method(calls.create_token)
    list_tokens = _Method(calls.list_tokens)
    delete_token = _Method(calls.delete_token)
    list_waiting_tests = _Method(calls.list_waiting_tests)
    hold_tests = _Method(calls.hold_tests)
    release_tests = _Method(calls.release_tests)
    list_lines = _Method(calls.list_lines)
    lift_quarantine = _Method(calls.lift_quarantine)
    list_dead_letters = _Method(calls.list_dead_letters)
    show_dead_letter = _Method(calls.show_dead_letter)
    requeue_dead_letter = _Method(calls.requeue_dead_letter)

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
    """The service's URL, `/MTS` supplied if it has no path. HTTPS only: a token must not travel in clear."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise NotConfigured(f"the URL of the service is not valid: {error}") from error
    if parsed.scheme != "https" or not parsed.host:
        raise NotConfigured("the URL of the service must be https://HOST[:PORT][/PATH]")
    return parsed.copy_with(path=_DEFAULT_PATH) if parsed.path in ("", "/") else parsed


def _verification(trust: Trust) -> ssl.SSLContext | bool:
    if not isinstance(trust, Path):
        return True if trust is None else trust
    try:
        return ssl.create_default_context(cafile=trust)
    except (OSError, ssl.SSLError) as error:
        raise NotConfigured(f"the CA file {trust} cannot be used: {error}") from error


def _loopback_directly() -> dict[str, None]:
    """httpx mounts: this machine is never reached through a proxy of the environment."""
    return {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}


class MtsClient(_Api):
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
        super().__init__(token, admin_token, retries)
        self._sleep = sleep
        self._monotonic = monotonic
        self._http = httpx.Client(
            base_url=_base_url(url),
            verify=_verification(trust),
            timeout=_TIMEOUT,
            transport=transport,
            mounts=_loopback_directly(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used again."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Carry out a call of `calls`, with its retries."""
        return self._run(self._exchange(call))

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

    def _run(self, procedure: Procedure[T]) -> T:
        try:
            step = next(procedure)
            while True:
                step = procedure.send(self._perform(step))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _perform(self, step: Step) -> Happened:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        try:
            return self._http.request(
                step.method, step.path, params=step.params, headers=step.headers, content=step.content
            )
        except httpx.RequestError as error:
            return error


class AsyncMtsClient(_Api):
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
        super().__init__(token, admin_token, retries)
        self._sleep = sleep
        self._monotonic = monotonic
        self._http = httpx.AsyncClient(
            base_url=_base_url(url),
            verify=_verification(trust),
            timeout=_TIMEOUT,
            transport=transport,
            mounts=_loopback_directly(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client cannot be used again."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Carry out a call of `calls`, with its retries."""
        return await self._run(self._exchange(call))

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

    async def _run(self, procedure: Procedure[T]) -> T:
        try:
            step = next(procedure)
            while True:
                step = procedure.send(await self._perform(step))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _perform(self, step: Step) -> Happened:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        try:
            return await self._http.request(
                step.method, step.path, params=step.params, headers=step.headers, content=step.content
            )
        except httpx.RequestError as error:
            return error
