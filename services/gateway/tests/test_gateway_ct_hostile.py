"""Whatever is sent, it is read or refused: no other error comes out of what reads requests under /ctapi."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from mts_gateway.carbontrack import xml
from mts_gateway.carbontrack.body import read_form, read_object
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.negotiate import Format, choose
from mts_gateway.carbontrack.parameters import Parameters
from mts_gateway.carbontrack.xml import MalformedXml
from mts_gateway.strict_json import MalformedBody, Members

ROOT = "CarbonTrack.Data.DeviceRequestModel"
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.from_regex(r"[+-]?[0-9TZ:.{}-]{1,40}", fullmatch=True)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.lists(st.tuples(st.text(), inner)).map(Members), max_leaves=5
)
TEXT = st.text(st.characters(codec="utf-8"))


@given(VALUES)
@example(Decimal("1e999999"))
@example("9999-12-31T23:59:59-23:59")
@example(["8796541235874587", ["8796541235874587"]])
def test_any_value_of_a_parameter_is_read_or_refused(value: object) -> None:
    parameters = Parameters([("p", value)])
    for read in (
        parameters.text,
        parameters.whole,
        parameters.flag,
        parameters.guid,
        parameters.moment,
        parameters.device_ids,
    ):
        with suppress(Refusal):
            read("P")


@given(st.binary() | TEXT.map(lambda text: f"<{ROOT}><A>{text}</A></{ROOT}>".encode()))
@example(b"<?xml version='1.0' encoding='utf-7'?><a/>")
@example(b"<?xml version='1.0' encoding='rot13'?><a/>")
@example(b"<?xml version='1.0' encoding='\xff'?><a/>")
def test_any_bytes_are_xml_or_refused(body: bytes) -> None:
    with suppress(MalformedXml):
        xml.read(body, ROOT)


@given(TEXT)
def test_what_is_written_as_xml_is_read_again(text: str) -> None:
    """But for characters that XML has not, and a line end's spelling."""
    ((name, read),) = xml.read(xml.write(ROOT, {"A": text}), ROOT)
    assert name == "A"
    assert len(read) == len(text)
    assert all(one in (other, "\ufffd") for one, other in zip(read, text, strict=True))


@given(st.binary())
def test_any_bytes_are_a_form_and_an_object_or_refused(body: bytes) -> None:
    for read in (read_form, read_object):
        with suppress(MalformedBody):
            list(read(body))


@given(st.lists(st.text() | st.from_regex(r"(application|text|\*)/(json|xml|\*)(;q=[0-9.x]*)?", fullmatch=True)))
def test_any_accept_header_chooses_a_format(accepts: list[str]) -> None:
    assert choose(accepts) in Format
