"""What a `q` says, in either grammar: names and values still as they were written."""

from __future__ import annotations

from dataclasses import dataclass

OPERATORS = ("=", "!=", "<>", "<", "<=", ">", ">=")
MAX_DEPTH = 30
"""How deep parentheses may be nested."""


class QuerySyntax(ValueError):
    """The text is no expression of its grammar; says where."""

    def __init__(self, place: int, expected: str) -> None:
        super().__init__(f"q: at character {place + 1}: {expected} expected")


@dataclass(frozen=True, slots=True)
class Operand:
    """An attribute, or `function` (upper, lower) of it."""

    name: str
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` is one of `OPERATORS`."""

    operand: Operand
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Like:
    """In the pattern `%` and `*` are any run of characters, `_` is one, and a backslash takes the next as it is."""

    operand: Operand
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Among:
    """One of some values."""

    operand: Operand
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """From `low` to `high`, both included."""

    operand: Operand
    low: str
    high: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    """There is no value."""

    operand: Operand
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    term: Node


@dataclass(frozen=True, slots=True)
class Every:
    """All of at least two terms."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of at least two terms."""

    terms: tuple[Node, ...]


Node = Compare | Like | Among | Between | IsNull | Not | Every | Either


def every(terms: list[Node]) -> Node:
    """All of the terms, of which there is at least one."""
    return terms[0] if len(terms) == 1 else Every(tuple(terms))


def either(terms: list[Node]) -> Node:
    """One of the terms, of which there is at least one."""
    return terms[0] if len(terms) == 1 else Either(tuple(terms))
