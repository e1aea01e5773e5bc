"""`q` since framework version 2 (§4.2): a rowmatch expression.

expr := and ('or' and)*          and := not ('and' not)*          not := 'not'? prim
prim := '(' expr ')' | operand pred | op value                    the last form takes the previous operand again
pred := op value | ['not'] 'like' value | ['not'] 'in' '(' value (',' value)* ')'
      | ['not'] 'between' value 'and' value | 'is' ['not'] 'null'
operand := attr | ('upper' | 'lower') '(' attr ')'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mts_gateway.warranty.query_tree import (
    MAX_DEPTH,
    Among,
    Between,
    Compare,
    IsNull,
    Like,
    Node,
    Not,
    Operand,
    QuerySyntax,
    either,
    every,
)

KEYWORDS = frozenset({"and", "or", "not", "like", "in", "between", "is", "null"})

# A "+" that was sent as such comes as a space; within a timestamp it cannot be meant as one.
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<operator><>|!=|<=|>=|=|<|>)
      | (?P<mark>[(),])
      | '(?P<single>(?:[^']|'')*)'
      | "(?P<double>[^"]*)"
      | (?P<word>\d{4}-\d\d-\d\dT[\d:.]+[ ]\d\d:\d\d(?![A-Za-z0-9_.:+-]) | [A-Za-z0-9_.:+-]+)
    )""",
    re.VERBOSE | re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int

    @property
    def keyword(self) -> str | None:
        word = self.text.lower()
        return word if self.kind == "word" and word in KEYWORDS else None


def parse(text: str) -> Node:
    """The expression. Raises `QuerySyntax`."""
    parser = _Parser(_tokens(text))
    node = parser.expression(0)
    parser.end()
    return node


def _tokens(text: str) -> list[_Token]:
    tokens, place, last = [], 0, len(text.rstrip(_SPACE))
    while place < last:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise QuerySyntax(place, "a name, a value or an operator")
        tokens.append(_Token(found.lastgroup, _unquoted(found), place))
        place = found.end()
    return [*tokens, _Token("end", "", last)]


def _unquoted(found: re.Match[str]) -> str:
    text = found[found.lastgroup or 0]
    return text.replace("''", "'") if found.lastgroup == "single" else text


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._previous: Operand | None = None

    def expression(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._expected("less nesting")
        return either(self._joined("or", lambda: every(self._joined("and", lambda: self._negation(depth)))))

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._expected("the end, 'and' or 'or'")

    def _joined(self, keyword: str, part: Callable[[], Node]) -> list[Node]:
        parts = [part()]
        while self._take_keyword(keyword):
            parts.append(part())
        return parts

    def _negation(self, depth: int) -> Node:
        return Not(self._primary(depth)) if self._take_keyword("not") else self._primary(depth)

    def _primary(self, depth: int) -> Node:
        if self._take("mark", "("):
            node = self.expression(depth + 1)
            self._need_mark(")")
            return node
        if self._token.kind != "operator":
            self._previous = self._operand()
        if self._previous is None:
            raise self._expected("an attribute")
        return self._predicate(self._previous)

    def _operand(self) -> Operand:
        name = self._name()
        if name.lower() in ("upper", "lower") and self._take("mark", "("):
            inner = self._name()
            self._need_mark(")")
            return Operand(inner, name.lower())
        return Operand(name)

    def _predicate(self, operand: Operand) -> Node:
        if self._token.kind == "operator":
            return Compare(operand, self._next().text, self._value())
        if self._take_keyword("is"):
            negated = self._take_keyword("not")
            self._need_keyword("null")
            return IsNull(operand, negated)
        negated = self._take_keyword("not")
        if self._take_keyword("like"):
            return Like(operand, self._value(), negated)
        if self._take_keyword("in"):
            return Among(operand, self._list(), negated)
        if self._take_keyword("between"):
            low = self._value()
            self._need_keyword("and")
            return Between(operand, low, self._value(), negated)
        raise self._expected("an operator")

    def _list(self) -> tuple[str, ...]:
        self._need_mark("(")
        values = [self._value()]
        while self._take("mark", ","):
            values.append(self._value())
        self._need_mark(")")
        return tuple(values)

    def _value(self) -> str:
        if self._token.kind not in ("single", "double", "word") or self._token.keyword:
            raise self._expected("a value")
        return self._next().text

    def _name(self) -> str:
        if self._token.kind != "word" or self._token.keyword or not _NAME.fullmatch(self._token.text):
            raise self._expected("an attribute")
        return self._next().text

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._token
        self._at += 1
        return token

    def _take(self, kind: str, text: str) -> bool:
        taken = (self._token.kind, self._token.text) == (kind, text)
        self._at += taken
        return taken

    def _take_keyword(self, keyword: str) -> bool:
        taken = self._token.keyword == keyword
        self._at += taken
        return taken

    def _need_mark(self, mark: str) -> None:
        if not self._take("mark", mark):
            raise self._expected(repr(mark))

    def _need_keyword(self, keyword: str) -> None:
        if not self._take_keyword(keyword):
            raise self._expected(repr(keyword))

    def _expected(self, what: str) -> QuerySyntax:
        return QuerySyntax(self._token.place, what)
