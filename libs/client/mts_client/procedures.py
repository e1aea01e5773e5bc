"""How a call is carried out, without doing any of it: generators that yield what is to be done next.

A procedure yields `Send` or `Pause` and is resumed with what came of it, so that retries and waits exist once and the
blocking and the asyncio client only perform the steps. Time is read from the `monotonic` that a procedure is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

import httpx

from mts_client import calls
from mts_client.calls import Access, Call
from mts_client.errors import (
    BadRequest,
    ConnectFailed,
    ConnectionBroken,
    Forbidden,
    Modified,
    MtsError,
    NotConfigured,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    ServiceUnavailable,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    WaitExpired,
)
from mts_client.models import BatchStatus, FoundTest, MeterTestStatus, Search, SearchPage

T = TypeVar("T")
StatusT = TypeVar("StatusT", MeterTestStatus, BatchStatus)
_LONGEST_RETRY_DIGITS = 9


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send this request; resume with the response, or with httpx's error as a value."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    content: bytes | None = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass; resume with None."""

    seconds: float


Step = Send | Pause
Happened = httpx.Response | httpx.RequestError | None
Procedure = Generator[Step, Happened, T]


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is sent and how long the pauses are. A server that asks for a longer pause than
    `longest_pause_seconds` is not waited for.
    """

    tries: int = 4
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 60.0

    def pause(self, failure: MtsError, tries_made: int, *, repeatable: bool) -> float | None:
        """Seconds before the next try, or None if there must be none.

        A call that the server refused to look at (429) or that never left (no connection) may always be sent again; one
        whose outcome is unknown only if it is repeatable.
        """
        if tries_made >= self.tries:
            return None
        if isinstance(failure, RateLimited):
            return failure.retry_after if failure.retry_after <= self.longest_pause_seconds else None
        if isinstance(failure, ConnectFailed) or (repeatable and isinstance(failure, ServiceUnavailable | Unreachable)):
            return min(self.first_pause_seconds * 2.0 ** (tries_made - 1), self.longest_pause_seconds)
        return None


def exchange(call: Call[T], tokens: Mapping[Access, str], policy: RetryPolicy, scheme: str = "Bearer") -> Procedure[T]:
    """One logical call with its retries; raises the last try's error."""
    send = _request(call, tokens, scheme)
    tries_made = 0
    while True:
        happened = yield send
        tries_made += 1
        try:
            return _result(call, happened)
        except MtsError as failure:
            pause = policy.pause(failure, tries_made, repeatable=call.repeatable)
            if pause is None:
                raise
        yield Pause(pause)


def _request(call: Call[T], tokens: Mapping[Access, str], scheme: str) -> Send:
    headers = {"Accept": "application/json", **call.headers}
    if call.body is not None:
        headers.setdefault("Content-Type", "application/json")
    token = _token(call.access, tokens)
    if token is not None:
        headers["Authorization"] = f"{scheme} {token}"
    return Send(call.method, call.path, call.query, headers, call.body)


def _token(access: Access, tokens: Mapping[Access, str]) -> str | None:
    if access is Access.NONE:
        return None
    if access is Access.ANY:
        return tokens.get(Access.MTS) or tokens.get(Access.ADMIN)
    if access not in tokens:
        raise NotConfigured(f"this call needs a token of scope {access.value}, and none is configured")
    return tokens[access]


def _result(call: Call[T], happened: Happened) -> T:
    if isinstance(happened, httpx.Response):
        if happened.status_code != httpx.codes.OK:
            raise _refusal(happened)
        try:
            return call.parse(happened.content)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer to {call.path} is not what the MTS API says: {error}") from error
    if isinstance(happened, httpx.RequestError):
        raise _unreachable(happened) from happened
    raise TypeError("a sent request was resumed without an outcome")


_UNREACHABLE: tuple[tuple[type[httpx.RequestError], type[Unreachable]], ...] = (
    (httpx.ConnectError, ConnectFailed),
    (httpx.ConnectTimeout, ConnectFailed),
    (httpx.PoolTimeout, ConnectFailed),
    (httpx.ProxyError, ConnectFailed),
    (httpx.UnsupportedProtocol, ConnectFailed),
    (httpx.TimeoutException, TimedOut),
    (httpx.RequestError, ConnectionBroken),
)

_REFUSALS: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    412: Modified,
    500: ServerError,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def _unreachable(error: httpx.RequestError) -> Unreachable:
    kind = next(ours for theirs, ours in _UNREACHABLE if isinstance(error, theirs))
    return kind(str(error) or type(error).__name__)


def _refusal(response: httpx.Response) -> MtsError:
    try:
        answer = calls.read_json(response.content)
    except ValueError:
        answer = None
    body = answer if isinstance(answer, dict) else {}
    details = _details(body)
    if response.status_code == RateLimited.status:
        return RateLimited(details, _retry_after(body, response))
    kind = _REFUSALS.get(response.status_code)
    if kind is not None:
        return kind(details)
    return UnexpectedAnswer(f"status {response.status_code}: {'; '.join(details) or 'without details'}")


def _details(body: Mapping[str, object]) -> tuple[str, ...]:
    # The MTS API's table says an array, its sample shows a plain string; the others are carbonTRACK's and OAuth's.
    details = body.get("details")
    if isinstance(details, list):
        return tuple(str(detail) for detail in details)
    structured = body.get("o:errorDetails")  # of the contract meters API
    if isinstance(structured, list):
        return tuple(str(detail.get("detail", "")) for detail in structured if isinstance(detail, dict))
    names = ("details", "Message", "ErrorMessage", "error", "error_description")
    return tuple(str(body[name]) for name in names if body.get(name))


def _retry_after(body: Mapping[str, object], response: httpx.Response) -> int:
    for value in (body.get("retryAfter"), response.headers.get("Retry-After")):
        text = str(value)
        if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_RETRY_DIGITS:
            return max(1, int(text))
    return 1


def wait(
    query: Call[StatusT],
    once: Callable[[Call[StatusT]], Procedure[StatusT]],
    monotonic: Callable[[], float],
    *,
    deadline: float,
    poll: float,
    progress: Callable[[StatusT], None] | None = None,
) -> Procedure[StatusT]:
    """Repeat a status query every `poll` seconds until it is completed; `progress` is told each answer.

    The first query must succeed. After it, a server that is away or overloaded is asked again until `deadline` seconds
    have passed; then its error is raised, or `WaitExpired` if it answered that the test is pending still.
    """
    end = monotonic() + deadline
    expired = WaitExpired(f"still pending after {deadline:g} s")
    failure: MtsError | None = None
    status = yield from once(query)
    while True:
        if failure is None and progress is not None:
            progress(status)
        if status.is_completed:
            return status
        remaining = end - monotonic()
        if remaining <= 0:
            raise failure or expired
        yield Pause(min(poll, remaining))
        try:
            status = yield from once(query)
            failure = None
        except (RateLimited, ServiceUnavailable, Unreachable) as error:
            failure = error


class SearchPages:
    """The calls that page through a search, in order, and what is new in each page.

    Tests received meanwhile shift the pages of a reversed search: since ids follow the order received, what an earlier
    page gave is told by its id. Tests removed meanwhile may make a search miss others.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._offset = search.offset or 0
        self._last: int | None = None
        self._more = True

    def next_call(self) -> Call[SearchPage] | None:
        """The next page's call, None after the last page."""
        if not self._more:
            return None
        return calls.test_search(self._search.model_copy(update={"offset": self._offset}))

    def take(self, page: SearchPage) -> tuple[FoundTest, ...]:
        """Accept the answer of `next_call`; gives its tests not given before."""
        self._offset += len(page.results)
        self._more = bool(page.results) and self._offset < page.total_result_count
        new = tuple(test for test in page.results if self._is_new(test))
        if new:
            self._last = new[-1].test_id
        return new

    def _is_new(self, test: FoundTest) -> bool:
        if self._last is None:
            return True
        return test.test_id < self._last if self._search.reverse_order else test.test_id > self._last
