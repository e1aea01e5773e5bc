"""Request bodies under /ctapi: JSON, XML or a form, all to the same parameters (carbontrack.md, 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from urllib.parse import parse_qsl

from mts_gateway.carbontrack import envelope, xml
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.parameters import Parameters
from mts_gateway.carbontrack.xml import MalformedXml
from mts_gateway.endpoint import ApiRequest, apart
from mts_gateway.strict_json import MalformedBody, Members, flaw, parse

FORM = "application/x-www-form-urlencoded"
JSON = ("application/json", "text/json")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # .NET writes one

Pairs = Iterable[tuple[str, object]]


async def read_parameters(request: ApiRequest, root: str) -> Parameters:
    """The parameters in the body; none in an empty one. `root` is what the XML of this request begins with.

    Raises `Refusal`, or `Refused` if the body is too large or does not arrive.
    """
    body = await request.body()
    if not body:
        return Parameters(())
    kind = media_type(request)
    readers: dict[str, Callable[[bytes], Pairs]] = {
        **dict.fromkeys(JSON, read_object),
        **dict.fromkeys(("application/xml", "text/xml"), partial(_read_xml, root)),
        FORM: _read_form,
    }
    if kind not in readers:
        raise Refusal(envelope.MEDIA_TYPE, "The body is of a media type that is not read here.", "Content-Type")
    try:
        return Parameters(await apart(readers[kind], body))
    except (MalformedBody, MalformedXml) as error:
        raise envelope.malformed(str(error)) from error


def media_type(request: ApiRequest) -> str:
    """The media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_object(body: bytes) -> Pairs:
    """The members of a JSON object. Raises `MalformedBody`."""
    value = parse(body.removeprefix(_BYTE_ORDER_MARK))
    if not isinstance(value, Members):
        raise MalformedBody("the body is not a JSON object")
    found = flaw(value)
    if found:
        raise MalformedBody(f"the body {found}")
    return value


def read_form(text: bytes) -> list[tuple[str, str]]:
    """The fields of a form or a query. Raises `MalformedBody`."""
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise MalformedBody("the body is not a form in UTF-8") from None


def _read_form(body: bytes) -> Pairs:
    return _repeated(read_form(body))


def _read_xml(root: str, body: bytes) -> Pairs:
    return _repeated(xml.read(body, root))


def _repeated(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """A name that comes again holds a list: the only one these formats have."""
    found: dict[str, list[object]] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append(value)
    return [(name, values[0] if len(values) == 1 else values) for name, values in found.items()]
