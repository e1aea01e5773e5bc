"""Reading attributes: GET by logical name, READ by short name (IEC 62056-53, clauses 6.4 and 6.5), with their blocks.

Sans-IO: `Get`, `Read` and `Invoke` hold one question; `encode` is the APDU to send, `receive` takes the meter's APDU
and returns the next APDU to send, or None when the answers are complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from mts_dialler.protocols.cosem.values import Reader, Value
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

_GET_REQUEST, _GET_RESPONSE = 0xC0, 0xC4
_NORMAL, _NEXT, _LIST = 1, 2, 3
_BLOCK = 2
_ACTION_REQUEST, _ACTION_RESPONSE = 0xC3, 0xC7
_READ_REQUEST, _READ_RESPONSE = 0x05, 0x0C
_EXCEPTION, _SERVICE_ERROR = 0xD8, 0x0E
_PRIORITY = 0xC0  # confirmed, high priority
MAX_ANSWER = 8 * 1024 * 1024


class AccessResult(IntEnum):
    """Why an attribute was not given (data-access-result)."""

    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET_IN_PROGRESS = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET_IN_PROGRESS = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250


@dataclass(frozen=True, slots=True)
class Denied:
    """The meter's answer in place of a value; `code` is a data-access-result, perhaps of the maker's own."""

    code: int

    def __str__(self) -> str:
        known = next((result for result in AccessResult if result == self.code), None)
        return known.name.lower().replace("_", " ") if known else f"data access result {self.code}"


class ServiceRefused(RemoteProtocolError):
    """The meter answered the question as a whole with an exception: `state` and `service` as it coded them."""

    def __init__(self, state: int, service: int) -> None:
        super().__init__(f"the meter refused the service (state {state}, service {service})")
        self.state = state
        self.service = service


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by logical name; `obis` are six octets. `selector` is a selector's number and encoded parameter."""

    class_id: int
    obis: bytes
    number: int
    selector: bytes = b""

    def name(self) -> bytes:
        """Class, instance and number."""
        return self.class_id.to_bytes(2, "big") + self.obis + bytes((self.number,))

    def encode(self) -> bytes:
        """The attribute descriptor with its selection (clause 6.4.1)."""
        return self.name() + (b"\x01" + self.selector if self.selector else b"\x00")


@dataclass(frozen=True, slots=True)
class ShortName:
    """An attribute by short name: base name + 8 per attribute (IEC 62056-62, Annex D)."""

    name: int
    selector: bytes = b""

    def encode(self) -> bytes:
        """A variable access specification: plain, or parameterised by its selection."""
        if self.selector:
            return b"\x04" + self.name.to_bytes(2, "big") + self.selector
        return b"\x02" + self.name.to_bytes(2, "big")


Answer = Value | Denied


class Get:
    """One GET for one attribute, or for several where the meter serves lists."""

    def __init__(self, attributes: Sequence[Attribute], invoke: int) -> None:
        """`invoke` (0 to 15) must come back in each answer. Raises `LocalProtocolError`."""
        if not attributes or (len(attributes) > 1 and any(attribute.selector for attribute in attributes)):
            raise LocalProtocolError("a list of attributes is not empty and takes no selections")
        self._attributes = attributes
        self._invoke = _PRIORITY | invoke & 0x0F
        self._blocks = bytearray()
        self._last_block = 0
        self.answers: list[Answer] = []

    def encode(self) -> bytes:
        """GET-Request-Normal or -With-List."""
        encoded = [attribute.encode() for attribute in self._attributes]
        if len(encoded) == 1:
            return bytes((_GET_REQUEST, _NORMAL, self._invoke)) + encoded[0]
        return bytes((_GET_REQUEST, _LIST, self._invoke, len(encoded))) + b"".join(encoded)

    def receive(self, apdu: bytes) -> bytes | None:
        """Raises `ServiceRefused`, `RemoteProtocolError`."""
        raise_if_refused(apdu)
        reader = Reader(apdu)
        tag = reader.octet()
        if tag != _GET_RESPONSE:
            raise RemoteProtocolError(f"APDU {tag:02X} in answer to a GET")
        kind, invoke = reader.octet(), reader.octet()
        if invoke & 0x0F != self._invoke & 0x0F:
            raise RemoteProtocolError(f"invoke id {invoke & 0x0F} in answer to {self._invoke & 0x0F}")
        if kind == _BLOCK:
            return self._block(reader)
        if kind not in {_NORMAL, _LIST}:
            raise RemoteProtocolError(f"a GET response of kind {kind}")
        self._complete(reader, is_list=kind == _LIST)
        return None

    def _block(self, reader: Reader) -> bytes | None:
        last, number, failed = reader.octet(), reader.number(4), reader.octet()
        if failed:
            self.answers = [Denied(reader.octet())] * len(self._attributes)
            return None
        if number != self._last_block + 1:
            raise RemoteProtocolError(f"block {number} after block {self._last_block}")
        self._last_block = number
        _join(self._blocks, reader.take(reader.length()), last=bool(last))
        if not last:
            return bytes((_GET_REQUEST, _NEXT, self._invoke)) + number.to_bytes(4, "big")
        self._complete_blocks()
        return None

    def _complete_blocks(self) -> None:
        """A block's raw data is the value itself, or the list of results with their choices (clause 6.4.1.6)."""
        reader = Reader(bytes(self._blocks))
        if len(self._attributes) == 1:
            self.answers = [reader.value()]
        else:
            self._complete(reader, is_list=True)

    def _complete(self, reader: Reader, *, is_list: bool) -> None:
        count = reader.length() if is_list else 1
        if count != len(self._attributes):
            raise RemoteProtocolError(f"{count} results in answer to {len(self._attributes)} attributes")
        self.answers = [_result(reader) for _ in range(count)]


class Read:
    """One READ by short names. Its answers may come in the blocks of several READs where the meter cuts them."""

    def __init__(self, names: Sequence[ShortName]) -> None:
        """Raises `LocalProtocolError`."""
        if not names:
            raise LocalProtocolError("nothing to read")
        self._names = names
        self._blocks = bytearray()
        self._last_block = 0
        self.answers: list[Answer] = []

    def encode(self) -> bytes:
        """A ReadRequest."""
        return bytes((_READ_REQUEST, len(self._names))) + b"".join(name.encode() for name in self._names)

    def receive(self, apdu: bytes) -> bytes | None:
        """Raises `ServiceRefused`, `RemoteProtocolError`."""
        raise_if_refused(apdu)
        reader = Reader(apdu)
        tag = reader.octet()
        if tag != _READ_RESPONSE:
            raise RemoteProtocolError(f"APDU {tag:02X} in answer to a READ")
        return self._results(reader)

    def _results(self, reader: Reader) -> bytes | None:
        count = reader.length()
        if count == 1 and reader.left and reader.peek() == _BLOCK:
            reader.octet()
            return self._block(reader)
        if count != len(self._names):
            raise RemoteProtocolError(f"{count} results in answer to {len(self._names)} names")
        self.answers = [_result(reader) for _ in range(count)]
        return None

    def _block(self, reader: Reader) -> bytes | None:
        """data-block-result: last, number (two octets), raw data; the next one is asked for by its number."""
        last, number = reader.octet(), reader.number(2)
        if number != self._last_block + 1:
            raise RemoteProtocolError(f"block {number} after block {self._last_block}")
        self._last_block = number
        _join(self._blocks, reader.take(reader.length()), last=bool(last))
        if not last:
            return bytes((_READ_REQUEST, 1, 0x05)) + number.to_bytes(2, "big")
        return self._results(Reader(bytes(self._blocks)))


class Invoke:
    """One ACTION: a method of an object with one parameter. Its answer is the value returned, None if none is."""

    def __init__(self, method: Attribute, parameter: bytes, invoke: int) -> None:
        """`method` numbers a method in place of an attribute; `parameter` is encoded."""
        self._method = method
        self._parameter = parameter
        self._invoke = _PRIORITY | invoke & 0x0F
        self.answers: list[Answer] = []

    def encode(self) -> bytes:
        """Action-Request-Normal."""
        return bytes((_ACTION_REQUEST, _NORMAL, self._invoke)) + self._method.name() + b"\x01" + self._parameter

    def receive(self, apdu: bytes) -> None:
        """Raises `ServiceRefused`, `RemoteProtocolError`."""
        raise_if_refused(apdu)
        reader = Reader(apdu)
        tag = reader.octet()
        if tag != _ACTION_RESPONSE or reader.octet() != _NORMAL or reader.octet() & 0x0F != self._invoke & 0x0F:
            raise RemoteProtocolError("no answer to an ACTION")
        if result := reader.octet():
            self.answers = [Denied(result)]
        else:
            self.answers = [_result(reader) if reader.octet() else None]


def _join(blocks: bytearray, block: bytes, *, last: bool) -> None:
    blocks += block
    if len(blocks) > MAX_ANSWER:
        raise RemoteProtocolError(f"an answer is longer than {MAX_ANSWER} octets")
    if not block and not last:
        raise RemoteProtocolError("a block without data that is not the last")


def _result(reader: Reader) -> Answer:
    """Get-Data-Result and the like: a choice of data (0) or data-access-error (1)."""
    choice = reader.octet()
    if choice == 0:
        return reader.value()
    if choice == 1:
        return Denied(reader.octet())
    raise RemoteProtocolError(f"a result of the unknown choice {choice}")


def raise_if_refused(apdu: bytes) -> None:
    """Raises `ServiceRefused` where the APDU is an exception or a confirmed service error."""
    reader = Reader(apdu)
    tag = reader.octet()
    if tag == _EXCEPTION:
        raise ServiceRefused(reader.octet(), reader.octet())
    if tag == _SERVICE_ERROR:
        reader.octet()
        raise ServiceRefused(reader.octet(), reader.octet())
