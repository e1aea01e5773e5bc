"""Headers and media types (§2, §3), the origin in links, and the limits that callers are held to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import pytest

from mts_gateway.testing import RunningGateway
from mts_gateway.testing.contract_api import CONTRACT, CONTRACTS, METERS, A, B, client_of
from mts_gateway.users import FAILED_LOGINS
from mts_gateway.warranty.rendering import change_indicator

JSON = "application/json"
COLLECTION = "application/vnd.oracle.adf.resourcecollection+json"
ITEM = "application/vnd.oracle.adf.resourceitem+json"
DESCRIPTION = "application/vnd.oracle.adf.description+json"
FREE = {"rate_limit_calls": 1_000_000}
DESCRIBE = CONTRACTS.replace("assetWarrantyContracts", "describe")


@pytest.mark.parametrize("number", range(1, 10))
def test_the_framework_version_is_echoed(contracts: httpx.Client, number: int) -> None:
    answer = contracts.get(METERS, headers={"REST-Framework-Version": str(number)})
    assert (answer.status_code, answer.headers["REST-Framework-Version"]) == (200, str(number))


def test_without_a_framework_version_it_is_1_in_errors_too(contracts: httpx.Client) -> None:
    for answer in (
        contracts.get(METERS),
        contracts.get(f"{CONTRACTS}/1"),
        contracts.get(METERS, headers={"REST-Framework-Version": "abc"}),
        contracts.get(METERS, headers={"Accept": "application/xml"}),
    ):
        assert answer.headers["REST-Framework-Version"] == "1"


def test_a_metadata_context_is_echoed_when_sent(contracts: httpx.Client) -> None:
    context = 'sandbox="TrackEmployeeFeature"'
    assert contracts.get(METERS, headers={"Metadata-Context": context}).headers["Metadata-Context"] == context
    assert "Metadata-Context" not in contracts.get(METERS).headers


@pytest.mark.parametrize("content_type", [ITEM, "text/plain", "nonsense"])
def test_the_content_type_of_a_get_is_nothing(contracts: httpx.Client, content_type: str) -> None:
    assert contracts.get(METERS, headers={"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize("content_type", [JSON, ITEM, f"{JSON}; charset=utf-8", ITEM.upper()])
def test_a_body_says_that_it_is_json(contracts: httpx.Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert contracts.patch(f"{METERS}/{B}", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("accept", "collection", "item"),
    [
        (None, COLLECTION, ITEM),
        ("*/*", COLLECTION, ITEM),
        ("", COLLECTION, ITEM),
        (JSON, JSON, JSON),
        (f"{JSON};charset=utf-8", JSON, JSON),
        ("application/json, text/plain, */*", JSON, JSON),
        ("application/*", JSON, JSON),
        (COLLECTION, COLLECTION, None),
        (ITEM, None, ITEM),
        (f"{ITEM}, {COLLECTION}", COLLECTION, ITEM),
        (f"{ITEM}, {JSON}", JSON, JSON),
        (f"{ITEM}, {JSON};q=0.5", JSON, ITEM),
        (f"{COLLECTION};q=0.4, {JSON};q=0.5", JSON, JSON),
        (f"{JSON};q=0, */*", COLLECTION, ITEM),
        ("text/html, */*;q=0.1", COLLECTION, ITEM),
        ("APPLICATION/JSON", JSON, JSON),
        ("application/xml", None, None),
        (f"{JSON};q=0", None, None),
        (f"{JSON};q=high", COLLECTION, ITEM),
    ],
)
def test_the_media_type_is_the_one_that_is_liked_best(
    contracts: httpx.Client, accept: str | None, collection: str | None, item: str | None
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    for url, expected in ((METERS, collection), (CONTRACTS, collection), (CONTRACT, item), (f"{METERS}/{A}", item)):
        answer = contracts.get(url, headers=headers)
        if expected is None:
            assert answer.status_code == 406
        else:
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, expected)


def test_a_description_has_a_media_type_of_its_own(contracts: httpx.Client) -> None:
    for url in (DESCRIBE, f"{CONTRACTS}/describe", f"{METERS}/describe"):
        assert contracts.get(url).headers["Content-Type"] == DESCRIPTION
        assert contracts.get(url, headers={"Accept": JSON}).headers["Content-Type"] == JSON
        assert contracts.get(url, headers={"Accept": ITEM}).status_code == 406


def test_a_write_is_answered_in_the_media_type_of_an_item(contracts: httpx.Client) -> None:
    assert contracts.patch(f"{METERS}/{B}", json={}).headers["Content-Type"] == ITEM
    headers = {"Accept": COLLECTION}
    assert contracts.post(METERS, json={"MeterCode": "SPARE"}, headers=headers).status_code == 406
    assert contracts.get(METERS).json()["count"] == 3


@pytest.mark.parametrize("quote", ['"{}"', 'W/"{}"', "{}", 'W/"x", "{}"', "*"])
def test_what_the_client_has_already_is_304(contracts: httpx.Client, quote: str) -> None:
    for url in (CONTRACT, f"{METERS}/{A}"):
        tag = contracts.get(url).headers["ETag"]
        answer = contracts.get(url, headers={"If-None-Match": quote.format(tag.strip('"'))})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
        assert contracts.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_change_indicator_is_the_version_serialised() -> None:
    assert change_indicator(1).endswith("7870" + "00000001" + "78")
    assert change_indicator(0xABC).endswith("7870" + "00000ABC" + "78")


def test_nobody_may_keep_an_answer(contracts: httpx.Client) -> None:
    for answer in (contracts.get(METERS), contracts.get(f"{CONTRACTS}/1")):
        assert answer.headers["Cache-Control"] == "no-store"


# --- links


def hrefs(client: httpx.Client, **headers: str) -> set[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = client.get(METERS, headers=named).json()
    links = [link for item in [*body["items"], body] for link in item["links"]]
    return {link["href"].partition("/fscmRestApi")[0] for link in links}


def test_links_begin_with_the_host_that_was_asked(contracts: httpx.Client) -> None:
    assert hrefs(contracts, Host="fusion.example:8443") == {"https://fusion.example:8443"}
    assert hrefs(contracts, Host="fusion.example", X_Forwarded_Host="evil.example") == {"https://fusion.example"}


def test_links_begin_with_the_origin_that_is_set(contract_site: Any, seeded: None) -> None:
    url = "https://api.example"
    with contract_site.gateway(gateway_public_base_url=url, **FREE) as gateway, client_of(gateway) as client:
        assert hrefs(client, Host="other.example") == {url}


def test_links_begin_with_what_a_trusted_proxy_was_asked(contract_site: Any, seeded: None) -> None:
    settings = {**FREE, "tls_cert": None, "tls_key": None, "trust_proxy": True}
    with contract_site.gateway(**settings) as gateway, client_of(gateway) as client:
        forwarded = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "front.example, inner"}
        assert hrefs(client, **forwarded) == {"https://front.example"}


def test_plain_http_is_refused(contract_site: Any, seeded: None) -> None:
    with contract_site.gateway(tls_cert=None, tls_key=None, **FREE) as gateway, client_of(gateway) as client:
        answer = client.get(METERS, headers={"X-Forwarded-Proto": "https"})
        assert (answer.status_code, answer.text) == (400, "The API is available over HTTPS only")


# --- limits


def test_too_many_failed_logins_are_429_however_right_the_next(
    contract_gateway: RunningGateway, changeable: None
) -> None:
    with client_of(contract_gateway) as client:
        answers = [client.get(METERS, auth=("USER", "wrong")) for _ in range(FAILED_LOGINS + 1)]
        assert {answer.status_code for answer in answers} <= {401, 429}
        answer = client.get(METERS, headers={"REST-Framework-Version": "4"})
        if answer.status_code == 200:  # a new minute has begun
            answer = next(
                refused
                for refused in (client.get(METERS, auth=("USER", "wrong")) for _ in range(FAILED_LOGINS + 1))
                if refused.status_code == 429
            )
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        with client_of(contract_gateway, "READER") as other:
            assert other.get(METERS).status_code == 200


@pytest.mark.parametrize("user", ["READER", "OF_SUN"])
def test_the_call_over_the_rate_is_429(contract_site: Any, changeable: None, user: str) -> None:
    contract_site.store.run("TRUNCATE gateway.rate_window, gateway.user_rate_window")
    with contract_site.gateway(rate_limit_calls=3, rate_limit_seconds=86_400) as gateway:
        with client_of(gateway, user, REST_Framework_Version="4") as client:
            answers = [client.get(CONTRACTS) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["o:errorDetails"][0]["o:errorCode"] == "429"
        assert int(answers[3].headers["Retry-After"]) >= 1


def test_a_client_shares_its_rate_with_the_mts_api(contract_site: Any, changeable: None) -> None:
    with contract_site.gateway(rate_limit_calls=3, rate_limit_seconds=86_400) as gateway:
        token = contract_site.store.new_client(scopes=("mts", "warranty:read")).token
        with gateway.http(token) as mts, client_of(gateway, None, Authorization=f"Bearer {token}") as client:
            assert [mts.get("/MTS/limits").status_code for _ in range(2)] == [200, 200]
            answers = [client.get(CONTRACTS) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert int(answers[1].headers["Retry-After"]) >= 1


def test_a_caller_has_a_share_of_the_room_and_no_more(contract_site: Any, seeded: None) -> None:
    """A body that is still arriving takes the one place that a user has; others are served meanwhile."""
    entered, leave = Event(), Event()

    def slowly() -> Iterator[bytes]:
        yield b"{"
        entered.set()
        leave.wait(20)
        yield b"}"

    def patch_until_let_in() -> httpx.Response:
        while True:
            answer = slow.patch(f"{METERS}/{B}", content=slowly(), headers={"Content-Type": JSON})
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer

    with (
        contract_site.gateway(max_requests=2, **FREE) as gateway,
        client_of(gateway) as slow,
        client_of(gateway) as user,
        client_of(gateway, "READER") as other,
        ThreadPoolExecutor(1) as thread,
    ):
        change = thread.submit(patch_until_let_in)
        assert entered.wait(20)
        answers = iter(lambda: user.get(METERS, headers={"REST-Framework-Version": "4"}), None)
        refused = next(answer for answer in answers if answer.status_code != 200)
        assert (refused.status_code, refused.json()["title"]) == (503, "Service Unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert other.get(METERS).status_code == 200
        leave.set()
        assert change.result().status_code == 200


def test_a_database_that_is_away_is_503_in_the_shape_of_errors(contract_site: Any, contracts: httpx.Client) -> None:
    headers = {"REST-Framework-Version": "4"}
    with contract_site.store.shut_out():
        for answer in (
            contracts.get(METERS, headers=headers),
            contracts.patch(f"{METERS}/{B}", json={"MeterStartValue": 5}, headers=headers),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["title"] == "Service Unavailable"
    assert contracts.get(f"{METERS}/{B}").json()["MeterStartValue"] == 0


def test_a_fault_of_ours_is_500_without_its_inside(
    contract_gateway: RunningGateway, contracts: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mts_gateway.warranty.reads.page", lambda *_: 1 / 0)
    answer = contracts.get(METERS, headers={"REST-Framework-Version": "4"})
    assert answer.status_code == 500
    assert answer.json()["o:errorDetails"][0]["o:errorCode"] == "500"
    assert "Zero" not in answer.text


def test_a_body_over_the_limit_is_refused(contract_site: Any, seeded: None) -> None:
    with contract_site.gateway(max_body_bytes=2000, **FREE) as gateway, client_of(gateway) as client:
        body = b'{"MeterStartValue": 0' + b" " * 2000 + b"}"
        answer = client.patch(f"{METERS}/{B}", content=body, headers={"Content-Type": JSON})
        assert answer.status_code == 400
        assert "2000" in answer.text
