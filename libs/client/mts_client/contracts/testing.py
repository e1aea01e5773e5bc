"""A contract meters API in memory, for tests of what is built on this package."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from typing import Any

import httpx

USER = "USER"
PASSWORD = "pw-of-user"  # noqa: S105

_PATH = re.compile(
    r"/fscmRestApi/resources/11\.13\.18\.05/assetWarrantyContracts"
    r"(?:/(?P<contract>\d+)(?P<meters>/child/contractMeters(?:/(?P<meter>\d+))?)?)?"
)
_AUDIT = {
    "CreatedBy": "USER",
    "CreationDate": "2022-10-28T15:58:19+00:00",
    "LastUpdateDate": "2022-10-28T16:12:03.027+00:00",
    "LastUpdatedBy": "SYSTEM",
}
_CONTRACT = {"ContractStatusCode": "ORA_READY", "ContractStartDate": "2022-10-06", "CalculatedExpirationDate": None}
_METER = {
    "UOMCode": "Ea",
    "UnitOfMeasure": "Each",
    "MeterStartValue": 0,
    "MeterIntervalValue": None,
    "MeterEndValue": None,
    "CalculatedDueDate": None,
    "DisabledFlag": False,
}

Item = dict[str, Any]


class FakeContracts:
    """The service's state; `requests` holds what was received, `most` is the longest page."""

    def __init__(self, most: int = 500) -> None:
        self.requests: list[httpx.Request] = []
        self.scripted: deque[httpx.Response | httpx.RequestError] = deque()
        self.most = most
        self._contracts: dict[int, Item] = {}
        self._meters: dict[int, dict[int, Item]] = {}

    def add_contract(self, contract_id: int, **others: Any) -> None:
        """A contract; `others` by the names of the API."""
        named = {"ContractId": contract_id, "ContractNumber": f"W-{contract_id}", "AssetNumber": "ASSET"}
        self._contracts[contract_id] = named | _CONTRACT | _AUDIT | {"version": 1} | others
        self._meters[contract_id] = {}

    def add_meter(self, contract_id: int, contract_meter_id: int, **others: Any) -> None:
        """A meter of a contract; `others` by the names of the API."""
        code = f"CODE_{contract_meter_id}"
        named = {"ContractMeterId": contract_meter_id, "ContractId": contract_id, "MeterId": contract_meter_id + 1000}
        names = {"MeterCode": code, "MeterName": code}
        self._meters[contract_id][contract_meter_id] = named | names | _METER | _AUDIT | {"version": 1} | others

    def transport(self) -> httpx.MockTransport:
        """A transport for both clients."""
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        if self.scripted:
            scripted = self.scripted.popleft()
            if isinstance(scripted, httpx.RequestError):
                raise scripted
            return scripted
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return _refusal(401, "Unauthorized")
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        found = _PATH.fullmatch(request.url.path)
        if found is None:
            return _refusal(404, "Not Found")
        if found["contract"] is None:
            return self._page(request, self._contracts)
        contract_id = int(found["contract"])
        if contract_id not in self._contracts:
            return _refusal(404, "Not Found")
        if found["meters"] is None:
            return httpx.Response(200, json=_shown(self._contracts[contract_id]))
        if found["meter"] is None:
            return self._page(request, self._meters[contract_id])
        return self._meter(request, self._meters[contract_id].get(int(found["meter"])))

    def _meter(self, request: httpx.Request, item: Item | None) -> httpx.Response:
        if item is None:
            return _refusal(404, "Not Found")
        if request.method == "PATCH":
            known = request.headers.get("If-Match")
            if known not in (None, f'"V{item["version"]}"'):
                return _refusal(412, "The item has been modified since it was read")
            item |= {**json.loads(request.content), "version": item["version"] + 1}
        return httpx.Response(200, json=_shown(item))

    def _page(self, request: httpx.Request, items: dict[int, Item]) -> httpx.Response:
        limit = min(int(request.url.params.get("limit", 25)), self.most)
        offset = int(request.url.params.get("offset", 0))
        page = [_shown(items[key]) for key in sorted(items)[offset : offset + limit]]
        more = offset + len(page) < len(items)
        body = {"items": page, "count": len(page), "hasMore": more, "limit": limit, "offset": offset, "links": []}
        return httpx.Response(200, json=body)


def _shown(item: Item) -> Item:
    links = [{"rel": "self", "properties": {"changeIndicator": f"V{item['version']}"}}, {"rel": "canonical"}]
    return {name: value for name, value in item.items() if name != "version"} | {"links": links}


def _refusal(status: int, detail: str) -> httpx.Response:
    details = [{"detail": detail, "o:errorCode": str(status), "o:errorPath": ""}]
    return httpx.Response(status, json={"title": "Refused", "status": str(status), "o:errorDetails": details})
