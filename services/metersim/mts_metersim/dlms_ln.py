"""The services of logical name referencing: GET, its blocks and lists, ACTION (fact sheet dlms-cosem, section 3)."""

from collections.abc import Callable

from mts_metersim import axdr
from mts_metersim.axdr import Parser
from mts_metersim.dlms_manners import BLOCK_GET, MULTIPLE, SELECTIVE
from mts_metersim.dlms_objects import AccessRefused, Objects, Refusal, Selection
from mts_metersim.party import Note

GET_REQUEST, SET_REQUEST, ACTION_REQUEST = 0xC0, 0xC1, 0xC3
GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE = 0xC4, 0xC5, 0xC7
SERVICE_UNKNOWN = b"\xd8\x02\x02"
NOT_POSSIBLE = b"\xd8\x01\x01"
_NORMAL, _BLOCK, _LIST = 1, 2, 3
_BLOCK_HEAD = 9

Prove = Callable[[bytes], bytes | None]


class LogicalNames:
    """One association's requests and answers; `limit` is the longest answer that the client takes.

    `prove` answers the client's proof in HLS (method 1 of the association), None where it is wrong.
    """

    def __init__(
        self, objects: Objects, conformance: int, limit: int, public: bool, note: Note, prove: Prove | None = None
    ) -> None:
        self._objects = objects
        self._conformance = conformance
        self._limit = limit
        self._public = public
        self._note = note
        self._prove = prove
        self._long = b""
        self._block = 0

    def reply(self, apdu: bytes) -> bytes:
        """Raises Malformed."""
        parser = Parser(apdu)
        tag, kind, invoke = (parser.number(1) for _ in range(3))
        if tag == GET_REQUEST and kind == _NORMAL:
            return self._fitting(invoke, _NORMAL, self._result(parser))
        if tag == GET_REQUEST and kind == _BLOCK:
            return self._next_block(invoke, parser.number(4))
        if tag == GET_REQUEST and kind == _LIST and self._conformance & MULTIPLE:
            results = [self._result(parser) for _ in range(parser.length())]
            return self._fitting(invoke, _LIST, axdr.length(len(results)) + b"".join(results))
        if tag == SET_REQUEST and kind == _NORMAL:
            return bytes([SET_RESPONSE, _NORMAL, invoke, Refusal.DENIED])
        if tag == ACTION_REQUEST and kind == _NORMAL:
            return self._action(invoke, parser)
        return SERVICE_UNKNOWN

    def _result(self, parser: Parser) -> bytes:
        """One attribute as `00 data` or `01 refusal`."""
        class_id, name, attribute = parser.number(2), parser.take(6), parser.number(1)
        selection = Selection(parser.number(1), parser.value()) if parser.number(1) else None
        shown = ".".join(map(str, name))
        self._note(
            f"GET {class_id} {shown} {attribute}{'' if selection is None else f' by {selection.selector}'}", False
        )
        try:
            if selection is not None and not self._conformance & SELECTIVE:
                raise AccessRefused(Refusal.SCOPE)
            found = self._objects.find(class_id, name, public=self._public)
            return b"\x00" + found.read(attribute, selection)
        except AccessRefused as refused:
            return bytes([1, refused.refusal])

    def _fitting(self, invoke: int, kind: int, result: bytes) -> bytes:
        """The whole answer, or the first block of one that is too long."""
        self._long, self._block = b"", 0
        if len(result) + 3 <= self._limit:
            return bytes([GET_RESPONSE, kind, invoke]) + result
        if not self._conformance & BLOCK_GET:
            return bytes([GET_RESPONSE, _NORMAL, invoke, 1, Refusal.OTHER])
        self._long = result[1:] if kind == _NORMAL else result
        return self._next(invoke)

    def _next_block(self, invoke: int, received: int) -> bytes:
        if not self._long or received != self._block:
            refusal = Refusal.BLOCK_NUMBER if self._long else Refusal.NO_LONG_GET
            self._long = b""
            return bytes([GET_RESPONSE, _BLOCK, invoke, 1]) + received.to_bytes(4, "big") + bytes([1, refusal])
        return self._next(invoke)

    def _next(self, invoke: int) -> bytes:
        """As much as the client takes."""
        self._block += 1
        size = self._limit - _BLOCK_HEAD - 1
        while _BLOCK_HEAD + len(axdr.length(size)) + size > self._limit:
            size -= 1
        part, self._long = self._long[:size], self._long[size:]
        return get_block(invoke, self._block, part, last=not self._long)

    def _action(self, invoke: int, parser: Parser) -> bytes:
        """The association's method 1 alone: the client proves that it knows the key."""
        class_id, _, method = parser.number(2), parser.take(6), parser.number(1)
        proof = parser.value() if parser.number(1) else None
        answer = None
        if self._prove is not None and (class_id, method) == (15, 1) and isinstance(proof, bytes):
            answer = self._prove(proof)
        if answer is None:
            return bytes([ACTION_RESPONSE, _NORMAL, invoke, Refusal.DENIED, 0])
        return bytes([ACTION_RESPONSE, _NORMAL, invoke, 0, 1, 0]) + axdr.octets(answer)


def get_block(invoke: int, number: int, raw: bytes, *, last: bool) -> bytes:
    """One block of a long answer."""
    head = bytes([GET_RESPONSE, _BLOCK, invoke, last]) + number.to_bytes(4, "big")
    return head + b"\x00" + axdr.length(len(raw)) + raw
