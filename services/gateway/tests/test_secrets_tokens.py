"""Tokens and keys that are given up while they are in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.fernet import Fernet

from mts_common.topology import SCHEDULER_REQUESTS
from mts_gateway.render import MASK
from mts_gateway.testing import Credentials, Listener, RunningGateway, Store

StartGateway = Callable[..., RunningGateway]

WORKERS = 6
TEST = {"meterType": "ELSTERA1700", "remoteAddress": "127.0.0.1:4059", "password": "FEDC0003"}


class Load:
    """Callers that request one test after the other, and note when they asked and what they were told."""

    def __init__(self, gateways: list[RunningGateway], token: str) -> None:
        self.answers: list[tuple[float, int, Any]] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(gateways[place % len(gateways)], token))
            for place in range(WORKERS)
        ]

    def _call(self, gateway: RunningGateway, token: str) -> None:
        with gateway.http(token) as api:
            while not self._over.is_set():
                asked = time.monotonic()
                answer = api.post("/MTS/test-request", json=TEST)
                self.answers.append((asked, answer.status_code, answer.json()))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30.0)

    def until(self, count: int, status: int) -> None:
        """Wait for so many answers of a status."""
        deadline = time.monotonic() + 30.0
        while sum(found == status for _, found, _ in self.answers) < count:
            assert time.monotonic() < deadline
            self._over.wait(0.01)


def test_a_deleted_token_opens_nothing_on_any_replica_from_the_answer_on_and_loses_nothing(
    start_gateway: StartGateway, owner: Credentials, admin: httpx.Client, listener: Listener
) -> None:
    gateways = [start_gateway(rate_limit_calls=10**9) for _ in range(2)]
    with Load(gateways, owner.token) as load:
        load.until(40, 200)
        assert admin.delete(f"/MTS/admin/tokens/{owner.token_id}").status_code == 200
        deleted = time.monotonic()
        load.until(40, 401)
    assert {status for _, status, _ in load.answers} == {200, 401}
    assert {status for asked, status, _ in load.answers if asked > deleted} == {401}
    for _, status, body in load.answers:
        if status == 200:
            listener.wait_for(SCHEDULER_REQUESTS, body["testId"])


def test_a_password_whose_key_has_been_given_up_is_masked_and_its_test_still_shown(
    start_gateway: StartGateway, owner: Credentials, store: Store
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    shown = []
    with start_gateway(meter_keys=old).http(owner.token) as api:
        test_id = api.post("/MTS/test-request", json=TEST).json()["testId"]
    for keys in (old, f"old,{new}".replace("old", old), f"{new},{old}", new):
        with start_gateway(meter_keys=keys).http(owner.token) as api:
            shown.append(api.get("/MTS/test-status", params={"testId": test_id}).json()["password"])
    assert shown == [TEST["password"]] * 3 + [MASK]
