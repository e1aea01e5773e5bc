"""Bodies of writes as values of attributes (§5, §6, §8): all faults of a body at once, each with its JSON pointer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mts_gateway.strict_json import Members, flaw
from mts_gateway.warranty.faults import Code, Detail, Fault, bad
from mts_gateway.warranty.literals import LARGEST_INTEGER, Value, read_date
from mts_gateway.warranty.resources import CONTRACTS, METERS, Attribute, Change, Kind, Resource

LARGEST_NUMBER = Decimal(10) ** 30
MOST_DECIMALS = 20
MOST_CHILDREN = 500

Values = dict[str, Value | None]
"""What is to be set, by the names of attributes."""

_FLAGS = {"Y": True, "N": False}
_IGNORED = "CalculatedExpirationDate"


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be made, with its children."""

    values: Values
    children: tuple[Values, ...] = ()


class _Wrong(Exception):
    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def read_update(body: object, resource: Resource) -> Values:
    """The values of a PATCH. Raises `Fault` with all that is wrong."""
    faults: list[Detail] = []
    values = _read(body, resource, "", faults, creating=False).values
    _raise_any(faults)
    return values


def read_new(body: object, resource: Resource) -> NewItem:
    """The item of a POST. Its children have what they must; for itself see `check_complete`. Raises `Fault`."""
    faults: list[Detail] = []
    item = _read(body, resource, "", faults, creating=True)
    _raise_any(faults)
    return item


def check_complete(values: Values, resource: Resource) -> None:
    """That a new item has all that is required. Raises `Fault`."""
    _raise_any(_missing(values, resource, ""))


def bounded(attribute: Attribute, value: Value | None, where: str) -> Value | None:
    """A value that came as a literal, if a body might have it too. Raises `Fault`."""
    try:
        return value if isinstance(value, date) else _value(attribute, value)
    except _Wrong as wrong:
        raise bad(wrong.code, f"{where}: {wrong.text}") from None


def _missing(given: Collection[str], resource: Resource, path: str) -> list[Detail]:
    if resource is METERS:
        names = [] if "MeterId" in given or "MeterCode" in given else ["MeterId"]
    else:
        names = [each.name for each in resource.attributes if each.required and each.name not in given]
    return [Detail(f"{name} is required", Code.REQUIRED, f"{path}/{name}") for name in names]


def _raise_any(faults: list[Detail]) -> None:
    if faults:
        raise Fault(400, faults)


def _read(body: object, resource: Resource, path: str, faults: list[Detail], *, creating: bool) -> NewItem:
    values: Values = {}
    children: list[Values] = []
    if not isinstance(body, Members):
        faults.append(Detail("a JSON object is expected", Code.BODY, path))
        return NewItem(values)
    seen: set[str] = set()
    for name, given in body:
        here = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        try:
            _check_member(name, given, seen)
            if creating and resource.child is not None and name == resource.child.name:
                children += _read_children(given, resource.child, here, faults)
            elif name != _IGNORED or resource is not CONTRACTS:
                values[name] = _value(_settable(name, resource, creating=creating), given)
        except _Wrong as wrong:
            faults.append(Detail(wrong.text, wrong.code, here))
    return NewItem(values, tuple(children))


def _check_member(name: str, given: object, seen: set[str]) -> None:
    if name in seen:
        raise _Wrong(Code.BODY, f"{name} is given twice")
    seen.add(name)
    fault = flaw(name) or flaw(given)
    if fault:
        raise _Wrong(Code.WRONG_TYPE, f"{name!a} {fault}")


def _read_children(given: object, resource: Resource, path: str, faults: list[Detail]) -> list[Values]:
    if isinstance(given, Members) or not isinstance(given, list):
        raise _Wrong(Code.WRONG_TYPE, f"{resource.name} is an array")
    if len(given) > MOST_CHILDREN:
        raise _Wrong(Code.OUT_OF_RANGE, f"{resource.name} has more than {MOST_CHILDREN} items")
    return [_read_child(child, resource, f"{path}/{place}", faults) for place, child in enumerate(given)]


def _read_child(child: object, resource: Resource, path: str, faults: list[Detail]) -> Values:
    values = _read(child, resource, path, faults, creating=True).values
    if isinstance(child, Members):
        faults += _missing([name for name, _ in child], resource, path)
    return values


def _settable(name: str, resource: Resource, *, creating: bool) -> Attribute:
    attribute = resource.find(name)
    if attribute is None and (resource.child is None or name != resource.child.name):
        raise _Wrong(Code.UNKNOWN_NAME, f"there is no attribute {name[:100]!r}")
    if attribute is None or attribute.change is Change.NEVER or (attribute.change is Change.ON_INSERT and not creating):
        raise _Wrong(Code.READ_ONLY, f"{name} cannot be set")
    return attribute


def _value(attribute: Attribute, given: object) -> Value | None:
    if given is None:
        if not attribute.nullable:
            raise _Wrong(Code.REQUIRED, f"{attribute.name} is required and cannot be null")
        return None
    match attribute.kind:
        case Kind.STRING:
            return _text(attribute, given)
        case Kind.BOOLEAN:
            return _flag(attribute, given)
        case Kind.DATE:
            return _date(attribute, given)
        case _:
            return _number(attribute, given)


def _text(attribute: Attribute, given: object) -> str:
    if not isinstance(given, str):
        raise _Wrong(Code.WRONG_TYPE, f"{attribute.name} is a string")
    if attribute.required and not given:
        raise _Wrong(Code.REQUIRED, f"{attribute.name} is required and cannot be empty")
    if attribute.length is not None and len(given) > attribute.length:
        raise _Wrong(Code.OUT_OF_RANGE, f"{attribute.name} has more than {attribute.length} characters")
    if attribute.choices and given not in attribute.choices:
        raise _Wrong(Code.OUT_OF_RANGE, f"{attribute.name} is one of {', '.join(attribute.choices)}")
    return given


def _flag(attribute: Attribute, given: object) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given in _FLAGS:
        return _FLAGS[given]
    raise _Wrong(Code.WRONG_TYPE, f"{attribute.name} is true, false, 'Y' or 'N'")


def _date(attribute: Attribute, given: object) -> date:
    try:
        return read_date(given if isinstance(given, str) else "")
    except ValueError:
        raise _Wrong(Code.WRONG_TYPE, f"{attribute.name} is a date, YYYY-MM-DD") from None


def _number(attribute: Attribute, given: object) -> int | Decimal:
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise _Wrong(Code.WRONG_TYPE, f"{attribute.name} is a number")
    if attribute.kind is Kind.INTEGER:
        if isinstance(given, Decimal):
            raise _Wrong(Code.WRONG_TYPE, f"{attribute.name} is an integer")
        if abs(given) > LARGEST_INTEGER:
            raise _Wrong(Code.OUT_OF_RANGE, f"{attribute.name} has more than 64 bits")
        return given
    exact = Decimal(given)
    digits = exact.as_tuple().exponent
    if abs(exact) >= LARGEST_NUMBER or (isinstance(digits, int) and -digits > MOST_DECIMALS):
        raise _Wrong(Code.OUT_OF_RANGE, f"{attribute.name} has more than 30 digits, or {MOST_DECIMALS} decimals")
    if attribute.name == "MeterIntervalValue" and exact < 0:
        raise _Wrong(Code.OUT_OF_RANGE, f"{attribute.name} is not negative")
    return exact
