"""Reading attributes of COSEM objects by their logical names, whichever way the meter names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mts_dialler.drivers.dlms_session import DlmsSession
from mts_dialler.errors import FrameGarbled, MeterRefused
from mts_dialler.protocols.cosem.association import Conformance
from mts_dialler.protocols.cosem.services import (
    AccessResult,
    Answer,
    Attribute,
    Denied,
    Get,
    Read,
    ServiceRefused,
    ShortName,
)
from mts_dialler.protocols.cosem.values import Value

LIST_LIMIT = 32  # attributes in one question
SHORT_NAME_LIMIT = 16  # where the answer must fit one APDU
REFUSED_IN_A_ROW = 4  # questions refused as a whole, after which the meter is taken to refuse all
OBJECT_LIST = 0xFA08
_ITEM_OCTETS = 11  # of one attribute in a question; an answer's are reckoned three times as many

NOT_THERE = frozenset(
    {
        AccessResult.READ_WRITE_DENIED,
        AccessResult.OBJECT_UNDEFINED,
        AccessResult.OBJECT_CLASS_INCONSISTENT,
        AccessResult.OBJECT_UNAVAILABLE,
        AccessResult.TYPE_UNMATCHED,
        AccessResult.SCOPE_OF_ACCESS_VIOLATED,
    }
)
"""Refusals that mean that this client has no such object, not that something went wrong."""


class Item(NamedTuple):
    """An attribute; `obis` is `A.B.C.D.E`, the sixth group being 255."""

    class_id: int
    obis: str
    number: int = 2

    @property
    def octets(self) -> bytes:
        return bytes((*map(int, self.obis.split(".")), 255))


class Objects(Protocol):
    """What both ways of naming can do. `listed`: it is known what the meter has, before it is asked."""

    listed: bool

    async def open(self) -> None:
        """Whatever must be known before reading."""
        ...

    async def read(self, items: Sequence[Item]) -> list[Answer]:
        """An answer for each item; `Denied` too where the meter refuses the question."""
        ...

    async def select(self, item: Item, selector: bytes) -> Answer:
        """A part of one attribute."""
        ...

    def holds(self, item: Item) -> bool:
        """May the meter have it, as far as is known?"""
        ...


class _Refusals:
    """Ends a test in which nothing but refusals come."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def answered(self) -> None:
        self._in_a_row = 0

    def refused(self, refusal: ServiceRefused) -> Denied:
        self._in_a_row += 1
        if self._in_a_row >= REFUSED_IN_A_ROW:
            raise MeterRefused(str(refusal)) from refusal
        return Denied(AccessResult.OTHER_REASON)


class LogicalNames:
    """GET, with lists where the meter agreed to them and for as long as it answers them."""

    listed = False

    def __init__(self, session: DlmsSession) -> None:
        self._session = session
        self._lists = True
        self._refusals = _Refusals()

    async def open(self) -> None:
        """There is nothing to know."""

    async def read(self, items: Sequence[Item]) -> list[Answer]:
        answers: list[Answer] = []
        left = list(items)
        while left:
            size = self._list_size()
            answers += await self._list(left[:size]) if size > 1 and len(left) > 1 else [await self.select(left[0])]
            left = list(items[len(answers) :])
        return answers

    def _list_size(self) -> int:
        agreed = self._session.agreed
        if not self._lists or Conformance.MULTIPLE_REFERENCES not in agreed.conformance:
            return 1
        octets = _ITEM_OCTETS if Conformance.BLOCK_GET in agreed.conformance else 3 * _ITEM_OCTETS
        longest = agreed.max_pdu or 0xFFFF
        return max(1, min(LIST_LIMIT, (longest - 40) // octets))

    async def _list(self, items: Sequence[Item]) -> list[Answer]:
        """No answers where the meter turns out to refuse lists."""
        attributes = [Attribute(item.class_id, item.octets, item.number) for item in items]
        names = f"GET {items[0].obis} and {len(items) - 1} more"
        try:
            answers = await self._session.ask(lambda invoke: Get(attributes, invoke), names)
        except (ServiceRefused, FrameGarbled):
            self._lists = False
            return []
        self._refusals.answered()
        if all(isinstance(answer, Denied) and answer.code not in NOT_THERE for answer in answers):
            self._lists = False
            return []
        return list(answers)

    async def select(self, item: Item, selector: bytes = b"") -> Answer:
        attribute = Attribute(item.class_id, item.octets, item.number, selector)
        name = f"GET {item.obis} attribute {item.number}" + (" (selected)" if selector else "")
        try:
            [answer] = await self._session.ask(lambda invoke: Get([attribute], invoke), name)
        except ServiceRefused as refusal:
            return self._refusals.refused(refusal)
        self._refusals.answered()
        return answer

    def holds(self, item: Item) -> bool:  # noqa: ARG002 - a meter with logical names is asked
        return True


class ShortNames:
    """READ. The association's object list says what short name an object has; it is read once."""

    listed = True

    def __init__(self, session: DlmsSession) -> None:
        self._session = session
        self._lists = True
        self._refusals = _Refusals()
        self._names: dict[tuple[int, str], int] = {}

    async def open(self) -> None:
        """Raises `MeterRefused` if the meter gives no list."""
        try:
            [answer] = await self._session.ask(lambda _: Read([ShortName(OBJECT_LIST)]), "READ object list")
        except ServiceRefused as refusal:
            raise MeterRefused(f"the meter gave no object list: {refusal}") from refusal
        if not isinstance(answer, list):
            raise MeterRefused(f"the meter gave no object list: {answer}")
        for entry in answer:
            found = _listed(entry)
            if found is not None:
                self._names.setdefault(*found)

    async def read(self, items: Sequence[Item]) -> list[Answer]:
        left = [item for item in dict.fromkeys(items) if self.holds(item)]
        answers: dict[Item, Answer] = {}
        while left:
            part = left[: self._list_size()]
            given = await self._list(part)
            answers.update(zip(part, given, strict=False))
            left = left[len(given) :]
        return [answers.get(item, Denied(AccessResult.OBJECT_UNDEFINED)) for item in items]

    def _list_size(self) -> int:
        listed = self._lists and Conformance.MULTIPLE_REFERENCES in self._session.agreed.conformance
        return SHORT_NAME_LIMIT if listed else 1

    async def _list(self, items: Sequence[Item]) -> Sequence[Answer]:
        """No answers where the meter turns out to refuse so many."""
        names = [ShortName(name) for item in items if (name := self._name(item)) is not None]
        others = f" and {len(items) - 1} more" if items[1:] else ""
        try:
            answers = await self._session.ask(
                lambda _: Read(names), f"READ {items[0].obis} attribute {items[0].number}{others}"
            )
        except ServiceRefused as refusal:
            if len(items) == 1:
                return [self._refusals.refused(refusal)]
            self._lists = False
            return []
        self._refusals.answered()
        return answers

    async def select(self, item: Item, selector: bytes) -> Answer:
        name = self._name(item)
        if name is None:
            return Denied(AccessResult.OBJECT_UNDEFINED)
        names = [ShortName(name, selector)]
        try:
            [answer] = await self._session.ask(lambda _: Read(names), f"READ {item.obis} (selected)")
        except ServiceRefused as refusal:
            return self._refusals.refused(refusal)
        self._refusals.answered()
        return answer

    def holds(self, item: Item) -> bool:
        return self._name(item) is not None

    def _name(self, item: Item) -> int | None:
        base = self._names.get((item.class_id, item.obis))
        return None if base is None else base + 8 * (item.number - 1)


def _listed(entry: Value) -> tuple[tuple[int, str], int] | None:
    """Class and name of a list's entry, and its base name, which is sent as a signed number."""
    match entry:
        case (int(base), int(class_id), int(), bytes(obis)) if len(obis) == 6:
            return (class_id, ".".join(map(str, obis[:5]))), base & 0xFFFF
        case _:
            return None
