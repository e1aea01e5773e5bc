"""Why a request is not answered as asked: one type with the status, codes and texts of §8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """`o:errorCode` where it is not the status."""

    UNKNOWN_NAME = "25058"
    WRONG_TYPE = "25009"
    READ_ONLY = "27008"
    OUT_OF_RANGE = "27010"
    REQUIRED = "27014"
    DUPLICATE = "27026"
    NOT_ACTIVE = "27027"
    SYNTAX = "27300"
    FINDER = "27301"
    DIRECTION = "27302"
    PARAMETER = "27303"
    FRAMEWORK = "27304"
    BODY = "27305"


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault: `path` is a JSON pointer into the body, "" where the body is not at fault."""

    text: str
    code: str
    path: str = ""


class Fault(Exception):
    """A request ends with this status and these details."""

    def __init__(self, status: int, details: Sequence[Detail], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.details = tuple(details)
        self.headers = dict(headers or {})


def bad(code: Code, text: str, path: str = "") -> Fault:
    """400 with one detail."""
    return Fault(400, [Detail(text, code, path)])


def unknown_name(name: str, where: str) -> Fault:
    """400: `where` names an attribute or child that there is not."""
    return bad(Code.UNKNOWN_NAME, f"{where}: there is no attribute or child {name!r}")


def refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> Fault:
    """A status that is its own code."""
    return Fault(status, [Detail(text, str(status))], headers)


def unauthorized() -> Fault:
    """401: who is calling is not known. Why is not told."""
    return refused(401, "Unauthorized", {"WWW-Authenticate": 'Basic realm="fscmRestApi"'})


def not_found() -> Fault:
    """404: there is no such thing, or none that the caller may see."""
    return refused(404, "Not Found")


def stale(etag: str) -> Fault:
    """412: somebody has changed the item since; `etag` is the current one."""
    return refused(412, "The item has been modified since it was read", {"ETag": etag})


def too_many(seconds: int, text: str) -> Fault:
    """429: come again later."""
    return refused(429, text, {"Retry-After": str(seconds)})


def unavailable(text: str, seconds: int = 2) -> Fault:
    """503: asking again is safe."""
    return refused(503, text, {"Retry-After": str(seconds)})
