"""The fake service, time that passes only when told to, and both clients behind one interface."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from mts_client import AsyncMtsClient, MtsClient
from mts_client.testing import ADMIN_TOKEN, TOKEN, URL, FakeMts


class Clock:
    """`pauses` holds every pause made; `at_pause` is called after each."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.at_pause: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self.at_pause()

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Awaited:
    """The blocking client with methods that are awaited, so that one test fits both."""

    def __init__(self, client: MtsClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            if inspect.isgeneratorfunction(method):
                return _each(method(*args, **kwargs))
            return _one(lambda: method(*args, **kwargs))

        return called


async def _one(call: Callable[[], Any]) -> Any:
    return call()


async def _each(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mts() -> FakeMts:
    return FakeMts()


MakeClient = Callable[..., AsyncMtsClient]


@pytest.fixture(params=["blocking", "asyncio"])
async def make_client(request: pytest.FixtureRequest, mts: FakeMts, clock: Clock) -> AsyncIterator[MakeClient]:
    """Makes clients of `mts` with both tokens; keyword arguments replace the client's."""
    made: list[Callable[[], Awaitable[None]]] = []

    def make(**changed: Any) -> AsyncMtsClient:
        given = {"url": URL, "token": TOKEN, "admin_token": ADMIN_TOKEN, "transport": mts.transport(), **changed}
        if request.param == "asyncio":
            client = AsyncMtsClient(sleep=clock.sleep_async, monotonic=clock.monotonic, **given)
        else:
            blocking = MtsClient(sleep=clock.sleep, monotonic=clock.monotonic, **given)
            client = cast("AsyncMtsClient", Awaited(blocking))
        made.append(client.close)
        return client

    yield make
    for close in made:
        await close()


@pytest.fixture
def client(make_client: MakeClient) -> AsyncMtsClient:
    """Both clients in turn."""
    return make_client()
