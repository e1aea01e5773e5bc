"""XML as this API speaks it: a root, flat children, and every item of a list directly under its parent.

Request bodies come from anybody: expat refuses a document type, and with it every entity, before it reads one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NoReturn
from xml.parsers import expat

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_SEPARATOR = "\n"  # cannot stand in a namespace or a name
_DEEPEST = 2
_NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


class MalformedXml(ValueError):
    """The body is not XML, or not the XML that is read here; the text says why without repeating the body."""


def write(root: str, body: Mapping[str, object] | Sequence[object], items: str = "") -> bytes:
    """A document with this root. `body` is an object, or a list whose members are elements `items`."""
    inner = _members(body) if isinstance(body, Mapping) else _elements(items, body)
    return f"{_DECLARATION}<{root}>{''.join(inner)}</{root}>".encode()


def _members(body: Mapping[str, object]) -> Iterator[str]:
    for name, value in body.items():
        yield from _elements(name, value)


def _elements(name: str, value: object) -> Iterator[str]:
    """An element; none for null; one per member of a list."""
    if value is None:
        return
    if isinstance(value, list | tuple):
        for item in value:
            yield from _elements(name, item)
    elif isinstance(value, Mapping):
        yield f"<{name}>{''.join(_members(value))}</{name}>"
    else:
        yield f"<{name}>{_text(value)}</{name}>"


def _text(value: object) -> str:
    """Characters that XML cannot hold are replaced, so that the document stays readable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _NO_CHARACTER.sub("\ufffd", str(value)).translate(_MARKS)


def read(body: bytes, root: str) -> list[tuple[str, str]]:
    """The children of the root in their order, as names without namespace and texts.

    The root is `root` or what stands behind its last dot, in any namespace and case. Raises `MalformedXml`.
    """
    return _Reader(root).read(body)


class _Reader:
    def __init__(self, root: str) -> None:
        self._roots = (root.lower(), root.rpartition(".")[2].lower())
        self._depth = 0
        self._found: list[tuple[str, str]] = []
        self._pieces: list[str] = []

    def read(self, body: bytes) -> list[tuple[str, str]]:
        parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._pieces.append
        parser.EndElementHandler = self._end
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            text = expat.errors.messages.get(error.code, "a fault")
            raise MalformedXml(f"the body is not XML: {text} (line {error.lineno})") from None
        except MalformedXml:
            raise
        except (LookupError, ValueError):  # of Python's codecs, which expat asks for encodings that it does not know
            raise MalformedXml("the body is in an encoding that is not known here") from None
        return self._found

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise MalformedXml("the body has a document type, which is not read here")

    def _start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        local = name.rpartition(_SEPARATOR)[2]
        if self._depth == 1 and local.lower() not in self._roots:
            raise MalformedXml("the root element is not the one of this request")
        if self._depth > _DEEPEST:
            raise MalformedXml("the body is nested deeper than a root and its children")
        self._pieces.clear()

    def _end(self, name: str) -> None:
        if self._depth == _DEEPEST:
            self._found.append((name.rpartition(_SEPARATOR)[2], "".join(self._pieces)))
        self._pieces.clear()
        self._depth -= 1
