"""A carbonTRACK in memory, for tests of what is built on this package.

`FakeCarbonTrack.transport()` goes into the `transport` of either client. It has the users, devices and records it is
given, and checks tokens as the service does.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx

USER = "sunco"
PASSWORD = "s3cret-Sun"  # noqa: S105
DISTRIBUTOR = "7d0f1d0e-1111-4a6b-9c1e-000000000001"


class _Refusal(Exception):
    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.response = httpx.Response(status, json=body)


def _error(number: int, message: str, detail: str = "") -> _Refusal:
    envelope = {"ResponseCode": number // 10, "Error": 1, "ErrorNumber": number}
    return _Refusal(number // 10, {**envelope, "Message": message, "ErrorMessage": detail})


class FakeCarbonTrack:
    """The service's state; `requests` holds what was received. `most` bounds a page; an access token is good until it
    is no longer in `tokens`.
    """

    def __init__(self, most: int = 1000) -> None:
        self.requests: list[httpx.Request] = []
        self.tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.expires_in = 3600
        self.most = most
        self.devices: list[dict[str, Any]] = []
        self.customers: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    def transport(self) -> httpx.MockTransport:
        """A transport for `CarbonTrackClient` and `AsyncCarbonTrackClient`."""
        return httpx.MockTransport(self.handle)

    def add_device(self, device_id: str, **more: Any) -> None:
        """A device, by the names of the API."""
        self.devices.append({"DeviceID": device_id, "IsRegistered": True, **more})

    def add_records(self, device_id: str, records: Iterable[tuple[str, dict[str, str | None]]]) -> None:
        """Records of a device, as their starts and values."""
        for starts_at, values in records:
            record = {"ID": str(uuid.UUID(int=next(self._ids))), "DeviceID": device_id, "RecordDateTime": starts_at}
            self.records.append({**record, **values})

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        try:
            return httpx.Response(200, json=self._answer(request))
        except _Refusal as refusal:
            return refusal.response

    def _answer(self, request: httpx.Request) -> Any:
        if request.url.path == "/oauth/token":
            return self._grant({name: value for name, (value,) in parse_qs(request.content.decode()).items()})
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise _error(4010, "Authorization has been denied for this request.")
        match request.method, request.url.path:
            case "GET", "/ctapi/Distributor":
                return [{"ID": DISTRIBUTOR, "UserName": USER}]
            case "GET", "/ctapi/Customer":
                return {"RecordCount": len(self.customers), "CustomerList": self.customers}
            case "POST", "/ctapi/Device":
                return self._page("Devices", self._devices(json.loads(request.content)), json.loads(request.content))
            case "POST", "/ctapi/Measurement":
                found = self._records(json.loads(request.content))
                return self._page("Measurements", found, json.loads(request.content))
        raise _error(4041, "There is nothing at this path.", request.url.path)

    def _grant(self, given: dict[str, str]) -> Any:
        right = {
            "password": (given.get("username"), given.get("password")) == (USER, PASSWORD),
            "refresh_token": given.get("refresh_token") in self.refresh_tokens,
        }
        if not right[given["grant_type"]]:
            raise _Refusal(400, {"error": "invalid_grant"})
        access, refresh = f"access-{next(self._ids)}", given.get("refresh_token") or f"refresh-{next(self._ids)}"
        self.tokens.add(access)
        self.refresh_tokens.add(refresh)
        return {"access_token": access, "expires_in": self.expires_in, "refresh_token": refresh}

    def _devices(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        reference = asked.get("CustomerReference")
        return [
            device
            for device in self.devices
            if (reference is None or device.get("CustomerRef") == reference)
            and (device["IsRegistered"] or not asked["RegisteredOnly"])
        ]

    def _records(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        known = {device["DeviceID"] for device in self.devices}
        named = asked.get("DeviceID", list(known))
        devices = [named] if isinstance(named, str) else named
        for device_id in devices:
            if device_id not in known:
                raise _error(4040, "The requested resource could not be found.", device_id)
        start, end = (
            datetime.fromisoformat(asked[name]) if name in asked else default
            for name, default in (
                ("FromUTCDate", datetime.min.replace(tzinfo=UTC)),
                ("ToUTCDate", datetime.max.replace(tzinfo=UTC)),
            )
        )
        return [
            record
            for record in self.records
            if record["DeviceID"] in devices and start <= datetime.fromisoformat(record["RecordDateTime"]) <= end
        ]

    def _page(self, listed: str, found: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        size, index = min(asked.get("PageSize", self.most), self.most), asked["PageIndex"]
        pages = -(-len(found) // size)
        items = found[index * size :][:size]
        return {listed: items, "Count": len(found), "Pages": pages, "PagesIndex": index, "Error": 0}
