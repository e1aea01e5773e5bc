"""The E650 with short names: its captured session, its object list, READ with and without selection."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mts_metersim import axdr
from mts_metersim.axdr import Parser, Value
from mts_metersim.dlms_manners import address_of
from mts_metersim.dlms_objects import obis
from mts_metersim.fleet import DlmsOptions, LoadSpec, Meter, Options, Rule
from mts_metersim.hdlc import DM, SNRM
from mts_metersim.load import reading
from mts_metersim.testing import HdlcHost, answered, call_to, low_level_aarq, value_of
from mts_metersim.unit import Unit

CAPTURE = Path(__file__).parents[2] / "dialler" / "tests" / "captures" / "dlms_lg_e650_sn_session.hex"
E650 = Meter("LG_DLMS", "51282380", LoadSpec(2), password="SECRET01", installed_days_ago=4)
NOW = datetime(2026, 11, 20, 9, 15, tzinfo=UTC)


def unit_of(meter: Meter = E650) -> Unit:
    return Unit(meter, lambda: int(NOW.timestamp()) * 1_000_000_000)


def host_of(meter: Meter = E650, client: int = 32, pdu: int = 0) -> HdlcHost:
    host = HdlcHost(call_to([unit_of(meter)]), client, address_of(meter).server)
    assert host.ask(low_level_aarq("SECRET01", pdu=pdu, context=2))[17] == 0
    return host


def read(host: HdlcHost, *names: int) -> list[Value]:
    answer = Parser(host.ask(bytes([5, len(names)]) + b"".join(b"\x02" + name.to_bytes(2, "big") for name in names)))
    assert (answer.number(1), answer.length()) == (0x0C, len(names))
    found = []
    for _ in names:
        assert answer.number(1) == 0
        found.append(answer.value())
    assert not answer.rest
    return found


def bases(host: HdlcHost) -> dict[tuple[int, bytes], int]:
    (listed,) = read(host, 0xFA08)
    assert isinstance(listed, list)
    found = {}
    for entry in listed:
        assert isinstance(entry, list)
        base, class_id, _, name = entry
        assert isinstance(base, int)
        assert isinstance(class_id, int)
        assert isinstance(name, bytes)
        found[class_id, name] = base & 0xFFFF
    return found


def test_an_e650_session_goes_byte_for_byte_as_captured() -> None:
    lines = [line for line in CAPTURE.read_text().splitlines() if line[0] in "<>"]
    call = call_to([unit_of()])
    for sent, answer in zip(lines[::2], lines[1::2], strict=True):
        assert answered(call, bytes.fromhex(sent[1:])).hex(" ").upper() == answer[2:].strip()


def test_the_physical_address_comes_from_the_serial_number() -> None:
    assert address_of(E650).server.field.hex() == "00023469"
    assert address_of(Meter("LG_DLMS", "1", LoadSpec(1), outstation_address="5481")).server.physical == 5481
    named = address_of(Meter("LG_DLMS", "1", LoadSpec(1), outstation_address="48/17/5481"))
    assert (named.clients, named.server.field.hex()) == ((48,), "002254d3")


@pytest.mark.parametrize(("client", "control"), [(16, 0x73), (32, 0x73), (48, 0x73), (1, DM)])
def test_an_e650_knows_its_clients(client: int, control: int) -> None:
    host = HdlcHost(call_to([unit_of()]), client, address_of(E650).server)
    assert host.command(SNRM)[0].control == control


def test_a_logical_name_context_is_refused() -> None:
    host = HdlcHost(call_to([unit_of()]), 32, address_of(E650).server)
    aare = host.ask(low_level_aarq("SECRET01", context=1))
    assert (aare[17], aare[24]) == (1, 2)


def test_the_object_list_leads_to_every_attribute() -> None:
    host = host_of()
    listed = bases(host)
    assert listed[12, obis("0.0.40.0.0")] == 0xFA00
    assert listed[1, obis("0.0.42.0.0")] == 0xFD00
    assert len(set(listed.values())) == len(listed)
    unit = unit_of()
    energy = listed[3, obis("1.0.1.8.0")]
    assert read(host, energy, energy + 8, energy + 16) == [
        obis("1.0.1.8.0"),
        unit.total("import", unit.clock.now()) // 1000,
        [0, 30],
    ]
    assert read(host, listed[8, obis("0.0.1.0.0")] + 8) == [bytes.fromhex("07ea0b14 05 090f00 ff 0000 00")]


def test_the_public_client_sees_its_identity_alone() -> None:
    host = HdlcHost(call_to([unit_of()]), 16, address_of(E650).server)
    host.ask(bytes.fromhex("601D A109060760857405080102 BE10040E 01000000065F1F04001C13200000"))
    assert read(host, 0x5A88) == [b"51282380"]
    energy = bases(host)[3, obis("1.0.1.8.0")]
    assert host.ask(b"\x05\x01\x02" + (energy + 8).to_bytes(2, "big")).hex() == "0c010103"


def survey(meter: Meter, first: str, last: str, columns: bytes = b"\x01\x00") -> list[list[Value]]:
    host = host_of(meter)
    base = bases(host)[7, obis("1.0.99.1.0")]
    answer = host.ask(b"\x05\x01\x04" + (base + 8).to_bytes(2, "big") + by_range(first, last, columns))
    assert answer[:3].hex() == "0c0100"
    rows = value_of(answer[3:])
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, list)]


def by_range(first: str, last: str, columns: bytes) -> bytes:
    clock = axdr.structure(axdr.unsigned(8, 2), axdr.octets(obis("0.0.1.0.0")), axdr.signed(2, 1), axdr.unsigned(0, 2))
    return b"\x01" + axdr.structure(clock, axdr.octets(stamp(first)), axdr.octets(stamp(last)), columns)


def stamp(text: str) -> bytes:
    shown = datetime.fromisoformat(text)
    head = shown.year.to_bytes(2, "big") + bytes([shown.month, shown.day, 0xFF, shown.hour, shown.minute, 0, 0xFF])
    return head + b"\x80\x00\xff"


def end_of(row: list[Value]) -> datetime:
    assert isinstance(row[0], bytes)
    return datetime(int.from_bytes(row[0][:2], "big"), row[0][2], row[0][3], row[0][5], row[0][6], tzinfo=UTC)


def watts(row: list[Value]) -> Decimal:
    assert isinstance(row[2], int)
    return Decimal(row[2])


def test_a_day_of_the_survey_holds_the_truth_as_mean_powers() -> None:
    """The request is longer than the 62 octets that the meter takes, the answer than the 128 of the client."""
    rows = survey(E650, "2026-11-18T00:30", "2026-11-19T00:00")
    assert len(rows) == 48
    for row in rows:
        start = end_of(row) - timedelta(minutes=30)
        assert watts(row) / 2000 == reading(E650, "import", start)


def test_rows_at_a_power_failure_add_up_to_the_period() -> None:
    options = Options(power_cuts=Rule(1, 610, 10), dlms=DlmsOptions(irregular_rows=True))
    meter = Meter("LG_DLMS", "51282380", LoadSpec(2), password="SECRET01", installed_days_ago=4, options=options)
    rows = survey(meter, "2026-11-18T10:01", "2026-11-18T10:30")
    assert [(f"{end_of(row):%H:%M}", row[1]) for row in rows] == [("10:10", 0x80), ("10:30", 0x80)]
    start = datetime(2026, 11, 18, 10, tzinfo=UTC)
    assert sum(watts(row) for row in rows) / 2000 == reading(meter, "import", start)


def test_every_column_is_a_demand_register_with_scaler_and_unit() -> None:
    host = host_of()
    listed = bases(host)
    (columns,) = read(host, listed[7, obis("1.0.99.1.0")] + 16)
    assert isinstance(columns, list)
    for column in columns[2:]:
        assert isinstance(column, list)
        class_id, name, attribute, _ = column
        assert isinstance(name, bytes)
        assert (class_id, attribute) == (5, 3)
        assert read(host, listed[5, name] + 24)[0] in ([0, 27], [0, 29])


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("0501020001", "0c010104"),
        ("050102fa0b", "0c010104"),
        ("050102fa18", "0c010103"),
        ("050104fa080100", "0c01010d"),
        ("05010301", "0e050302"),
        ("c001c1000100002a0000ff0200", "0e050302"),
        ("0502", "0e050302"),
    ],
)
def test_what_cannot_be_read_gets_its_error(request_hex: str, answer: str) -> None:
    assert host_of().ask(bytes.fromhex(request_hex)).hex() == answer


def test_an_answer_longer_than_the_client_takes_is_refused() -> None:
    assert host_of(pdu=100).ask(b"\x05\x01\x02\xfa\x08").hex() == "0c0101fa"


def test_a_read_without_association_is_a_service_error() -> None:
    host = HdlcHost(call_to([unit_of()]), 32, address_of(E650).server)
    assert host.ask(b"\x05\x01\x02\xfa\x08").hex() == "0e050201"
