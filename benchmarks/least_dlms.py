"""The least that a DLMS call may cost (see `least`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from benchmarks.paced_line import Exchange, Least
from mts_metersim.dlms_manners import BLOCK_GET, Manner, address_of, manner_of
from mts_metersim.families import Family, family_of
from mts_metersim.fleet import Meter
from mts_metersim.hdlc import Receiver
from mts_metersim.wrapper import HEAD

_LLC_REQUEST = bytes.fromhex("E6E600")
_LLC = len(_LLC_REQUEST)
_FRAMING = 10  # flags, format, the client's address, control and two check sequences
_RECEIVE_READY = 8  # the same without information
_NEXT_BLOCK = b"\xc0\x02"
_NEXT_BLOCK_OCTETS = 7
_BLOCK_HEAD = 12  # service, invoke id, last, number, result, length
_DENIED = (b"\xc4\x01", b"\x01")  # a plain answer, and that it is a refusal


@dataclass(slots=True)
class _Dialogue:
    """A question and all that was said until its answer was whole."""

    question: bytes
    exchanges: list[Exchange]
    answer: bytes = b""

    @property
    def denied(self) -> bool:
        return self.answer[:2] == _DENIED[0] and self.answer[3:4] == _DENIED[1]


def least(meter: Meter, exchanges: Sequence[Exchange]) -> Least:
    """Short answers stand with their questions, each once, unless the meter has no such object; all long ones are put
    together and need one question.
    """
    manner = manner_of(meter)
    wrapped = family_of(meter.meter_type) is Family.WRAPPER
    frame = manner.pdu if wrapped else manner.transmit
    octets, turns, long, question = 0, 0, 0, 0
    asked = set[bytes]()
    for each in _dialogues(exchanges, wrapped=wrapped):
        if len(each.answer) > frame:
            long += len(each.answer)
            question = max(question, len(each.exchanges[0].sent))
        elif not each.denied and each.question not in asked:
            asked.add(each.question)
            octets += sum(len(one.sent) + len(one.received) for one in each.exchanges)
            turns += len(each.exchanges)
    rest = _of_blocks(manner, long) if wrapped else _of_frames(manner, len(address_of(meter).server.field), long)
    return Least(octets + question + rest.octets, turns + rest.turns)


def _of_blocks(manner: Manner, octets: int) -> Least:
    """Of a long answer in the TCP wrapper: a block to a turn."""
    blocks = len(_blocks(manner, octets))
    return Least(octets + blocks * (2 * HEAD + _NEXT_BLOCK_OCTETS), blocks)


def _of_frames(manner: Manner, address_octets: int, octets: int) -> Least:
    """Of a long answer over HDLC: frames as long as the meter sends, a turn for each window."""
    frames = [ceil((size + _LLC) / manner.transmit) for size in _blocks(manner, octets)]
    turns = sum(ceil(count / manner.window) for count in frames)
    framing = _FRAMING + address_octets
    return Least(octets + sum(frames) * framing + turns * (_RECEIVE_READY + address_octets), turns)


def _blocks(manner: Manner, octets: int) -> list[int]:
    """The octets of each APDU; `octets` includes the heads of the blocks as they were."""
    if not manner.conformance & BLOCK_GET:
        return [octets]
    whole, rest = divmod(octets, manner.pdu)
    return [manner.pdu] * whole + ([rest] if rest else [])


def _dialogues(exchanges: Sequence[Exchange], *, wrapped: bool) -> Iterator[_Dialogue]:
    current: _Dialogue | None = None
    for each in exchanges:
        question = each.sent[HEAD:] if wrapped else _question(each.sent)
        answer = each.received[HEAD:] if wrapped else b"".join(_information(each.received))
        if question is None or question.startswith(_NEXT_BLOCK):
            if current is not None:
                current.exchanges.append(each)
                current.answer += answer
            continue
        if current is not None:
            yield current
        current = _Dialogue(_without_invoke(question), [each], answer if wrapped else answer[_LLC:])
    if current is not None:
        yield current


def _question(sent: bytes) -> bytes | None:
    """The APDU that begins in these frames, or the frame itself if it is for the link; None for what goes on."""
    receiver = Receiver()
    receiver.feed(sent)
    first = receiver.next()
    if first is None or first.control & 0x0F == 0x01:
        return None
    if not first.is_information:
        return sent
    return first.info[_LLC:] if first.info.startswith(_LLC_REQUEST) else None


def _information(received: bytes) -> Iterator[bytes]:
    receiver = Receiver()
    receiver.feed(received)
    while (frame := receiver.next()) is not None:
        if frame.is_information:
            yield frame.info


def _without_invoke(apdu: bytes) -> bytes:
    """Each GET has a number of its own."""
    return apdu[:2] + apdu[3:] if apdu[:1] == b"\xc0" else apdu
