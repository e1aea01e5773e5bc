"""The token endpoint: carbontrack.md, 2, and examples 1 to 9."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mts_common.database import Statements, open_pool
from mts_common.security import token_digest
from mts_gateway.housekeeping import Housekeeping
from mts_gateway.testing import RunningGateway, Store
from mts_gateway.testing.carbontrack import SUNCO, WINDCO
from mts_gateway.users import FAILED_LOGINS

StartGateway = Callable[..., RunningGateway]
PASSWORD = {"grant_type": "password", "username": SUNCO[0], "password": SUNCO[1]}


@pytest.fixture
def client(carbontrack: RunningGateway) -> Any:
    with carbontrack.neighbour() as client:
        yield client


def refresh(client: httpx.Client, token: str, **more: str) -> httpx.Response:
    return client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token, **more})


@pytest.mark.parametrize("path", ["/oauth/token", "/token", "/OAuth/Token/", "/TOKEN"])
def test_a_password_is_exchanged_for_tokens(client: httpx.Client, path: str) -> None:
    answer = client.post(path, data={**PASSWORD, "scope": "read write"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert list(body) == ["access_token", "token_type", "issued_at", "expires_in", "refresh_token"]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert isinstance(body["issued_at"], int)
    assert min(len(body["access_token"]), len(body["refresh_token"])) >= 43


@pytest.mark.parametrize("content_type", ["application/json", "text/json; charset=utf-8"])
def test_a_json_body_is_taken_too(client: httpx.Client, content_type: str) -> None:
    answer = client.post("/oauth/token", json=PASSWORD, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        (
            {"password": "wrong"},
            {"error": "invalid_grant", "error_description": "The user name or password is incorrect."},
        ),
        (
            {"username": "nobody"},
            {"error": "invalid_grant", "error_description": "The user name or password is incorrect."},
        ),
        ({"grant_type": "client_credentials"}, {"error": "unsupported_grant_type"}),
        ({"grant_type": None}, {"error": "unsupported_grant_type"}),
        ({"username": None}, {"error": "invalid_request", "error_description": "username is required."}),
        ({"username": ""}, {"error": "invalid_request", "error_description": "username is required."}),
        ({"password": None}, {"error": "invalid_request", "error_description": "password is required."}),
        (
            {"grant_type": "refresh_token"},
            {"error": "invalid_request", "error_description": "refresh_token is required."},
        ),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, {"error": "invalid_grant"}),
    ],
)
def test_what_is_wrong_with_a_request_is_told_as_an_oauth_error(
    client: httpx.Client, changed: dict[str, str | None], body: dict[str, str]
) -> None:
    asked = {name: value for name, value in {**PASSWORD, **changed}.items() if value is not None}
    answer = client.post("/oauth/token", data=asked)
    assert (answer.status_code, answer.json()) == (400, body)
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_refresh_needs_the_refresh_token_alone_and_repeats_it(client: httpx.Client) -> None:
    first = client.post("/oauth/token", data=PASSWORD).json()
    for _ in range(2):
        again = refresh(client, first["refresh_token"])
        assert again.status_code == 200
        assert again.json()["refresh_token"] == first["refresh_token"]
        assert again.json()["access_token"] != first["access_token"]
    for token in (first["access_token"], again.json()["access_token"]):
        answer = client.get("/ctapi/Distributor", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_credentials_that_come_with_a_refresh_must_be_the_users_own(client: httpx.Client) -> None:
    token = client.post("/oauth/token", data=PASSWORD).json()["refresh_token"]
    assert refresh(client, token, username="SunCo", password=SUNCO[1]).status_code == 200
    assert refresh(client, token, username="sunco").status_code == 200
    for name, password in (WINDCO, (SUNCO[0], "wrong"), (WINDCO[0], "")):
        answer = refresh(client, token, username=name, password=password)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_token_is_good_for_its_own_use_alone(client: httpx.Client) -> None:
    granted = client.post("/oauth/token", data=PASSWORD).json()
    bearer = {"Authorization": f"Bearer {granted['refresh_token']}"}
    assert client.get("/ctapi/Distributor", headers=bearer).status_code == 401
    assert refresh(client, granted["access_token"]).json() == {"error": "invalid_grant"}


def test_tokens_expire_and_are_stored_as_digests(client: httpx.Client, store: Store) -> None:
    granted = client.post("/oauth/token", data=PASSWORD).json()
    digests = [token_digest(granted[name]) for name in ("access_token", "refresh_token")]
    rows = store.run(
        "UPDATE gateway.user_token SET expires_at = now() FROM gateway.user_token AS old"
        " WHERE user_token.digest = old.digest AND user_token.digest = ANY ($1)"
        " RETURNING old.kind, extract(epoch FROM old.expires_at - old.issued_at)::integer AS seconds",
        digests,
    )
    assert {row["kind"]: row["seconds"] for row in rows} == {"access": 3600, "refresh": 30 * 86400}
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    assert client.get("/ctapi/Distributor", headers=bearer).status_code == 401
    assert refresh(client, granted["refresh_token"]).json() == {"error": "invalid_grant"}


def test_the_life_of_access_tokens_is_a_setting(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    with start_gateway(gateway_ct_token_ttl=60).neighbour() as client:
        assert client.post("/oauth/token", data=PASSWORD).json()["expires_in"] == 60


def test_parameters_in_the_url_are_not_read(client: httpx.Client) -> None:
    answer = client.post("/oauth/token", params=PASSWORD)
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"{", "application/json"), (b"[]", "application/json"), (b"grant_type=%ff", "application/x-www-form-urlencoded")],
)
def test_a_body_that_cannot_be_read_is_an_invalid_request(client: httpx.Client, body: bytes, content_type: str) -> None:
    answer = client.post("/oauth/token", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_there_is_no_implicit_grant(client: httpx.Client) -> None:
    answer = client.get("/oauth/authorize", params={"response_type": "token", "client_id": "x"})
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_response_type"})


def test_the_token_endpoint_takes_post_only(client: httpx.Client) -> None:
    answer = client.get("/oauth/token")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert client.get("/oauth/elsewhere").status_code == 404


def test_too_many_failed_logins_are_put_off_however_right_the_password_then_is(
    client: httpx.Client, store: Store
) -> None:
    store.run("DELETE FROM gateway.login_failure")
    wrong = {**PASSWORD, "username": "ada", "password": "wrong"}
    minute = "SELECT minute FROM gateway.login_failure WHERE user_name = 'ada'"
    answers = [client.post("/oauth/token", data=wrong) for _ in range(FAILED_LOGINS)]
    (begun,) = store.run(minute)
    answer = client.post("/oauth/token", data={**wrong, "password": "ch4rles-B"})
    if answer.status_code == 200:  # another minute has begun
        assert store.run("SELECT floor(extract(epoch FROM now()) / 60) > $1 AS over", begun["minute"])[0]["over"]
        return
    assert {each.status_code for each in answers} == {400}
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    simple = client.get("/ctapi/Distributor", headers={"UserID": "ada", "Password": "ch4rles-B"})
    assert (simple.status_code, simple.json()["ErrorNumber"]) == (429, 4290)
    store.run("DELETE FROM gateway.login_failure")


def test_a_token_counts_as_a_call(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    asked = {**PASSWORD, "username": WINDCO[0], "password": WINDCO[1]}
    with start_gateway(rate_limit_calls=1).neighbour() as client:
        answers = [client.post("/oauth/token", data=asked) for _ in range(3)]  # in two windows at most
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["Retry-After"]) <= 60


def test_expired_tokens_and_old_failures_are_forgotten(client: httpx.Client, store: Store, site: Any) -> None:
    granted = client.post("/oauth/token", data=PASSWORD).json()
    old, valid = (token_digest(granted[name]) for name in ("access_token", "refresh_token"))
    store.run("UPDATE gateway.user_token SET expires_at = now() WHERE digest = $1", old)
    store.run("INSERT INTO gateway.login_failure VALUES ('someone', '127.0.0.9', 1, 3)")

    async def tidy() -> None:
        async with open_pool(site.roles.url("gateway"), "test", 2) as pool:
            await Housekeeping(pool, Statements("mts_gateway"), keep_days=400).tidy()

    asyncio.run(tidy())
    left = store.run("SELECT digest FROM gateway.user_token WHERE digest = ANY ($1)", [old, valid])
    assert [row["digest"] for row in left] == [valid]
    assert store.run("SELECT FROM gateway.login_failure WHERE user_name = 'someone'") == []
