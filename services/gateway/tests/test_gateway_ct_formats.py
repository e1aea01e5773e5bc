"""What is read and written: Accept, XML, parameters (carbontrack.md, 1 and 3)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree

import httpx
import pytest

from mts_gateway.carbontrack import xml
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.negotiate import Format, choose
from mts_gateway.carbontrack.parameters import Parameters
from mts_gateway.carbontrack.xml import MalformedXml
from mts_gateway.testing.carbontrack import ADA_DEVICE, D1

ROOT = "CarbonTrack.Data.DeviceRequestModel"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, Format.JSON),
        ("*/*", Format.JSON),
        ("", Format.JSON),
        ("image/png", Format.JSON),
        ("application/json", Format.JSON),
        ("text/json", Format.JSON),
        ("application/xml", Format.XML),
        ("TEXT/XML", Format.XML),
        ("application/xml, application/json", Format.JSON),
        ("application/xml;q=0.9, application/json;q=0.8", Format.XML),
        ("application/xml;q=0.8, text/json; q=0.9", Format.JSON),
        ("application/json;q=0.1, text/xml", Format.XML),
        ("application/*", Format.JSON),
        ("application/xml;charset=utf-8;q=0.7, */*;q=0.1", Format.XML),
        ("application/xml;q=x, */*;q=0.5", Format.XML),
        ("application/xml;q=0", Format.JSON),
        (BROWSER, Format.XML),
    ],
)
def test_the_format_is_the_one_that_accept_prefers(accept: str | None, wanted: Format) -> None:
    assert choose([] if accept is None else [accept]) is wanted


def test_several_accept_headers_are_one() -> None:
    assert choose(["application/json;q=0.5", "application/xml"]) is Format.XML


def test_a_browser_gets_xml(sunco: httpx.Client) -> None:
    answer = sunco.get("/ctapi/Distributor", headers={"Accept": BROWSER})
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert answer.text == (
        '<?xml version="1.0" encoding="utf-8"?><ArrayOfCarbonTrack.Data.DistributorModel>'
        f"<CarbonTrack.Data.DistributorModel><ID>{D1}</ID><UserName>sunco</UserName></CarbonTrack.Data.DistributorModel>"
        "</ArrayOfCarbonTrack.Data.DistributorModel>"
    )


def test_json_says_its_character_set(sunco: httpx.Client) -> None:
    assert sunco.get("/ctapi/Distributor").headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("path", ["/ctapi/Nowhere", "/ctapi/Customer?page=x"])
def test_an_error_in_xml_has_a_root_of_its_own(sunco: httpx.Client, path: str) -> None:
    answer = sunco.get(path, headers={"Accept": "application/xml"})
    root = ElementTree.fromstring(answer.text)  # noqa: S314
    assert root.tag == "CarbonTrack.Data.ErrorModel"
    assert [child.tag for child in root] == [
        "ResponseCode",
        "ResponseMessage",
        "Message",
        "Error",
        "ErrorNumber",
        "ErrorMessage",
    ]


def test_any_text_makes_well_formed_xml() -> None:
    text = "".join(map(chr, [*range(0x180), 0x2028, 0xFFFE, 0xFFFF, 0xD800, 0x1F600]))
    (shown,) = ElementTree.fromstring(xml.write("a", {"b": text}))  # noqa: S314
    kept = [mark for mark in text if mark in "\t\n\r" or (ord(mark) >= 0x20 and mark not in "\ufffe\uffff\ud800")]
    assert (shown.text or "").replace("\ufffd", "") == "".join(kept)


def test_values_are_written_as_xml_has_them() -> None:
    body = {"t": True, "n": None, "l": [], "d": Decimal("1E+2"), "o": {"p": 0}, "m": [{"q": "<&>"}, {"q": None}]}
    inner = "<t>true</t><d>100</d><o><p>0</p></o><m><q>&lt;&amp;&gt;</q></m><m></m>"
    assert xml.write("r", body) == f'<?xml version="1.0" encoding="utf-8"?><r>{inner}</r>'.encode()


@pytest.mark.parametrize("root", [ROOT, "DeviceRequestModel", "x:DeviceRequestModel", "devicerequestmodel"])
def test_the_root_may_stand_in_any_namespace(root: str) -> None:
    assert xml.read(f"<{root} xmlns:x='urn:x'><A>1</A><x:B>2</x:B><A/></{root}>".encode(), ROOT) == [
        ("A", "1"),
        ("B", "2"),
        ("A", ""),
    ]


def test_marks_comments_and_encodings_are_read() -> None:
    text = f"<?xml version='1.0' encoding='utf-16'?><{ROOT}><A>1<!-- no -->&amp;<![CDATA[<2>]]>&#65;ä</A></{ROOT}>"
    assert xml.read(text.encode("utf-16"), ROOT) == [("A", "1&<2>Aä")]


@pytest.mark.parametrize(
    "body",
    [
        f"<!DOCTYPE {ROOT}><{ROOT}/>",
        f'<!DOCTYPE a [<!ENTITY e "x">]><{ROOT}><A>&e;</A></{ROOT}>',
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><{ROOT}><A>&e;</A></{ROOT}>',
        f'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><{ROOT}/>',
        f"<{ROOT}><A>&e;</A></{ROOT}>",
        f"<{ROOT}><A><B>1</B></A></{ROOT}>",
        f"<{ROOT}>",
        f"<{ROOT}/><a/>",
        f"<?xml version='1.0' encoding='x-none'?><{ROOT}/>",
        f"<?xml version='1.0' encoding='utf-7'?><{ROOT}/>",
        f"<{ROOT}><A>\x00</A></{ROOT}>",
        "<CarbonTrack.Data.MeasurementRequestModel/>",
        "text",
    ],
)
def test_what_is_not_flat_xml_is_refused(sunco: httpx.Client, body: str) -> None:
    with pytest.raises(MalformedXml):
        xml.read(body.encode(), ROOT)
    answer = sunco.post("/ctapi/Device", content=body.encode(), headers={"Content-Type": "application/xml"})
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 4001)
    assert "passwd" not in answer.text


@pytest.mark.parametrize("path", ["/ctapi/Device", "/CTAPI/DEVICE", "/CtApi/device/"])
def test_paths_are_found_in_any_case_and_with_a_trailing_slash(sunco: httpx.Client, path: str) -> None:
    answer = sunco.post(path, json={"dEVICEid": ADA_DEVICE})
    assert [device["DeviceID"] for device in answer.json()["Devices"]] == [ADA_DEVICE]


def test_of_a_name_that_comes_again_the_last_counts() -> None:
    assert Parameters([("PageIndex", 1), ("pageindex", "2")]).whole("PageIndex") == 2


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (10**11 - 1, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        ("2019-05-16T06:59:35.1234567Z", datetime(2019, 5, 16, 6, 59, 35, 123456, tzinfo=UTC)),
        ("20240229T101112+0930", datetime(2024, 2, 29, 0, 41, 12, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_both_spellings(value: object, moment: datetime) -> None:
    assert Parameters([("To", value)]).moment("To") == moment


@pytest.mark.parametrize("value", [True, Decimal("1.5"), [], "now", "2024-02-30", "9" * 31, -(10**18)])
def test_what_is_no_moment_is_4004(value: object) -> None:
    with pytest.raises(Refusal) as refused:
        Parameters([("To", value)]).moment("To")
    assert refused.value.number == 4004


def test_device_ids_are_taken_once_each() -> None:
    one, two = "879654123587458", "8796541235874587"
    for value in ([one, two, one], f"{one},{two}", f"['{one}' , \"{two}\"]", [f"{one},{two}"]):
        assert Parameters([("DeviceID", value)]).device_ids("DeviceID") == [one, two]
    assert Parameters([("DeviceID", "[]")]).device_ids("DeviceID") == []
