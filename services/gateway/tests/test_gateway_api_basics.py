"""What holds for every method of the API: URLs, verbs, HTTPS, bodies, tokens, errors.

Every answer in these files is also held against the OpenAPI document, its content type and the absence of CORS headers
(`mts_gateway.testing.contract`).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable

import httpx
import pytest

from mts_gateway.endpoint import LARGE_BODIES, LARGE_BODY
from mts_gateway.testing import Credentials, RunningGateway, Store

StartGateway = Callable[..., RunningGateway]
LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}

SURFACE = [
    ("POST", "/MTS/test-request", "mts"),
    ("POST", "/MTS/batch-request", "mts"),
    ("DELETE", "/MTS/test-cancel", "mts"),
    ("DELETE", "/MTS/batch-cancel", "mts"),
    ("GET", "/MTS/test-status", "mts"),
    ("GET", "/MTS/batch-status", "mts"),
    ("GET", "/MTS/test-search", "mts"),
    ("GET", "/MTS/test-trace", "mts"),
    ("GET", "/MTS/limits", "mts"),
    ("GET", "/MTS/meter-types", "mts"),
    ("POST", "/MTS/admin/clients", "admin"),
    ("GET", "/MTS/admin/clients", "admin"),
    ("POST", "/MTS/admin/tokens", "admin"),
    ("GET", "/MTS/admin/tokens", "admin"),
    ("DELETE", "/MTS/admin/tokens/1", "admin"),
    ("GET", "/MTS/admin/tests/1/trace", "admin"),
]
BODIES = [(verb, path) for verb, path, scope in SURFACE if verb in ("POST", "DELETE") and scope == "mts"]


@pytest.mark.parametrize(("verb", "path", "scope"), SURFACE)
def test_every_method_needs_a_token_with_its_scope(
    gateway: RunningGateway, api: httpx.Client, admin: httpx.Client, verb: str, path: str, scope: str
) -> None:
    with gateway.http() as nobody:
        assert nobody.request(verb, path).status_code == 401
    allowed, other = (api, admin) if scope == "mts" else (admin, api)
    assert other.request(verb, path).json() == {"details": [f"the access token does not have the scope {scope}"]}
    assert other.request(verb, path).status_code == 403
    assert allowed.request(verb, path).status_code in (200, 400)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "Bearer nonsense",
        "{token}",
        "Bearer {token} x",
        "Bearerx {token}",
    ],
)
def test_a_missing_malformed_or_unknown_token_is_401(gateway: RunningGateway, owner: Credentials, header: str) -> None:
    with gateway.http() as nobody:
        answer = nobody.get("/MTS/limits", headers={"Authorization": header.format(token=owner.token)})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"details": ["a valid access token is required"]}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_taken_in_any_case(gateway: RunningGateway, owner: Credentials, scheme: str) -> None:
    with gateway.http() as client:
        assert client.get("/MTS/limits", headers={"Authorization": f"{scheme} {owner.token}"}).status_code == 200


def test_an_expired_token_is_401(gateway: RunningGateway, store: Store, owner: Credentials, api: httpx.Client) -> None:
    store.run("UPDATE gateway.token SET expires_at = now() WHERE token_id = $1", owner.token_id)
    assert api.get("/MTS/limits").status_code == 401


def test_a_deleted_token_is_401_at_once(api: httpx.Client, admin: httpx.Client, owner: Credentials) -> None:
    assert api.get("/MTS/limits").status_code == 200
    assert admin.delete(f"/MTS/admin/tokens/{owner.token_id}").status_code == 200
    assert api.get("/MTS/limits").status_code == 401


def test_two_authorization_headers_are_401(gateway: RunningGateway, owner: Credentials) -> None:
    with gateway.http() as client:
        headers = [("Authorization", f"Bearer {owner.token}"), ("Authorization", "Bearer other")]
        assert client.get("/MTS/limits", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/MTS",
        "/MTS/",
        "/MTS/test-requests",
        "/mts/test-request",
        "/MTS/test-status/",
        "/MTS/admin/tokens/1/2",
        "/docs",
        "/redoc",
    ],
)
def test_an_unknown_url_is_404(gateway: RunningGateway, path: str) -> None:
    with gateway.http() as nobody:
        answer = nobody.get(path)
        assert answer.status_code == 404
        assert answer.json() == {"details": ["there is nothing at this URL"]}


@pytest.mark.parametrize(("verb", "path", "scope"), SURFACE)
def test_a_known_path_with_the_wrong_verb_is_405(gateway: RunningGateway, verb: str, path: str, scope: str) -> None:
    known = {allowed for allowed, other, _ in SURFACE if other == path}
    with gateway.http() as nobody:
        for wrong in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"} - known:
            answer = nobody.request(wrong, path)
            assert answer.status_code == 405
            assert set(answer.headers["Allow"].split(", ")) == known


def test_no_cors_header_is_ever_sent(gateway: RunningGateway, owner: Credentials) -> None:
    origin = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    with gateway.http(owner.token, **origin) as client:
        for answer in (client.get("/MTS/limits"), client.options("/MTS/test-request"), client.get("/nowhere")):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_plain_http_is_refused(start_gateway: StartGateway, owner: Credentials) -> None:
    gateway = start_gateway(tls_cert=None, tls_key=None)
    with gateway.http(owner.token) as client:
        for path in ("/MTS/limits", "/MTS/service-status", "/nowhere"):
            for headers in ({}, {"X-Forwarded-Proto": "https"}):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 400
                assert answer.json() == {"details": ["the API is available over HTTPS only"]}
        assert client.get("/health/live").status_code == 200


def test_a_trusted_proxy_may_end_tls(start_gateway: StartGateway, owner: Credentials) -> None:
    gateway = start_gateway(tls_cert=None, tls_key=None, trust_proxy=True)
    with gateway.http(owner.token) as client:
        assert client.get("/MTS/limits", headers={"X-Forwarded-Proto": "https"}).status_code == 200
        for headers in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}):
            assert client.get("/MTS/limits", headers=headers).status_code == 400


def test_the_tls_port_speaks_nothing_older_than_tls_1_2(gateway: RunningGateway) -> None:
    context = ssl.create_default_context(cafile=gateway.settings.tls_cert)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=context) as client:
        client.get(f"https://127.0.0.1:{gateway.port}/health/live")


@pytest.mark.parametrize(("verb", "path"), BODIES)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b'"text"', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e999}', b"\xff", b"[" * 5000]
)
def test_a_body_that_is_not_the_json_it_should_be_is_400(api: httpx.Client, verb: str, path: str, body: bytes) -> None:
    assert api.request(verb, path, content=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"requestReference": "\\u0000"}',
        b'{"requestReference": "\\ud800"}',
        b'{"unknown": ["\\udfff"]}',
        b'{"unknown\\u0000": 1}',
        b'{"unknown": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
)
def test_nul_half_surrogates_and_deep_nesting_are_400_anywhere(api: httpx.Client, body: bytes) -> None:
    whole = json.dumps(LEAST).encode()[:-1] + b", " + body[1:]
    answer = api.post("/MTS/test-request", content=whole)
    assert answer.status_code == 400
    assert len(answer.json()["details"]) == 1


@pytest.mark.parametrize("query", ["testId=%00", "testId=%ff", "testId=1&TESTID=1", "testId=1;2"])
def test_a_query_that_cannot_be_read_is_400(api: httpx.Client, query: str) -> None:
    assert api.get(f"/MTS/test-status?{query}").status_code == 400


def test_any_content_type_of_the_request_will_do(api: httpx.Client) -> None:
    for content_type in ("application/json", "application/json; charset=utf-8", "text/plain", ""):
        body = json.dumps(LEAST).encode()
        answer = api.post("/MTS/test-request", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200


def test_a_body_over_the_limit_is_400(start_gateway: StartGateway, owner: Credentials) -> None:
    with start_gateway(max_body_bytes=2000).http(owner.token) as client:
        fits = json.dumps(LEAST).encode().ljust(2000)
        assert client.post("/MTS/test-request", content=fits).status_code == 200
        answer = client.post("/MTS/test-request", content=fits + b" ")
        assert answer.status_code == 400
        assert answer.json() == {"details": ["the request body is over the limit of 2000 bytes"]}


def test_a_body_over_the_limit_is_400_without_being_read(api: httpx.Client, gateway: RunningGateway) -> None:
    """The client is still sending 20 MiB when the answer comes; the connection is good for the next request."""
    answer = api.post("/MTS/test-request", content=b" " * 20 * 1024**2)
    assert answer.status_code == 400
    assert answer.json() == {"details": [f"the request body is over the limit of {8 * 1024**2} bytes"]}
    assert api.post("/MTS/test-request", json=LEAST).status_code == 200


def test_large_bodies_are_taken_one_after_another_without_end(api: httpx.Client) -> None:
    large = json.dumps(LEAST).encode().ljust(LARGE_BODY + 1)
    for _ in range(LARGE_BODIES + 1):
        assert api.post("/MTS/test-request", content=large).status_code == 200


def test_a_chunked_body_over_the_limit_is_400(api: httpx.Client) -> None:
    answer = api.post("/MTS/test-request", content=(b" " * 1024**2 for _ in range(12)))
    assert answer.status_code == 400


def test_an_error_never_shows_the_inside(api: httpx.Client, gateway: RunningGateway) -> None:
    for answer in (api.post("/MTS/test-request", json={"meterType": []}), api.get("/MTS/test-status")):
        assert "Traceback" not in answer.text
        assert "detail" not in answer.json()


def test_service_status_needs_no_token(gateway: RunningGateway) -> None:
    with gateway.http() as nobody:
        answer = nobody.get("/MTS/service-status")
        assert answer.status_code == 200
        assert answer.json() == {"serviceVersion": "0.1.0", "status": "OK"}


def test_service_status_names_what_is_down(start_gateway: StartGateway) -> None:
    with start_gateway(amqp_url="amqp://127.0.0.1:1/").http() as nobody:
        answer = nobody.get("/MTS/service-status")
        assert answer.status_code == 200
        assert answer.json()["status"] == "broker down"


def test_the_health_endpoints_answer(gateway: RunningGateway) -> None:
    with gateway.http() as nobody:
        for path in ("/health/live", "/health/ready"):
            assert nobody.get(path).json() == {"status": "OK"}


def test_the_limits_are_shown(api: httpx.Client) -> None:
    assert api.get("/MTS/limits").json() == {
        "callsPerWindow": 600,
        "windowSeconds": 60,
        "maxBatchTests": 10_000,
        "maxSurveyDays": 100,
        "maxSearchDays": 366,
        "maxSearchLimit": 1000,
        "defaultSearchLimit": 100,
        "maxBodyBytes": 8 * 1024**2,
    }


def test_the_meter_types_are_shown(api: httpx.Client) -> None:
    types = {each["meterType"]: each for each in api.get("/MTS/meter-types").json()}
    assert types["ELSTERA1700"] == {"meterType": "ELSTERA1700", "transports": ["modem", "tcp"], "supported": True}
    assert types["DLMS_WRAPPER"]["transports"] == ["tcp"]
    assert {"LG_E650_IEC", "EMH_LZQJ", "ISKRA_MT174", "IEC62056_21"} <= {
        name for name, each in types.items() if each["supported"]
    }
