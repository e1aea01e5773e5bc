"""An MTS in memory, for tests of what is built on this package: no network, no meters.

`FakeMts.transport()` goes into the `transport` of either client. It knows the tests it was asked for, answers in the
contract's shapes, and completes a test when it is told to. Replies put into `scripted` are given first, in order.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

TOKEN = "mts-token"  # noqa: S105
ADMIN_TOKEN = "admin-token"  # noqa: S105
URL = "https://mts.test/MTS"
REQUEST_TIME = "2026-11-20T10:00:00Z"
LIMITS = {
    "callsPerWindow": 600,
    "windowSeconds": 60,
    "maxBatchTests": 3,
    "maxSurveyDays": 100,
    "maxSearchDays": 366,
    "maxSearchLimit": 1000,
    "defaultSearchLimit": 2,
    "maxBodyBytes": 8_388_608,
}
METER_TYPES = [
    {"meterType": "ELSTERA1700", "transports": ["modem", "tcp"], "supported": True},
    {"meterType": "PREMIER", "transports": ["modem"], "supported": False},
]
_ADDRESS = re.compile(r"\+?[0-9]{3,20}|[^:]+:[0-9]{1,5}")

Answer = tuple[int, Any]


class _Refusal(Exception):
    def __init__(self, status: int, *details: str) -> None:
        super().__init__(status)
        self.answer = (status, {"details": list(details)})


class Awaited:
    """A blocking client with methods that are awaited, so that one test fits both."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def one(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        async def each(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            for item in method(*args, **kwargs):
                yield item

        return each if inspect.isgeneratorfunction(method) else one


class FakeMts:
    """The service's state; `requests` holds what was received."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.scripted: deque[httpx.Response | httpx.RequestError] = deque()
        self.tests: dict[int, dict[str, Any]] = {}
        self.batches: dict[int, list[int]] = {}
        self.traces: dict[int, dict[str, Any]] = {}
        self.clients: list[dict[str, Any]] = []
        self.tokens: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.lines: dict[str, list[dict[str, Any]]] = {"diallers": [], "calls": [], "quarantine": []}
        self.dead_letters: list[dict[str, Any]] = []
        self.registry: dict[str, list[dict[str, Any]]] = {}
        self.limits = dict(LIMITS)
        self._by_key: dict[str, Answer] = {}
        self._ids = itertools.count(1)

    def transport(self) -> httpx.MockTransport:
        """A transport for `MtsClient` and `AsyncMtsClient`."""
        return httpx.MockTransport(self.handle)

    def complete(self, test_id: int, summary: str = "SUCCESS", **read: Any) -> None:
        """End a test with this summary and what was read, by the names of test-status."""
        self.tests[test_id] |= {"result": summary, "resultSummary": summary, **read}

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        if self.scripted:
            scripted = self.scripted.popleft()
            if isinstance(scripted, httpx.RequestError):
                raise scripted
            return scripted
        try:
            status, answer = self._answer(request)
        except _Refusal as refusal:
            status, answer = refusal.answer
        return httpx.Response(status, json=answer)

    def _answer(self, request: httpx.Request) -> Answer:
        route = request.method, re.sub(r"/[0-9]+", "/ID", request.url.path.removeprefix("/MTS/"))
        handlers: Mapping[tuple[str, str], Callable[[httpx.Request], Any]] = {
            ("POST", "test-request"): self._test_request,
            ("POST", "batch-request"): self._batch_request,
            ("DELETE", "test-cancel"): self._test_cancel,
            ("DELETE", "batch-cancel"): self._batch_cancel,
            ("GET", "test-status"): self._test_status,
            ("GET", "batch-status"): self._batch_status,
            ("GET", "test-search"): self._test_search,
            ("GET", "test-trace"): lambda _: self._trace(int(request.url.params["testId"])),
            ("GET", "service-status"): lambda _: {"serviceVersion": "1.2.3", "status": "OK"},
            ("GET", "limits"): lambda _: self.limits,
            ("GET", "meter-types"): lambda _: METER_TYPES,
            ("GET", "admin/tests/ID/trace"): lambda _: self._trace(int(request.url.path.split("/")[-2])),
            ("POST", "admin/clients"): self._create_client,
            ("GET", "admin/clients"): lambda _: {"clients": self.clients},
            ("POST", "admin/tokens"): self._create_token,
            ("GET", "admin/tokens"): lambda _: {"tokens": self.tokens},
            ("DELETE", "admin/tokens/ID"): self._delete_token,
            ("GET", "admin/registry"): lambda _: self.registry,
            ("POST", "admin/registry"): self._import_registry,
            ("GET", "admin/jobs"): self._jobs,
            ("POST", "admin/jobs/hold"): lambda request: self._change_jobs(request, on_hold=True),
            ("POST", "admin/jobs/release"): lambda request: self._change_jobs(request, on_hold=False),
            ("GET", "admin/lines"): lambda _: self.lines,
            ("DELETE", "admin/lines/quarantine"): self._lift_quarantine,
            ("GET", "admin/dead-letters"): self._dead_letters,
            ("GET", "admin/dead-letters/results/ID"): lambda request: self._dead_letter(request.url.path),
            ("POST", "admin/dead-letters/results/ID/requeue"): self._requeue,
        }
        if route not in handlers:
            raise _Refusal(404, f"{request.url.path} does not exist")
        self._check_token(request, route[1])
        key = request.headers.get("Idempotency-Key")
        if key not in self._by_key:
            answer = 200, handlers[route](request)
            if key is None:
                return answer
            self._by_key[key] = answer
        return self._by_key[key]

    def _check_token(self, request: httpx.Request, path: str) -> None:
        if path == "service-status":
            return
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, ADMIN_TOKEN):
            raise _Refusal(401, "the token is not valid")
        if path not in ("limits", "meter-types") and path.startswith("admin/") != (token == ADMIN_TOKEN):
            raise _Refusal(403, "the token has not the scope")

    def _test_request(self, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        faults = _faults(asked)
        if faults:
            raise _Refusal(400, *faults)
        return {"testId": self._accept(asked)}

    def _batch_request(self, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        faults = [f"[{index}].{fault}" for index, test in enumerate(asked) for fault in _faults(test)]
        if len(asked) > self.limits["maxBatchTests"]:
            faults.append(f"a batch holds at most {self.limits['maxBatchTests']} tests")
        if faults:
            raise _Refusal(400, *faults)
        batch_id = next(self._ids)
        self.batches[batch_id] = [self._accept({**test, "batchId": batch_id}) for test in asked]
        return {"batchId": batch_id}

    def _accept(self, asked: Mapping[str, Any]) -> int:
        test_id = next(self._ids)
        pending = {"result": "PENDING", "resultSummary": "PENDING", "testRequestTime": REQUEST_TIME}
        self.tests[test_id] = {"testId": test_id, "surveyDays": 0, **asked, **pending}
        return test_id

    def _known(self, test_id: int) -> dict[str, Any]:
        if test_id not in self.tests:
            raise _Refusal(400, f"testId {test_id} is unknown")
        return self.tests[test_id]

    def _members(self, batch_id: int) -> list[dict[str, Any]]:
        if batch_id not in self.batches:
            raise _Refusal(400, f"batchId {batch_id} is unknown")
        return [self.tests[test_id] for test_id in self.batches[batch_id] if test_id in self.tests]

    def _test_cancel(self, request: httpx.Request) -> Any:
        test_id = json.loads(request.content)["testId"]
        if self._known(test_id)["resultSummary"] == "PENDING":
            del self.tests[test_id]
        return {"testId": test_id}

    def _batch_cancel(self, request: httpx.Request) -> Any:
        body = json.loads(request.content)
        going = [
            test["testId"]
            for test in self._members(body["batchId"])
            if body["deleteCompleted"] or test["resultSummary"] == "PENDING"
        ]
        for test_id in going:
            del self.tests[test_id]
        return {"batchId": body["batchId"], "cancelledCount": len(going)}

    def _test_status(self, request: httpx.Request) -> Any:
        status = dict(self._known(int(request.url.params["testId"])))
        if "dialect=flat" in request.headers["Accept"] and "registers" in status:
            status["registerValues"] = [
                {"timestamp": REQUEST_TIME, **register}
                for group in status.pop("registers")
                for register in group["registerValues"]
            ]
        return status

    def _batch_status(self, request: httpx.Request) -> Any:
        batch_id = int(request.url.params["batchId"])
        members = self._members(batch_id)
        names = ("testId", "requestReference", "meterType", "remoteAddress", "resultSummary")
        return {
            "batchId": batch_id,
            "totalCount": len(members),
            "completedCount": sum(test["resultSummary"] != "PENDING" for test in members),
            "status": [{name: test[name] for name in names if name in test} for test in members],
        }

    def _test_search(self, request: httpx.Request) -> Any:
        asked = request.url.params
        names = ("testId", "batchId", "requestReference", "meterType", "remoteAddress", "resultSummary")
        found = [
            {name: test[name] for name in names if name in test} | {"receivedTimestamp": test["testRequestTime"]}
            for test in self.tests.values()
            if asked.get("remoteAddress", "") in test["remoteAddress"]
        ]
        found.sort(key=lambda test: test["testId"], reverse=asked.get("reverseOrder") == "true")
        offset = int(asked.get("offset", 0))
        page = found[offset : offset + int(asked.get("limit", self.limits["defaultSearchLimit"]))]
        return {"totalResultCount": len(found), "resultCount": len(page), "offset": offset, "results": page}

    def _trace(self, test_id: int) -> Any:
        self._known(test_id)
        return self.traces.get(test_id, {"testId": test_id, "attempts": []})

    def _create_client(self, request: httpx.Request) -> Any:
        client = {"clientId": next(self._ids), **json.loads(request.content)}
        self.clients.append({**client, "createdTime": REQUEST_TIME})
        return client

    def _create_token(self, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        token = {
            "tokenId": next(self._ids),
            "createdTime": REQUEST_TIME,
            "expiresTime": "2027-11-20T10:00:00Z",
            **asked,
        }
        self.tokens.append(token)
        return {**token, "token": f"secret-of-{token['tokenId']}"}

    def _import_registry(self, request: httpx.Request) -> Any:
        """What is imported stands in place of what was there; an item without values is a fault."""
        given: dict[str, list[dict[str, Any]]] = json.loads(request.content)
        empty = [f"/{kind}/{at}/id: is required" for kind in given for at, item in enumerate(given[kind]) if not item]
        if empty:
            raise _Refusal(400, *empty)
        changed = {kind: len(items) for kind, items in given.items() if items != self.registry.get(kind)}
        self.registry = given
        return {"changed": changed}

    def _jobs(self, request: httpx.Request) -> Any:
        asked = request.url.params
        found = [
            job for job in self.jobs if asked.get("onHold", str(job["onHold"])).lower() == str(job["onHold"]).lower()
        ]
        return {"totalResultCount": len(found), "resultCount": len(found), "offset": 0, "jobs": found}

    def _change_jobs(self, request: httpx.Request, *, on_hold: bool) -> Any:
        asked = json.loads(request.content)["testIds"]
        changed = [job for job in self.jobs if job["testId"] in asked]
        for job in changed:
            job["onHold"] = on_hold
        return {"testIds": [job["testId"] for job in changed]}

    def _lift_quarantine(self, request: httpx.Request) -> Any:
        address = json.loads(request.content)["remoteAddress"]
        kept = [each for each in self.lines["quarantine"] if each["remoteAddress"] != address]
        lifted = len(kept) < len(self.lines["quarantine"])
        self.lines["quarantine"] = kept
        return {"remoteAddress": address, "lifted": lifted}

    def _dead_letters(self, _request: httpx.Request) -> Any:
        found = [{name: value for name, value in letter.items() if name != "text"} for letter in self.dead_letters]
        return {"totalResultCount": len(found), "resultCount": len(found), "offset": 0, "deadLetters": found}

    def _dead_letter(self, path: str) -> Any:
        letter_id = int(path.split("/")[5])
        found = [letter for letter in self.dead_letters if letter["deadLetterId"] == letter_id]
        if not found:
            raise _Refusal(400, f"deadLetterId {letter_id} is not known")
        return found[0]

    def _requeue(self, request: httpx.Request) -> Any:
        letter = self._dead_letter(request.url.path)
        self.dead_letters.remove(letter)
        return {"service": letter["service"], "deadLetterId": letter["deadLetterId"]}

    def _delete_token(self, request: httpx.Request) -> Any:
        token_id = int(request.url.path.rpartition("/")[2])
        self.tokens = [token for token in self.tokens if token["tokenId"] != token_id]
        return {"tokenId": token_id}


def _faults(asked: Mapping[str, Any]) -> list[str]:
    faults = []
    if asked.get("meterType") not in [known["meterType"] for known in METER_TYPES]:
        faults.append("meterType is not one of the catalogue")
    if not _ADDRESS.fullmatch(asked.get("remoteAddress", "")):
        faults.append("remoteAddress is not in a recognised format")
    return faults
