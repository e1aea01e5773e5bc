"""Reading a request body as JSON without forgiving anything that RFC 8259 does not allow or that we cannot store.

Objects come back as `Members`, the pairs as written, so that the reader of the parameters can see a name given twice.
Numbers with a fraction or an exponent come back as Decimal.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import NoReturn

MAX_DEPTH = 32


class MalformedBody(ValueError):
    """The body is not JSON that can be read; the text says what is wrong without repeating the body."""


class Members(list[tuple[str, object]]):
    """The members of a JSON object in their order."""


def parse(body: bytes) -> object:
    """The value in `body`. Raises `MalformedBody`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 at byte {error.start}") from None
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedBody(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise MalformedBody(f"the body is nested more than {MAX_DEPTH} deep") from None


def is_storable(text: str) -> bool:
    """Whether `text` holds neither NUL, which PostgreSQL refuses, nor half of a surrogate pair (no character)."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def flaw(value: object) -> str | None:
    """What makes a value unacceptable wherever it stands: a string that cannot be stored, or too deep a nesting."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for each in level:
            if isinstance(each, str) and not is_storable(each):
                return "holds a NUL or an unpaired surrogate"
            if isinstance(each, Members):
                below += [part for member in each for part in member]
            elif isinstance(each, list):
                below += each
        if not below:
            return None
        level = below
    return f"is nested more than {MAX_DEPTH} deep"


def _whole(text: str) -> int:
    _refuse_beyond_double(text)
    return int(text)


def _fraction(text: str) -> Decimal:
    _refuse_beyond_double(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise MalformedBody("the body holds a number with an exponent out of range") from None


def _refuse_beyond_double(text: str) -> None:
    if isinf(float(text)):
        raise MalformedBody("the body holds a number beyond the range of a double")


def _refuse_constant(text: str) -> NoReturn:
    raise MalformedBody(f"the body is not JSON: {text} is not a number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Members, parse_int=_whole, parse_float=_fraction, parse_constant=_refuse_constant
)
