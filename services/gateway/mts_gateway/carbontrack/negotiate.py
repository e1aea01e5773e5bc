"""JSON or XML: what an Accept header asks for (carbontrack.md, 3)."""

from __future__ import annotations

import enum
from collections.abc import Sequence

_NO_RANGE = (0, 0.0)


class Format(enum.Enum):
    """The two formats with the media types that ask for each."""

    JSON = ("application/json", "text/json")
    XML = ("application/xml", "text/xml")

    @property
    def content_type(self) -> str:
        """The header of an answer in this format."""
        return f"{self.value[0]}; charset=utf-8"


def choose(accepts: Sequence[str]) -> Format:
    """XML only where it is wanted more than JSON; nothing that matches is no reason to refuse."""
    ranges = [_read(text) for text in ",".join(accepts).split(",")]
    json, xml = (max(_quality(media_type, ranges) for media_type in kind.value) for kind in Format)
    return Format.XML if xml > json else Format.JSON


def _read(text: str) -> tuple[str, float]:
    """A media range and its q, 1 if it cannot be read."""
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_range, _number(value.strip())
    return media_range, 1.0


def _number(text: str) -> float:
    digits = text.replace(".", "", 1)
    return min(float(text), 1.0) if digits.isascii() and digits.isdigit() else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The q of the most specific range that the type is in."""
    kind = media_type.partition("/")[0]
    rank = {media_type: 3, f"{kind}/*": 2, "*/*": 1}
    return max(((rank[name], q) for name, q in ranges if name in rank), default=_NO_RANGE)[1]
