"""The least that a call may cost, from what went over its line: the same answers with nothing asked twice, nothing
asked that the meter has not got, nothing waited for, and every long answer in frames and blocks as full as the meter
allows.

What the protocol itself demands stays in: its framing, and a turn of the line for every question that must be asked
and every frame or block that must be acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import least_dlms
from benchmarks.paced_line import Exchange, Least
from mts_metersim import edmi
from mts_metersim.families import ELSTER_TYPES, Family, family_of
from mts_metersim.fleet import Meter

_SEVEN_BITS = bytes(code & 0x7F for code in range(256))
_ACK, _NAK = b"\x06", b"\x15"
_IEC_BLOCK_FRAMING = 3  # STX, ETX or EOT, block check
_CAN = b"\x18"


def least(meter: Meter, exchanges: Sequence[Exchange]) -> Least:
    """What the answers among `exchanges` need."""
    match family_of(meter.meter_type):
        case Family.IEC if meter.meter_type in ELSTER_TYPES:
            return _singles(exchanges, _elster_question)
        case Family.IEC:
            return _iec(exchanges)
        case Family.EDMI:
            return _singles(exchanges, _edmi_question)
        case Family.HDLC | Family.WRAPPER:
            return least_dlms.least(meter, exchanges)


def _singles(exchanges: Sequence[Exchange], question: Callable[[Exchange], bytes | None]) -> Least:
    """Protocols whose every answer has a question of its own."""
    needed = {asked: each for each in reversed(exchanges) if (asked := question(each)) is not None}.values()
    octets = sum(len(each.sent) + len(each.received) for each in needed)
    return Least(octets, sum(bool(each.received) for each in needed))


def _elster_question(exchange: Exchange) -> bytes | None:
    """None where the meter has no such identity."""
    answer = exchange.received.translate(_SEVEN_BITS)
    return None if b"(ERR" in answer or answer == _NAK else exchange.sent


def _edmi_question(exchange: Exchange) -> bytes | None:
    """Without the number that each has; None where the meter has no such register."""
    asked, answered = _edmi_payload(exchange.sent), _edmi_payload(exchange.received)
    if asked is None or answered is None or answered.startswith(_CAN):
        return None
    return asked


def _edmi_payload(data: bytes) -> bytes | None:
    receiver = edmi.Receiver()
    receiver.feed(data)
    message = receiver.next()
    return None if message is None else message.payload


def _iec(exchanges: Sequence[Exchange]) -> Least:
    """A profile needs one question, however long it is, and its answer one block."""
    octets, turns, questions = 0, 0, set[int]()
    in_profile = False
    for each in exchanges:
        sent, answer = (data.translate(_SEVEN_BITS) for data in (each.sent, each.received))
        if b"P.01(" in sent:
            in_profile = True
            questions.add(len(sent) + _IEC_BLOCK_FRAMING)
        elif sent != _ACK:
            in_profile = False
        if in_profile:
            octets += len(answer) - _IEC_BLOCK_FRAMING
        else:
            octets += len(sent) + len(answer)
            turns += bool(each.received)
    return Least(octets + min(questions, default=0), turns + bool(questions))
