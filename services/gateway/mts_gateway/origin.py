"""The gateway's origin: the MTS API and its neighbours, each an application with errors of its own shape."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Origin:
    """Hands a request to the application that owns the first segment of its path (any case), or else to `api`."""

    def __init__(self, api: ASGIApp, neighbours: Mapping[str, ASGIApp]) -> None:
        self._api = api
        self._neighbours = neighbours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        segment = scope["path"].removeprefix("/").partition("/")[0].lower()
        await self._neighbours.get(segment, self._api)(scope, receive, send)
