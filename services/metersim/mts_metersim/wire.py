"""How a protocol's replies look on the line, and how they look when the meter does wrong."""

from collections.abc import Iterator
from dataclasses import replace

from mts_metersim import edmi
from mts_metersim.edmi import Message
from mts_metersim.families import Family, family_of
from mts_metersim.hdlc import POLL, Frame, Receiver
from mts_metersim.iec import SOH, STX
from mts_metersim.unit import Unit
from mts_metersim.wrapper import HEAD

CHUNK = 4096
_AARE = 0x61
_EDMI_DATA = (b"R", b"M", b"I", b"O", b"F")


class Wire:
    """One protocol's replies; this one has neither check sequences nor parity: the TCP wrapper's."""

    has_parity = False

    def spoilt(self, reply: bytes) -> bytes:
        """The reply with a wrong check; as it is where it carries none."""
        return reply

    def endless(self, reply: bytes) -> Iterator[bytes] | None:
        """A data reply that never ends, in place of this one; None = this is no data reply."""
        return _again_and_again(reply) if reply[HEAD] != _AARE else None


class IecWire(Wire):
    """Block checks, lines without end, the parity bit."""

    has_parity = True

    def spoilt(self, reply: bytes) -> bytes:
        return reply[:-1] + bytes([reply[-1] ^ 0x55]) if reply[0] in (SOH, STX) else reply

    def endless(self, reply: bytes) -> Iterator[bytes] | None:
        return _endless_lines() if reply[0] == STX else None


class HdlcWire(Wire):
    """Frame check sequences, segments without end."""

    def spoilt(self, reply: bytes) -> bytes:
        return reply[:-2] + bytes([reply[-2] ^ 0x55]) + reply[-1:]

    def endless(self, reply: bytes) -> Iterator[bytes] | None:
        receiver = Receiver()
        receiver.feed(reply)
        frame = receiver.next()
        if frame is None or not frame.is_information or frame.info[3:4] == bytes([_AARE]):
            return None
        return _endless_segments(frame)


class EdmiWire(Wire):
    """CRCs, registers without an ETX."""

    def spoilt(self, reply: bytes) -> bytes:
        message = _edmi_message(reply)
        return reply if message is None else message.encoded(spoil=0x55)

    def endless(self, reply: bytes) -> Iterator[bytes] | None:
        message = _edmi_message(reply)
        return _without_end(reply) if message is not None and message.payload[:1] in _EDMI_DATA else None


_WIRES = {Family.IEC: IecWire(), Family.HDLC: HdlcWire(), Family.WRAPPER: Wire(), Family.EDMI: EdmiWire()}


def wire_of(unit: Unit) -> Wire:
    return _WIRES[family_of(unit.meter.meter_type)]


def _endless_lines() -> Iterator[bytes]:
    line = b"1.8.0(000000.00*kWh)\r\n"
    yield bytes([STX])
    while True:
        yield line * (CHUNK // len(line))


def _edmi_message(reply: bytes) -> Message | None:
    receiver = edmi.Receiver()
    receiver.feed(reply)
    return receiver.next()


def _without_end(reply: bytes) -> Iterator[bytes]:
    yield reply[:-1]
    while True:
        yield bytes(CHUNK)


def _endless_segments(first: Frame) -> Iterator[bytes]:
    """Frames with rising numbers that no RR is waited for and none of which is the last."""
    number = first.control >> 1 & 7
    while True:
        control = first.control & ~POLL & 0xF1 | number << 1
        yield replace(first, control=control, segmented=True).encoded()
        number = (number + 1) % 8


def _again_and_again(reply: bytes) -> Iterator[bytes]:
    while True:
        yield reply
