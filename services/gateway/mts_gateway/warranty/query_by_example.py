"""`q` of framework version 1 (§4.1): query by example.

    clauses joined by ';' (and)                clause := term (('and' | 'or') term)*
    term := attr op value | op value | attr value | attr 'is' ['not'] 'null'

`op value` takes the attribute of the term before. `attr value` is equality; it, and `=`, are a pattern where the value
has a wildcard. A value stands in quotes, or runs to the next ';', 'and', 'or'.
"""

from __future__ import annotations

import re

from mts_gateway.warranty.query_tree import (
    Compare,
    IsNull,
    Like,
    Node,
    Operand,
    QuerySyntax,
    either,
    every,
)

_SPACES = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r"<>|!=|<=|>=|=|<|>|like(?=[\s'\"])", re.IGNORECASE)
_JOIN = re.compile(r"(and|or)(?=[\s<>=!]|$)", re.IGNORECASE)
_IS_NULL = re.compile(r"is\s+(not\s+)?null(?=\s|;|$)", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"([^\"]*)\"")
# One space alone is looked at before a word: a run of them would be looked at from each of its places.
_BARE = re.compile(r"[^;'\"]*?(?=;|$|\s(?:and|or)(?:[\s<>=!]|$))", re.IGNORECASE)
_OF_ROWMATCH = re.compile(r"(?:in|between|not|is|like)(?=[\s(]|$)", re.IGNORECASE)


def parse(text: str) -> Node:
    """The expression. Raises `QuerySyntax`."""
    return _Parser(text).clauses()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._previous: Operand | None = None

    def clauses(self) -> Node:
        clauses = [self._clause()]
        while self._at < len(self._text) and self._text[self._at] == ";":
            self._at += 1
            clauses.append(self._clause())
        if self._at < len(self._text):
            raise self._expected("';', 'and' or 'or'")
        return every(clauses)

    def _clause(self) -> Node:
        """`and` binds tighter than `or`."""
        choices = [[self._term()]]
        while join := self._take(_JOIN):
            if join[1].lower() == "or":
                choices.append([])
            choices[-1].append(self._term())
        return either([every(terms) for terms in choices])

    def _term(self) -> Node:
        self._skip()
        if not _OPERATOR.match(self._text, self._at):
            name = self._take(_NAME)
            if name is None:
                raise self._expected("an attribute")
            self._previous = Operand(name[0])
        if self._previous is None:
            raise self._expected("an attribute")
        return self._predicate(self._previous)

    def _predicate(self, operand: Operand) -> Node:
        if null := self._take(_IS_NULL):
            return IsNull(operand, negated=null[1] is not None)
        operator = self._take(_OPERATOR)
        if operator is None and (
            _OF_ROWMATCH.match(self._text, self._at) or not self._text[self._at - 1 : self._at].isspace()
        ):
            raise self._expected("an operator")
        value = self._value()
        symbol = operator[0].lower() if operator else "="
        if symbol == "like" or (symbol == "=" and ("*" in value or "%" in value)):
            return Like(operand, value)
        return Compare(operand, symbol, value)

    def _value(self) -> str:
        quoted = self._take(_QUOTED)
        if quoted:
            return quoted[2] if quoted[1] is None else quoted[1].replace("''", "'")
        bare = self._take(_BARE)
        if not bare or not bare[0].strip():
            raise self._expected("a value")
        return bare[0].strip()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What stands here, with the spaces round it passed over."""
        self._skip()
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
            self._skip()
        return found

    def _skip(self) -> None:
        found = _SPACES.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _expected(self, what: str) -> QuerySyntax:
        return QuerySyntax(self._at, what)
