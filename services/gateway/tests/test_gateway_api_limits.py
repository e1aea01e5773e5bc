"""The rate limit: a fixed window per client, exact over all replicas."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from mts_gateway.testing import Credentials, RunningGateway, Store

StartGateway = Callable[..., RunningGateway]

# So long a window that no test sees its end by chance: one from 1970 that ends in 2033.
LONG = 2_000_000_000


def statuses(api: httpx.Client, calls: int) -> list[int]:
    return [api.get("/MTS/limits").status_code for _ in range(calls)]


def test_the_call_over_the_limit_is_429_and_says_when_to_come_again(
    start_gateway: StartGateway, owner: Credentials
) -> None:
    with start_gateway(rate_limit_calls=3, rate_limit_seconds=LONG).http(owner.token) as api:
        assert statuses(api, 3) == [200] * 3
        answer = api.get("/MTS/limits")
        assert answer.status_code == 429
        body = answer.json()
        assert body["details"] == [f"more than 3 calls in {LONG} seconds"]
        assert body["retryAfter"] >= 1
        assert answer.headers["Retry-After"] == str(body["retryAfter"])


def test_retry_after_is_the_rest_of_the_window(start_gateway: StartGateway, owner: Credentials) -> None:
    with start_gateway(rate_limit_calls=1, rate_limit_seconds=3600).http(owner.token) as api:
        answers = [api.get("/MTS/limits") for _ in range(3)]
        assert 1 <= answers[-1].json()["retryAfter"] <= 3600


def test_a_new_window_starts_anew(start_gateway: StartGateway, owner: Credentials, store: Store) -> None:
    with start_gateway(rate_limit_calls=2, rate_limit_seconds=LONG).http(owner.token) as api:
        assert statuses(api, 3) == [200, 200, 429]
        store.run("UPDATE gateway.rate_window SET opened = opened - 1 WHERE client_id = $1", owner.client_id)
        assert statuses(api, 3) == [200, 200, 429]


def test_a_longer_window_than_was_set_before_starts_anew(start_gateway: StartGateway, owner: Credentials) -> None:
    with start_gateway(rate_limit_calls=2, rate_limit_seconds=60).http(owner.token) as api:
        assert statuses(api, 1) == [200]
    with start_gateway(rate_limit_calls=2, rate_limit_seconds=LONG).http(owner.token) as api:
        assert statuses(api, 3) == [200, 200, 429]


def test_the_count_is_exact_over_replicas_and_concurrent_calls(start_gateway: StartGateway, owner: Credentials) -> None:
    limits: dict[str, Any] = {"rate_limit_calls": 100, "rate_limit_seconds": LONG}
    one, two = start_gateway(**limits), start_gateway(**limits)
    with one.http(owner.token) as first, two.http(owner.token) as second, ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda place: (first, second)[place % 2].get("/MTS/limits").status_code, range(150)))
    assert (found.count(200), found.count(429)) == (100, 50)


def test_each_client_has_a_window_of_its_own_shared_by_its_tokens(
    start_gateway: StartGateway, store: Store, owner: Credentials, admin: httpx.Client
) -> None:
    gateway = start_gateway(rate_limit_calls=2, rate_limit_seconds=LONG)
    second = admin.post("/MTS/admin/tokens", json={"clientId": owner.client_id}).json()["token"]
    with (
        gateway.http(owner.token) as api,
        gateway.http(second) as same,
        gateway.http(store.new_client().token) as other,
    ):
        assert statuses(api, 1) + statuses(same, 2) == [200, 200, 429]
        assert statuses(other, 2) == [200, 200]


def test_every_call_of_a_client_counts_but_none_without_a_token(
    start_gateway: StartGateway, owner: Credentials
) -> None:
    gateway = start_gateway(rate_limit_calls=3, rate_limit_seconds=LONG)
    with gateway.http() as nobody, gateway.http(owner.token) as api:
        for _ in range(5):
            assert nobody.get("/MTS/limits").status_code == 401
            assert nobody.get("/MTS/service-status").status_code == 200
        assert api.post("/MTS/test-request", content=b"{").status_code == 400
        assert api.get("/MTS/test-status").status_code == 400
        assert api.get("/MTS/meter-types").status_code == 200
        assert api.post("/MTS/test-request", content=b"{").status_code == 429
        assert api.get("/nowhere").status_code == 404
