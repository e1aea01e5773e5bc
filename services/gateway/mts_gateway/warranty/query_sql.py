"""A `q` as a condition of SQL: columns from the table of attributes, values as bound parameters.

The one place beside `selection` where SQL is put together: a client's expression has no fixed form. Only fragments that
stand here are put together, never a client's text: its names are looked up, its values are bound.
"""

from __future__ import annotations

from mts_gateway.warranty.faults import Code, bad, unknown_name
from mts_gateway.warranty.literals import Value, WrongLiteral, read_literal
from mts_gateway.warranty.query_tree import Among, Between, Compare, Either, Every, IsNull, Like, Node, Not, Operand
from mts_gateway.warranty.resources import Attribute, Kind, Resource

_TYPES = {
    Kind.STRING: "text",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamptz",
}
_FUNCTIONS = {"upper": "upper", "lower": "lower"}
_OPERATORS = {"=": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Bound:
    """The parameters of a statement, in their order."""

    def __init__(self, *first: object) -> None:
        self.values: list[object] = list(first)

    def add(self, value: object, sql_type: str) -> str:
        """A place for one more value."""
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"


def column(attribute: Attribute) -> str:
    """The attribute's column of its resource's statement; texts are compared character by character."""
    return f'item."{attribute.name}"' + (' COLLATE "C"' if attribute.kind is Kind.STRING else "")


def bind(attribute: Attribute, value: Value, bound: Bound) -> str:
    """A place for a value of this attribute."""
    sql_type = _TYPES.get(attribute.kind)
    return bound.add(value, sql_type or ("bigint" if isinstance(value, int) else "numeric"))


def condition(node: Node, resource: Resource, bound: Bound) -> str:
    """The expression as a condition on `item`. Raises `Fault` for a name that there is not, or a value of no use."""
    return _Writer(resource, bound).write(node)


class _Writer:
    def __init__(self, resource: Resource, bound: Bound) -> None:
        self._resource = resource
        self._bound = bound

    def write(self, node: Node) -> str:
        match node:
            case Every(terms):
                return "(" + " AND ".join(map(self.write, terms)) + ")"
            case Either(terms):
                return "(" + " OR ".join(map(self.write, terms)) + ")"
            case Not(term):
                return f"(NOT {self.write(term)})"
            case Like():
                return self._like(node)
        attribute, left = self._operand(node.operand)
        match node:
            case Compare(_, operator, value):
                return f"({left} {_OPERATORS[operator]} {self._value(attribute, value)})"
            case Among(_, values, negated):
                places = ", ".join(self._value(attribute, value) for value in values)
                return f"({left} {_not(negated)}IN ({places}))"
            case Between(_, low, high, negated):
                places = f"{self._value(attribute, low)} AND {self._value(attribute, high)}"
                return f"({left} {_not(negated)}BETWEEN {places})"
            case IsNull(_, negated):
                return f"({left} IS {_not(negated)}NULL)"

    def _like(self, like: Like) -> str:
        attribute, left = self._operand(like.operand)
        if attribute.kind is not Kind.STRING:
            raise bad(Code.WRONG_TYPE, f"q: {like.pattern[:100]!r} is a pattern, and {attribute.name} is no text")
        place = self._value(attribute, sql_pattern(like.pattern))
        return f"({left} {_not(like.negated)}LIKE {place})"

    def _operand(self, operand: Operand) -> tuple[Attribute, str]:
        attribute = self._resource.find(operand.name)
        if attribute is None:
            raise unknown_name(operand.name, "q")
        if operand.function is None:
            return attribute, column(attribute)
        if attribute.kind is not Kind.STRING:
            raise bad(Code.WRONG_TYPE, f"q: {operand.function}({attribute.name}): the attribute is no text")
        # In the collation "C" only ASCII has cases.
        return attribute, f'{_FUNCTIONS[operand.function]}(item."{attribute.name}") COLLATE "C"'

    def _value(self, attribute: Attribute, text: str) -> str:
        return bind(attribute, literal(attribute, text, "q"), self._bound)


def literal(attribute: Attribute, text: str, where: str) -> Value:
    """The value that `text` is of this attribute. Raises `Fault`."""
    try:
        return read_literal(attribute, text)
    except WrongLiteral as error:
        raise bad(Code.WRONG_TYPE, f"{where}: {error}") from None


def sql_pattern(pattern: str) -> str:
    """A pattern of a client as LIKE reads it."""
    written: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            taken = next(characters, "\\")
            written.append(f"\\{taken}" if taken in "%_\\" else taken)
        else:
            written.append("%" if character == "*" else character)
    return "".join(written)


def _not(negated: bool) -> str:
    return "NOT " if negated else ""
