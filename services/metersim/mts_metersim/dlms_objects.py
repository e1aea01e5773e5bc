"""What a DLMS/COSEM meter holds: its objects by class and logical name (fact sheet dlms-cosem, section 4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from mts_metersim import axdr
from mts_metersim.axdr import Value

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER, PROFILE, CLOCK, ASSOCIATION_SN, ASSOCIATION_LN = (
    *(1, 3, 4, 5),
    *(7, 8, 12, 15),
)

Read = Callable[[], bytes]


class Refusal(IntEnum):
    """The data access results with which a meter refuses."""

    DENIED = 3
    UNDEFINED = 4
    INCONSISTENT = 9
    SCOPE = 13
    BLOCK_UNAVAILABLE = 14
    NO_LONG_GET = 16
    BLOCK_NUMBER = 19
    OTHER = 250


class AccessRefused(Exception):
    """An attribute is not given."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Selection:
    """Selective access: 1 by range, 2 by entry."""

    selector: int
    parameters: Value


class Selects(Protocol):
    """A buffer that can be read in part. Raises AccessRefused."""

    def __call__(self, selection: Selection | None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CosemObject:
    """An object: its attributes from 2 on, as they are when read; `public`: shown to the public client too."""

    class_id: int
    name: bytes
    attributes: Mapping[int, Read]
    version: int = 0
    public: bool = False
    buffer: Selects | None = field(default=None)

    def read(self, attribute: int, selection: Selection | None) -> bytes:
        """One attribute's value. Raises AccessRefused."""
        if attribute == 1:
            return axdr.octets(self.name)
        if attribute == 2 and self.buffer is not None:
            return self.buffer(selection)
        if selection is not None:
            raise AccessRefused(Refusal.SCOPE)
        if attribute not in self.attributes:
            raise AccessRefused(Refusal.DENIED)
        return self.attributes[attribute]()

    def access(self, attribute: int) -> bytes:
        """One entry of the object list's access rights: the attribute, read only, and its selectors."""
        selects = attribute == 2 and self.buffer is not None
        selectors = axdr.array([axdr.signed(1, 1), axdr.signed(2, 1)]) if selects else axdr.NULL
        return axdr.structure(axdr.signed(attribute, 1), axdr.enumerated(1), selectors)

    @property
    def attribute_numbers(self) -> list[int]:
        return sorted({1, *self.attributes, *([2] if self.buffer else [])})


def obis(text: str) -> bytes:
    """`A.B.C.D.E` with F = 255, or all six."""
    parts = [int(part) for part in text.split(".")]
    return bytes(parts if len(parts) == 6 else [*parts, 0xFF])


def scaler_unit(scaler: int, unit: int) -> bytes:
    return axdr.structure(axdr.signed(scaler, 1), axdr.enumerated(unit))


class Objects:
    """All objects of a meter, in the order of its object list."""

    def __init__(self, objects: Iterable[CosemObject]) -> None:
        self._by_name = {(held.class_id, held.name): held for held in objects}

    def __iter__(self) -> Iterator[CosemObject]:
        return iter(self._by_name.values())

    def add(self, held: CosemObject) -> None:
        self._by_name[held.class_id, held.name] = held

    def listed(self) -> bytes:
        """The object list of an association by logical names: every attribute may be read, none written."""
        return axdr.array(
            axdr.structure(
                axdr.unsigned(held.class_id, 2),
                axdr.unsigned(held.version, 1),
                axdr.octets(held.name),
                axdr.structure(axdr.array(map(held.access, held.attribute_numbers)), axdr.array([])),
            )
            for held in self
        )

    def find(self, class_id: int, name: bytes, *, public: bool) -> CosemObject:
        """Raises AccessRefused where there is none, or none for this client."""
        found = self._by_name.get((class_id, name))
        if found is None:
            known = any(held == name for _, held in self._by_name)
            raise AccessRefused(Refusal.INCONSISTENT if known else Refusal.UNDEFINED)
        if public and not found.public:
            raise AccessRefused(Refusal.DENIED)
        return found
