"""DLMS/COSEM bytes against published captures (fact sheet dlms-cosem, "captures"; the files of the dialler's tests)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mts_metersim import acse, axdr, dlms_server
from mts_metersim.acse import Diagnostic, Initiate
from mts_metersim.axdr import Parser
from mts_metersim.dlms_ln import LogicalNames, get_block
from mts_metersim.dlms_meter import objects_of
from mts_metersim.dlms_objects import CosemObject, Objects, obis
from mts_metersim.dlms_profile import Buffer, Column, Row, clock_column, profile
from mts_metersim.dlms_time import date_time
from mts_metersim.fleet import ClockSpec, DlmsOptions, LoadSpec, Meter, Options
from mts_metersim.hdlc import SNRM, Frame, Receiver, ServerAddress
from mts_metersim.hdlc_link import Link, Sizes
from mts_metersim.testing import answered, call_to
from mts_metersim.unit import Unit
from mts_metersim.wrapper import wrapped

CAPTURES = Path(__file__).parents[2] / "dialler" / "tests" / "captures"


def captured(name: str) -> list[tuple[str, bytes]]:
    """The lines of a capture as (">" client or "<" meter, bytes)."""
    lines = (CAPTURES / name).read_text().splitlines()
    return [(line[0], bytes.fromhex(line[1:])) for line in lines if line[0] in "<>"]


def unit_at(moment: str, meter: Meter) -> Unit:
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(meter, lambda: now * 1_000_000_000)


@pytest.mark.parametrize(
    "name",
    [
        "dlms_apator_norax3_ln_session.hex",
        "dlms_idis_hdlc_frames.hex",
        "dlms_lg_e650_sn_session.hex",
        "dlms_ua_frames_various.hex",
        "dlms_unknown_meter_range_blocks.hex",
    ],
)
def test_every_captured_frame_is_understood_and_written_the_same(name: str) -> None:
    for _, wire in captured(name):
        receiver = Receiver()
        receiver.feed(wire)
        frame = receiver.next()
        assert frame is not None
        assert frame.encoded() == wire
        assert receiver.next() is None


def test_address_fields_are_those_of_the_captures() -> None:
    assert ServerAddress(1, None, 1).field.hex() == "03"
    assert ServerAddress(1, 17, 2).field.hex() == "0223"
    assert ServerAddress(1, 3380, 4).field.hex() == "00023469"
    assert ServerAddress(17, 5481, 4).field.hex() == "002254d3"


def norax() -> Unit:
    meter = Meter(
        "DLMS",
        "APAnor3094481130",
        LoadSpec(1),
        outstation_address="1/1",
        password="12345678",
        clock=ClockSpec("Europe/Moscow"),
        options=Options(dlms=DlmsOptions(deviation="inverted")),
    )
    return unit_at("2020-05-09T11:26:15", meter)


def norax_objects(unit: Unit, buffer: bytes) -> Objects:
    """Serial number and clock are the simulator's own, the survey has the captured columns and rows."""
    columns = [
        clock_column(unit),
        Column(1, obis("0.0.96.10.1"), 2, lambda _: b""),
        *[Column(3, obis(f"1.0.15.8.{rate}"), 2, lambda _: b"") for rate in range(5)],
        Column(1, obis("0.0.128.1.0"), 2, lambda _: b""),
    ]
    survey = profile("1.0.99.1.0", Buffer(unit, columns, lambda first, last: [], 1800, "none"), columns, 1800, False)
    attributes = {**survey.attributes, 2: lambda: buffer, 7: lambda: axdr.unsigned(0x18E, 4)}
    tariff = CosemObject(1, obis("0.0.96.14.0"), {2: lambda: axdr.unsigned(1, 1)})
    return Objects(
        [*objects_of(unit), tariff, CosemObject(7, survey.name, attributes, buffer=lambda selection: buffer)]
    )


class NoraxBlocks(LogicalNames):
    """That meter cuts its blocks shorter than the client would take, each to another length."""

    lengths = (227, 241, 159)

    def _next(self, invoke: int) -> bytes:
        size = self.lengths[self._block]
        self._block += 1
        part, self._long = self._long[:size], self._long[size:]
        return get_block(invoke, self._block, part, last=not self._long)


def norax_rows() -> bytes:
    """The buffer of the captured session, put together from its blocks."""
    receiver = Receiver()
    receiver.feed(b"".join(wire for side, wire in captured("dlms_apator_norax3_ln_session.hex") if side == "<"))
    infos = [frame.info for frame in iter(receiver.next, None)]
    apdus = b"".join(infos).split(b"\xe6\xe7\x00")
    blocks = [Parser(apdu[9:]) for apdu in apdus if apdu.startswith(b"\xc4\x02")]
    return b"".join(block.sized() for block in blocks)


def test_a_norax_session_goes_byte_for_byte_as_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = norax_rows()
    monkeypatch.setattr(dlms_server, "objects_of", lambda unit: norax_objects(unit, rows))
    monkeypatch.setattr(dlms_server, "LogicalNames", NoraxBlocks)
    call = call_to([norax()])
    exchanges = captured("dlms_apator_norax3_ln_session.hex")
    assert rows[:2] == bytes([1, 25])
    for (_, sent), (_, answer) in zip(exchanges[::2], exchanges[1::2], strict=True):
        assert answered(call, sent).hex(" ") == answer.hex(" ")


def test_an_idis_meter_opens_as_captured() -> None:
    """Its UA and AARE answer the captured SNRM (without parameters) and AARQ."""
    meter = Meter("ISKRA_MT880", "12345678", LoadSpec(1), outstation_address="16/1/17")
    call = call_to([unit_at("2019-12-16T07:59:40", meter)])
    _, (_, ua), (_, aare), _, (_, snrm), (_, aarq) = captured("dlms_idis_hdlc_frames.hex")
    assert answered(call, snrm) == ua
    assert answered(call, aarq) == aare


def ua_of(line: int) -> bytes:
    uas = [wire for side, wire in captured("dlms_ua_frames_various.hex") if side == "<"]
    return uas[line]


def test_an_iskra_tells_its_sizes_as_captured() -> None:
    call = call_to([unit_at("2019-12-16T08:00:00", Meter("ISKRA_MX37X", "1", LoadSpec(1)))])
    snrm = Frame(ServerAddress(1, 17, 2).field, b"\xc9", SNRM)
    assert answered(call, snrm.encoded()) == ua_of(3)


def test_an_e650_sends_no_longer_frames_than_its_client_takes() -> None:
    """The captured client, number 48, takes 128 octets, the meter sends up to 248 and takes 62."""
    link = Link(Sizes(248, 62), lambda client: bytes if client == 48 else None)
    snrm = Frame(ServerAddress(1, None, 1).field, b"\x61", SNRM, bytes.fromhex("818006 050180 060180"))
    assert [frame.encoded() for frame in link.receive(snrm)] == [ua_of(0)]


def test_null_data_stands_for_the_next_hour_as_captured() -> None:
    ((_, rows),) = captured("dlms_idis_profile_buffer_null.hex")
    meter = Meter(
        "ISKRA_MT880", "1", LoadSpec(1), clock=ClockSpec("Europe/Ljubljana"), options=Options(period_minutes=60)
    )
    unit = unit_at("2020-01-01T00:00:00", meter)
    columns = [
        clock_column(unit),
        Column(1, obis("0.0.96.10.1"), 2, lambda row: axdr.unsigned(row.status, 1)),
        Column(3, obis("1.0.1.8.0"), 2, lambda row: axdr.unsigned(row.values[0], 4)),
        Column(3, obis("1.0.2.8.0"), 2, lambda row: axdr.unsigned(row.values[1], 4)),
    ]
    first = int(datetime(2019, 12, 31, 22, tzinfo=UTC).timestamp())
    held = [Row(first + 3600 * hour, first + 3600 * hour, 6, (0x5ED, 0x654)) for hour in range(4)]
    assert Buffer(unit, columns, lambda begin, end: held, 3600, "clock")(None) == rows


def test_blocks_are_written_as_captured() -> None:
    blocks = [apdu for _, apdu in captured("dlms_idis_get_apdus.hex") if apdu[1] == 2]
    assert len(blocks) == 2
    for apdu in blocks:
        head = Parser(apdu[3:])
        last, number, result, raw = head.number(1), head.number(4), head.number(1), head.sized()
        assert result == 0
        assert get_block(apdu[2], number, raw, last=bool(last)) == apdu
    assert Parser(blocks[0]).take(12)[8:] == bytes.fromhex("0082049e")
    assert axdr.length(1440) == bytes.fromhex("8205a0")


def test_a_wrapped_event_log_has_the_captured_rows() -> None:
    _, (_, wire) = captured("dlms_wrapper_eventlog_block.hex")
    assert wrapped(1, 1, wire[8:]) == wire
    block = Parser(wire[8:])
    block.take(9)
    rows = block.sized()
    meter = Meter("DLMS_WRAPPER", "1", LoadSpec(1), clock=ClockSpec("Etc/GMT-1"))
    unit = unit_at("2025-07-25T16:55:32", meter)
    assert rows[:2].hex() == "0125"
    assert rows[2:].startswith(axdr.structure(axdr.octets(date_time(unit, unit.clock.now())), axdr.enumerated(2)))


def test_associations_are_written_as_captured() -> None:
    (_, aare), _ = captured("dlms_wrapper_eventlog_block.hex")
    wanted = Initiate(6, 0xFFFFFF, 0xFFFF, short_tag=False)
    user = acse.initiate_response(wanted, 0x601A1D, 200, 7)
    assert wrapped(1, 1, acse.response(acse.LOGICAL_NAMES, Diagnostic.NONE, user)) == aare
