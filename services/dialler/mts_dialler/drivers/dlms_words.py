"""What a DLMS meter says, in words for the reader of a trace."""

from __future__ import annotations

from collections.abc import Sequence

from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.association import Conformance
from mts_dialler.protocols.cosem.services import Answer
from mts_dialler.protocols.errors import RemoteProtocolError

MOST_ANSWERS = 20
MOST_OCTETS = 40


def services(agreed: Conformance) -> str:
    """The services that an association has."""
    return ", ".join((service.name or "").lower().replace("_", " ") for service in agreed) or "no services"


def told(answers: Sequence[Answer]) -> str:
    """The answers to one question."""
    more = ", …" if len(answers) > MOST_ANSWERS else ""
    return ", ".join(map(_one, answers[:MOST_ANSWERS])) + more


def _one(answer: Answer) -> str:
    match answer:
        case bytes():
            return _octets(answer)
        case list():
            return f"{len(answer)} rows"
        case _:
            return str(answer)[:MOST_OCTETS]


def _octets(octets: bytes) -> str:
    """A time or text where they can be one, else digits."""
    if len(octets) > MOST_OCTETS:
        return f"{len(octets)} octets"
    text = octets.rstrip(b"\0")
    if text and text.isascii() and text.decode("ascii").isprintable():
        return text.decode("ascii").strip()
    if len(octets) == date_time.OCTETS:
        try:
            stamp = date_time.decode(octets)
        except RemoteProtocolError:
            stamp = None
        if stamp is not None:
            deviation = "" if stamp.deviation is None else f" (UTC {-stamp.deviation:+d} min)"
            return f"{stamp.wall}{deviation}"
    return octets.hex()
