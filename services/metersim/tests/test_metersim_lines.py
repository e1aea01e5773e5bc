"""Meters of several protocols on one line, and how fleet files describe them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mts_metersim.a1140 import A1140Identities
from mts_metersim.dlms_manners import address_of
from mts_metersim.families import METER_TYPES, Family, family_of
from mts_metersim.fleet import FleetError, LoadSpec, Meter, load_fleet
from mts_metersim.hdlc import SNRM, Frame, ServerAddress
from mts_metersim.presets import TYPES, fleet
from mts_metersim.testing import (
    PUBLIC_AARQ,
    EdmiHost,
    HdlcHost,
    answered,
    attribute_of,
    call_to,
    get_request,
    low_level_aarq,
)
from mts_metersim.unit import Unit
from mts_metersim.wrapper import wrapped

NOW = 1_795_000_000 * 1_000_000_000


def units_of(meters: list[Meter]) -> list[Unit]:
    return [Unit(meter, lambda: NOW) for meter in meters]


def test_the_families_have_utc_clocks_and_forty_days() -> None:
    meters = fleet("families")
    assert {meter.clock.zone for meter in meters} == {"UTC"}
    assert {meter.installed_days_ago for meter in meters} == {40}
    assert len({meter.serial_number for meter in fleet("families", 50)}) == 50


def test_meters_of_several_protocols_share_a_line() -> None:
    meters = [replace(meter, password="") for meter in fleet("families") if meter.line == "shared"]
    call = call_to(units_of(meters))
    for client, server, serial in (
        (1, ServerAddress(1, 17, 2), meters[0].serial_number),
        (1, ServerAddress(1, 19, 4), meters[3].serial_number),
    ):
        host = HdlcHost(call, client, server)
        host.ask(low_level_aarq("ANY"))
        assert attribute_of(host, get_request(1, bytes([0, 0, 96, 1, 0, 255]), 2))[2:].decode() == serial
        edmi = EdmiHost(call, int(meters[4].serial_number))
        assert edmi.ask(b"LANY,ONE\0") == b"\x06"
        assert edmi.ask(b"R\xf0\x02")[3:-1].decode() == meters[4].serial_number
        assert answered(call, b"/?003!\r\n").startswith(b"/MCS")
        answered(call, b"\x01B0\x03\x71")


def test_half_a_message_of_one_protocol_does_not_spoil_one_of_another() -> None:
    call = call_to(units_of([meter for meter in fleet("families") if meter.line == "shared"]))
    snrm = Frame(ServerAddress(1, 17, 2).field, b"\x03", SNRM).encoded()
    assert answered(call, b"/?00" + snrm) == answered(call_to(call_units()), snrm)
    assert answered(call, b"/?003!\r\n") != b""


def call_units() -> list[Unit]:
    return units_of([meter for meter in fleet("families") if meter.line == "shared"][:1])


def serial_of(unit: Unit) -> str:
    """The serial number as a host reads it: the public client of a DLMS meter, the password of an EDMI meter."""
    meter, call = unit.meter, call_to([unit])
    name = get_request(1, bytes([0, 0, 96, 1, 0, 255]), 2)
    family = family_of(meter.meter_type)
    if family is Family.IEC:
        shown = A1140Identities(unit).read("798") or b""
        return shown.decode().strip("-")
    if family is Family.EDMI:
        edmi = EdmiHost(call, int(meter.outstation_address))
        while edmi.answers(b"L" + meter.password.encode() + b"\0")[0] != b"\x06":
            pass
        register = b"R\xf0\x02" if meter.meter_type == "EDMIATLAS" else b"M\0\0\xf0\x02"
        found = edmi.answers(register)[0]
        while found == b"\x18\x07":
            found = edmi.answers(register)[0]
        return found[len(register) : -1].decode()
    if family is Family.WRAPPER:
        answered(call, wrapped(16, 1, PUBLIC_AARQ))
        return answered(call, wrapped(16, 1, name))[-8:].decode()
    host = HdlcHost(call, 16, address_of(meter).server)
    if meter.meter_type == "LG_DLMS":
        host.ask(PUBLIC_AARQ.replace(bytes.fromhex("080101"), bytes.fromhex("080102")))
        return host.ask(bytes.fromhex("0501025a88"))[-8:].decode()
    host.ask(PUBLIC_AARQ)
    return attribute_of(host, name)[2:].decode()


@pytest.mark.parametrize("meter", [meter for meter in fleet("families") if meter.line != "shared"])
def test_every_meter_of_the_families_gives_its_serial_number(meter: Meter) -> None:
    assert serial_of(units_of([meter])[0]) == meter.serial_number


def test_the_families_are_every_type_that_the_other_presets_lack() -> None:
    assert {meter.meter_type for meter in fleet("families")} >= set(METER_TYPES) - set(TYPES)


def item(meter_type: str, **more: Any) -> dict[str, Any]:
    return {"meterType": meter_type, "serialNumber": "12345678", "load": {"seed": 1}, **more}


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([item("DLMS", outstationAddress="1")], "bad outstationAddress"),
        ([item("DLMS", outstationAddress="1/1/17/1")], "bad outstationAddress"),
        ([item("DLMS", outstationAddress="1/x")], "bad outstationAddress"),
        ([item("DLMS", options={"dlms": {"selection": "no"}})], r"bad options\.dlms\.selection"),
        ([item("DLMS", options={"dlms": {"lifo": 1}})], r"options\.dlms\.lifo must be bool"),
        ([item("DLMS", line="a"), item("ITRON_SL7000", line="a", outstationAddress="2/1")], "2 meters with address"),
        ([item("DLMS", line="a"), item("DLMS_WRAPPER", line="a")], "TCP wrapper"),
        ([item("EDMIATLAS", outstationAddress="A1")], "bad outstationAddress"),
        ([item("EDMIATLAS", outstationAddress="4294967296")], "bad outstationAddress"),
        ([item("EDMIATLAS", password="NO-COMMA")], "bad password"),
        ([item("EDMIATLAS", line="a"), item("EDMIATLAS", line="a")], "2 meters with address '12345678'"),
    ],
)
def test_what_no_line_can_hold_is_refused_by_name(items: list[dict[str, Any]], named: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(items))
    with pytest.raises(FleetError, match=named):
        load_fleet(path)


def test_a_wrapper_port_may_hold_several_meters(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(
        json.dumps([item("DLMS_WRAPPER", line="a"), item("DLMS_WRAPPER", line="a", outstationAddress="1/2")])
    )
    assert len(load_fleet(path)) == 2


def test_a_meters_repr_hides_its_keys() -> None:
    assert "SECRET" not in repr(Meter("DLMS", "1", LoadSpec(1), password="SECRET01"))
