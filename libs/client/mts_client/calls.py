"""Every method of the MTS API described as data; `procedures` says how a call is carried out, `client` does it."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from mts_client.models import (
    ApiClient,
    BatchCancelled,
    BatchStatus,
    Dialect,
    Limits,
    MeterTest,
    MeterTestStatus,
    MeterType,
    NewToken,
    Search,
    SearchPage,
    ServiceStatus,
    Token,
    WireTrace,
    query_text,
)
from mts_client.operator_models import DeadLetter, DeadLetters, Lines, QuarantineLifted, WaitingTests

T = TypeVar("T")
_LONGEST_KEY = 128


class Access(enum.Enum):
    """Which token a call carries."""

    NONE = "none"
    ANY = "any"
    MTS = "mts"
    ADMIN = "admin"
    USER = "user"


@dataclasses.dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One logical call. `path` is relative to the service's URL, `parse` reads a 200's body (ValueError if it is not
    what the API says), `repeatable` says that sending it twice does no more than sending it once.
    """

    method: str
    path: str
    parse: Callable[[bytes], T]
    access: Access = Access.MTS
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes | None = dataclasses.field(default=None, repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    repeatable: bool = True

    def as_sent(self) -> Call[bytes]:
        """The same call, answered with the body's bytes untouched."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Call(**{**fields, "parse": bytes})


def read_json(body: bytes) -> Any:
    """JSON with every fraction as an exact Decimal; NaN and Infinity, which are not JSON, raise ValueError."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(body, parse_float=Decimal, parse_constant=refuse)


def reader(expected: type[T]) -> Callable[[bytes], T]:
    """Reads a body that is the JSON of `expected`, raising ValueError if it is not."""
    adapter = TypeAdapter(expected)
    return lambda body: adapter.validate_python(read_json(body))


def _member(expected: type[T], name: str) -> Callable[[bytes], T]:
    adapter = TypeAdapter(expected)

    def parse(body: bytes) -> T:
        answer = read_json(body)
        if not isinstance(answer, dict) or name not in answer:
            raise ValueError(f"{name} is missing")
        return adapter.validate_python(answer[name])

    return parse


_TEST_ID = _member(int, "testId")
_BATCH_ID = _member(int, "batchId")
_TEST_STATUS = reader(MeterTestStatus)
_BATCH_STATUS = reader(BatchStatus)
_BATCH_CANCELLED = reader(BatchCancelled)
_SEARCH_PAGE = reader(SearchPage)
_SERVICE_STATUS = reader(ServiceStatus)
_LIMITS = reader(Limits)
_METER_TYPES = reader(tuple[MeterType, ...])
_TRACE = reader(WireTrace)
_CLIENT = reader(ApiClient)
_CLIENTS = _member(tuple[ApiClient, ...], "clients")
_NEW_TOKEN = reader(NewToken)
_TOKENS = _member(tuple[Token, ...], "tokens")
_TOKEN_ID = _member(int, "tokenId")
_CHANGED = _member(dict[str, int], "changed")
_REGISTRY = reader(dict[str, list[dict[str, Any]]])
_WAITING_TESTS = reader(WaitingTests)
_TEST_IDS = _member(tuple[int, ...], "testIds")
_LINES = reader(Lines)
_QUARANTINE_LIFTED = reader(QuarantineLifted)
_DEAD_LETTERS = reader(DeadLetters)
_DEAD_LETTER = reader(DeadLetter)
_DEAD_LETTER_ID = _member(int, "deadLetterId")


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def test_body(test: MeterTest) -> bytes:
    """A test as it stands in the body of test-request or batch-request."""
    return _json(test.body())


def _key_header(key: str | None) -> Mapping[str, str]:
    if key is None:
        key = str(uuid.uuid4())
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= _LONGEST_KEY):
        raise ValueError(f"an idempotency key is 1 to {_LONGEST_KEY} printable ASCII characters")
    return {"Idempotency-Key": key}


def test_request(test: MeterTest, idempotency_key: str | None = None) -> Call[int]:  # noqa: PT028
    """Request a test; gives its id. Without a key a new one is made, so that each call asks for one test."""
    return Call("POST", "test-request", _TEST_ID, body=test_body(test), headers=_key_header(idempotency_key))


def batch_request(tests: Sequence[MeterTest], idempotency_key: str | None = None) -> Call[int]:
    """Request tests, all or none; gives the id of the batch."""
    body = b"[" + b",".join(test_body(test) for test in tests) + b"]"
    return Call("POST", "batch-request", _BATCH_ID, body=body, headers=_key_header(idempotency_key))


def test_cancel(test_id: int) -> Call[int]:
    """Remove a pending test; one that is running or finished stays as it is."""
    return Call("DELETE", "test-cancel", _TEST_ID, body=_json({"testId": test_id}))


def batch_cancel(batch_id: int, *, delete_completed: bool = False) -> Call[BatchCancelled]:
    """Remove a batch's pending tests, and its completed ones on demand. If the first answer was lost, the repeat's
    count leaves out what the first removed.
    """
    body = _json({"batchId": batch_id, "deleteCompleted": delete_completed})
    return Call("DELETE", "batch-cancel", _BATCH_CANCELLED, body=body)


def test_status(test_id: int, dialect: Dialect | None = None) -> Call[MeterTestStatus]:  # noqa: PT028
    """A test's status; without a `dialect` the token's own decides the shape of the registers."""
    headers = {"Accept": f"application/json; dialect={dialect}"} if dialect else {}
    return Call("GET", "test-status", _TEST_STATUS, query={"testId": str(test_id)}, headers=headers)


def batch_status(batch_id: int) -> Call[BatchStatus]:
    """Counts and summaries of a batch's tests."""
    return Call("GET", "batch-status", _BATCH_STATUS, query={"batchId": str(batch_id)})


def test_search(search: Search) -> Call[SearchPage]:
    """One page of the tests that match."""
    return Call("GET", "test-search", _SEARCH_PAGE, query=search.query())


def service_status() -> Call[ServiceStatus]:
    """Version and health of the service; no token is sent."""
    return Call("GET", "service-status", _SERVICE_STATUS, access=Access.NONE)


def limits() -> Call[Limits]:
    """The server's limits."""
    return Call("GET", "limits", _LIMITS, access=Access.ANY)


def meter_types() -> Call[tuple[MeterType, ...]]:
    """The catalogue of meter types."""
    return Call("GET", "meter-types", _METER_TYPES, access=Access.ANY)


def test_trace(test_id: int) -> Call[WireTrace]:
    """The wire trace of each attempt of an own test."""
    return Call("GET", "test-trace", _TRACE, query={"testId": str(test_id)})


def admin_test_trace(test_id: int) -> Call[WireTrace]:
    """The wire trace of each attempt of any client's test."""
    return Call("GET", f"admin/tests/{test_id:d}/trace", _TRACE, access=Access.ADMIN)


def create_client(name: str) -> Call[ApiClient]:
    """Make a client, the owner of tokens."""
    body = _json({"name": name})
    return Call("POST", "admin/clients", _CLIENT, Access.ADMIN, body=body, repeatable=False)


def list_clients() -> Call[tuple[ApiClient, ...]]:
    """All clients."""
    return Call("GET", "admin/clients", _CLIENTS, Access.ADMIN)


def create_token(
    client_id: int,
    *,
    scopes: Sequence[str] = ("mts",),
    valid_days: int = 365,
    dialect: Dialect = Dialect.GROUPED,
) -> Call[NewToken]:
    """Make a token; its secret is in this answer and nowhere else."""
    body = _json({"clientId": client_id, "scopes": list(scopes), "validDays": valid_days, "dialect": dialect})
    return Call("POST", "admin/tokens", _NEW_TOKEN, Access.ADMIN, body=body, repeatable=False)


def list_tokens() -> Call[tuple[Token, ...]]:
    """All tokens, without their secrets."""
    return Call("GET", "admin/tokens", _TOKENS, Access.ADMIN)


def delete_token(token_id: int) -> Call[int]:
    """End a token's validity. Not repeatable: a repeat after a lost answer is refused as unknown."""
    return Call("DELETE", f"admin/tokens/{token_id:d}", _TOKEN_ID, Access.ADMIN, repeatable=False)


def list_waiting_tests(
    *,
    client_id: int | None = None,
    immediate: bool | None = None,
    on_hold: bool | None = None,
    remote_address: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Call[WaitingTests]:
    """The tests that wait for a call; `remote_address` matches a part."""
    wanted = {
        "clientId": client_id,
        "immediate": immediate,
        "onHold": on_hold,
        "remoteAddress": remote_address,
        "limit": limit,
        "offset": offset,
    }
    return Call("GET", "admin/jobs", _WAITING_TESTS, Access.ADMIN, query=_query(wanted))


def hold_tests(test_ids: Sequence[int]) -> Call[tuple[int, ...]]:
    """Keep tests from being called; gives those that wait and are held now."""
    return Call("POST", "admin/jobs/hold", _TEST_IDS, Access.ADMIN, body=_json({"testIds": list(test_ids)}))


def release_tests(test_ids: Sequence[int], *, now: bool = False) -> Call[tuple[int, ...]]:
    """End holds and pauses, with `now` also the wait for a run window; gives those that wait and are released now."""
    body = _json({"testIds": list(test_ids), "now": now})
    return Call("POST", "admin/jobs/release", _TEST_IDS, Access.ADMIN, body=body)


def list_lines() -> Call[Lines]:
    """Diallers, running calls and quarantined addresses."""
    return Call("GET", "admin/lines", _LINES, Access.ADMIN)


def lift_quarantine(remote_address: str) -> Call[QuarantineLifted]:
    """Let an address, written as `list_lines` shows it, be called again."""
    body = _json({"remoteAddress": remote_address})
    return Call("DELETE", "admin/lines/quarantine", _QUARANTINE_LIFTED, Access.ADMIN, body=body)


def list_dead_letters(
    *, service: str | None = None, queue: str | None = None, limit: int | None = None, offset: int | None = None
) -> Call[DeadLetters]:
    """What no service could handle."""
    wanted = {"service": service, "queue": queue, "limit": limit, "offset": offset}
    return Call("GET", "admin/dead-letters", _DEAD_LETTERS, Access.ADMIN, query=_query(wanted))


def show_dead_letter(service: str, dead_letter_id: int) -> Call[DeadLetter]:
    """A dead letter with what it says."""
    return Call("GET", f"admin/dead-letters/{quote(service, safe='')}/{dead_letter_id:d}", _DEAD_LETTER, Access.ADMIN)


def requeue_dead_letter(service: str, dead_letter_id: int) -> Call[int]:
    """Put a dead letter back into its queue. Not repeatable: a repeat after a lost answer is refused as unknown."""
    path = f"admin/dead-letters/{quote(service, safe='')}/{dead_letter_id:d}/requeue"
    return Call("POST", path, _DEAD_LETTER_ID, Access.ADMIN, repeatable=False)


def _query(wanted: Mapping[str, object]) -> dict[str, str]:
    return {name: query_text(value) for name, value in wanted.items() if value is not None}


Import = Callable[[bytes], dict[str, int]]
"""Sends a registry file; how many items of each kind have changed."""


def import_registry(body: bytes) -> Call[dict[str, int]]:
    """Put the items of a registry file, JSON, into the registry, all or none; how many changed, by kind."""
    return Call("POST", "admin/registry", _CHANGED, Access.ADMIN, body=body)


def export_registry() -> Call[dict[str, list[dict[str, Any]]]]:
    """The whole registry, without passwords."""
    return Call("GET", "admin/registry", _REGISTRY, Access.ADMIN)
