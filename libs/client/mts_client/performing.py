"""Carrying out procedures over httpx, blocking or with asyncio; nothing here knows an API."""

from __future__ import annotations

import functools
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx

from mts_client.calls import Call
from mts_client.errors import NotConfigured
from mts_client.procedures import Happened, Pause, Procedure, Step

P = ParamSpec("P")
T = TypeVar("T")

Trust = Path | ssl.SSLContext | None
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


class Api(ABC):
    """An API as both performers see it."""

    @abstractmethod
    def _exchange(self, call: Call[T]) -> Procedure[T]:
        """How one call is carried out."""


class Method(Generic[P, T]):
    """A function that describes a call, as a method of a client."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Asyncio, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Blocking | Asyncio | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._describe(*args, **kwargs))

        return method


class Blocking(Api):
    """Performs one step after the other; close it or use it as a context manager. Not for several threads at once."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        trust: Trust,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._http = httpx.Client(
            base_url=url,
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
        """Carry out a call, with its retries."""
        return self._run(self._exchange(call))

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


class Asyncio(Api):
    """Performs with asyncio; any number of tasks may use it at once."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        trust: Trust,
        transport: httpx.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._http = httpx.AsyncClient(
            base_url=url,
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
        """Carry out a call, with its retries."""
        return await self._run(self._exchange(call))

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


def checked_url(url: str) -> httpx.URL:
    """The service's URL. HTTPS only: a secret must not travel in clear. Raises `NotConfigured`."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise NotConfigured(f"the URL of the service is not valid: {error}") from error
    if parsed.scheme != "https" or not parsed.host:
        raise NotConfigured("the URL of the service must be https://HOST[:PORT][/PATH]")
    return parsed


def origin_of(url: str) -> httpx.URL:
    """The service's origin, at whose root the neighbours of the MTS API stand. Raises `NotConfigured`."""
    return checked_url(url).copy_with(path="/", query=None, fragment=None)


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
