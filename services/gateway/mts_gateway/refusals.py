"""Answers other than 200: one type, raised wherever a request turns out not to be answerable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Refused(Exception):
    """A request ends with this status and these details, one human-readable string per fault."""

    def __init__(
        self,
        status: int,
        details: Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.details = tuple(details)
        self.headers = dict(headers or {})
        self.body: dict[str, object] = {"details": list(self.details), **(fields or {})}


def bad_request(*details: str) -> Refused:
    """400: nothing was done."""
    return Refused(400, details)


def unauthorised() -> Refused:
    """401: who is calling is not known. Why is not told."""
    return Refused(401, ["a valid access token is required"], headers={"WWW-Authenticate": "Bearer"})


def forbidden(scope: str) -> Refused:
    """403: the token is valid, but not for this."""
    return Refused(403, [f"the access token does not have the scope {scope}"])


def too_many_requests(seconds: int, calls: int, window: int) -> Refused:
    """429: the client has used up its calls in this window."""
    return Refused(
        429,
        [f"more than {calls} calls in {window} seconds"],
        headers={"Retry-After": str(seconds)},
        fields={"retryAfter": seconds},
    )


def unavailable(what: str, seconds: int = 2) -> Refused:
    """503: what was asked may or may not have been done; asking again is safe."""
    return Refused(503, [what], headers={"Retry-After": str(seconds)})
