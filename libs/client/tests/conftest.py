"""The fake service, time that passes only when told to, and both clients behind one interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import httpx
import pytest
from typer.testing import CliRunner, Result

from mts_client import AsyncMtsClient, MtsClient
from mts_client.cli import app as mts_app
from mts_client.cli.session import Session
from mts_client.testing import ADMIN_TOKEN, TOKEN, URL, Awaited, FakeMts


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mts() -> FakeMts:
    return FakeMts()


class Closable(Protocol):
    async def close(self) -> None: ...


Client = TypeVar("Client", bound=Closable)
Either = Callable[..., Any]
MakeClient = Callable[..., AsyncMtsClient]


@pytest.fixture(params=["blocking", "asyncio"])
async def either(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Either]:
    """Makes clients of the first or the second class in turn; the blocking one's methods are awaited too."""
    made: list[Callable[[], Awaitable[None]]] = []

    def make(blocking: Callable[..., Any], asynchronous: Callable[..., Client], **given: Any) -> Client:
        if request.param == "asyncio":
            client = asynchronous(sleep=clock.sleep_async, monotonic=clock.monotonic, **given)
        else:
            client = cast("Client", Awaited(blocking(sleep=clock.sleep, monotonic=clock.monotonic, **given)))
        made.append(client.close)
        return client

    yield make
    for close in made:
        await close()


@pytest.fixture
def make_client(either: Either, mts: FakeMts) -> MakeClient:
    """Makes clients of `mts` with both tokens; keyword arguments replace the client's."""

    def make(**changed: Any) -> AsyncMtsClient:
        given = {"url": URL, "token": TOKEN, "admin_token": ADMIN_TOKEN, "transport": mts.transport(), **changed}
        client: AsyncMtsClient = either(MtsClient, AsyncMtsClient, **given)
        return client

    return make


@pytest.fixture
def client(make_client: MakeClient) -> AsyncMtsClient:
    """Both clients in turn."""
    return make_client()


@pytest.fixture
def run_as_user(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[..., Result]]:
    """Makes what runs `mts` for a user against a fake service, in an empty folder with an empty home."""
    monkeypatch.chdir(tmp_path)
    environment: dict[str, str | None] = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": None,
        "MTS_URL": URL,
        "MTS_TOKEN": None,
        "MTS_ADMIN_TOKEN": None,
        "MTS_CA_FILE": None,
    }

    def make(transport: httpx.MockTransport, user: str, password: str) -> Callable[..., Result]:
        session = Session(transport=transport, sleep=clock.sleep)
        known = {**environment, "MTS_USER": user, "MTS_USER_PASSWORD": password}

        def run(*arguments: str, env: dict[str, str | None] | None = None, stdin: str | None = None) -> Result:
            result = CliRunner(env={**known, **(env or {})}).invoke(mts_app, arguments, input=stdin, obj=session)
            assert "Traceback" not in result.output
            assert password not in result.output
            return result

        return run

    return make
