"""What the headers of a request ask for: framework version, media types of answers and errors (§2, §3, §8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mts_gateway.warranty.faults import Code, bad, refused

JSON = "application/json"
COLLECTION = "application/vnd.oracle.adf.resourcecollection+json"
ITEM = "application/vnd.oracle.adf.resourceitem+json"
DESCRIPTION = "application/vnd.oracle.adf.description+json"
ERROR = "application/vnd.oracle.adf.error+json"
TEXT = "text/plain; charset=utf-8"

FRAMEWORKS = range(1, 10)
ROWMATCH = 2  # since this version `q` is a rowmatch expression
EXPANDED_COLLECTIONS = 3  # since this version an expanded child is a collection
STRUCTURED_ERRORS = 4  # since this version errors are structured

_FRAMEWORKS = frozenset(map(str, FRAMEWORKS))
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class Accepted:
    """An Accept header: media ranges with their quality. Empty = anything."""

    ranges: Mapping[str, float]

    def choose(self, special: str) -> str | None:
        """`special` or plain JSON, whichever is liked better; plain JSON only where it or its like is named."""
        plain = self.ranges.get(JSON, self.ranges.get("application/*", 0.0))
        vendor = self._quality(special)
        if max(plain, vendor) <= 0:
            return None
        return JSON if plain >= vendor else special

    def error_type(self, framework: int) -> str | None:
        """The media type of a structured error; None = plain text."""
        if self.ranges.get(ERROR, 0.0) > 0:
            return ERROR
        if framework < STRUCTURED_ERRORS or not any(map(self._quality, (JSON, COLLECTION, ITEM, DESCRIPTION))):
            return None
        return ERROR if not self.ranges or set(self.ranges) == {"*/*"} else JSON

    def _quality(self, media_type: str) -> float:
        if not self.ranges:
            return 1.0
        found = (self.ranges.get(name) for name in (media_type, "application/*", "*/*"))
        return next((quality for quality in found if quality is not None), 0.0)


def read_accept(values: Sequence[str]) -> Accepted:
    """What the Accept headers say; what cannot be read in them is as if it were not there."""
    ranges: dict[str, float] = {}
    for media_range in ",".join(values).split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        quality = next((part[2:].strip() for part in parameters if part.startswith("q=")), "1")
        if name and _QUALITY.fullmatch(quality):
            ranges[name] = max(ranges.get(name, 0.0), float(quality))
    return Accepted(ranges)


def effective_framework(value: str | None) -> int:
    """The framework version that a header asks for; 1 if it asks for none, or for one that there is not."""
    text = (value or "").strip()
    return int(text) if text in _FRAMEWORKS else FRAMEWORKS[0]


def check_framework(value: str | None) -> None:
    """That a header asks for a framework version that there is. Raises `Fault`."""
    if value is not None and value.strip() not in _FRAMEWORKS:
        raise bad(Code.FRAMEWORK, f"REST-Framework-Version is one of 1 to 9, not {value.strip()[:40]!r}")


def content_type(accepted: Accepted, special: str) -> str:
    """The content type of an answer. Raises `Fault` (406)."""
    chosen = accepted.choose(special)
    if chosen is None:
        raise refused(406, f"Not Acceptable: this is offered as {special} and {JSON}")
    return chosen


def check_body_type(value: str | None) -> None:
    """That the body of a write says it is JSON. Raises `Fault` (415)."""
    if (value or "").partition(";")[0].strip().lower() not in (JSON, ITEM):
        raise refused(415, f"Unsupported Media Type: a body is {ITEM} or {JSON}")


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match header names `etag`, however it is quoted, or anything."""
    return any(each.strip() == "*" or _bare(each) == _bare(etag) for each in header.split(","))


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')
