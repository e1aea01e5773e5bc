"""The two grammars of `q` (§4.1, §4.2) without a server: what is printed is parsed back, and garbage is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_gateway.warranty import query_by_example, rowmatch
from mts_gateway.warranty.faults import Fault
from mts_gateway.warranty.query_sql import Bound, condition, sql_pattern
from mts_gateway.warranty.query_tree import (
    OPERATORS,
    Among,
    Between,
    Compare,
    Either,
    Every,
    IsNull,
    Like,
    Node,
    Not,
    Operand,
    QuerySyntax,
)
from mts_gateway.warranty.resources import CONTRACTS, METERS, Resource

CODE = Operand("MeterCode")
END = Operand("MeterEndValue")


# --- rowmatch


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MeterCode='X'", Compare(CODE, "=", "X")),
        ('MeterCode = "it\'s"', Compare(CODE, "=", "it's")),
        ("MeterCode='it''s'", Compare(CODE, "=", "it's")),
        ("MeterCode=''", Compare(CODE, "=", "")),
        ("MeterCode=NY", Compare(CODE, "=", "NY")),
        ("MeterEndValue<>-1.5e3", Compare(END, "<>", "-1.5e3")),
        ("CreationDate>2022-10-28T15:58:19 00:00", Compare(Operand("CreationDate"), ">", "2022-10-28T15:58:19 00:00")),
        ("MeterCode not like 'SA*'", Like(CODE, "SA*", negated=True)),
        ("MeterEndValue IN (1, 2)", Among(END, ("1", "2"))),
        ("MeterEndValue not in ('1')", Among(END, ("1",), negated=True)),
        ("MeterEndValue BETWEEN 1 AND 2", Between(END, "1", "2")),
        ("MeterEndValue not between 1 and 2", Between(END, "1", "2", negated=True)),
        ("MeterEndValue is null", IsNull(END)),
        ("MeterEndValue IS NOT NULL", IsNull(END, negated=True)),
        ("upper(MeterCode) = 'X'", Compare(Operand("MeterCode", "upper"), "=", "X")),
        ("LOWER( MeterCode )='x'", Compare(Operand("MeterCode", "lower"), "=", "x")),
        ("not MeterCode=1", Not(Compare(CODE, "=", "1"))),
        ("(MeterEndValue>=10 and <= 30)", Every((Compare(END, ">=", "10"), Compare(END, "<=", "30")))),
        (
            "MeterCode=1 or MeterCode=2 and not (MeterCode=3 or = 4)",
            Either(
                (
                    Compare(CODE, "=", "1"),
                    Every(
                        (
                            Compare(CODE, "=", "2"),
                            Not(Either((Compare(CODE, "=", "3"), Compare(CODE, "=", "4")))),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_a_rowmatch_expression_is_read(text: str, expected: Node) -> None:
    assert rowmatch.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "MeterCode",
        "MeterCode=",
        "=1",
        "MeterCode=1;MeterCode=2",
        "MeterCode=1 and",
        "MeterCode=1 MeterCode=2",
        "MeterCode='x",
        'MeterCode="x',
        "(MeterCode=1",
        "MeterCode=1)",
        "()",
        "MeterCode in ()",
        "MeterCode in (1,)",
        "MeterCode in 1",
        "MeterCode between 1",
        "MeterCode between 1 or 2",
        "MeterCode is",
        "MeterCode not 1",
        "not not MeterCode=1",
        "MeterCode=and",
        "MeterCode = null",
        "'MeterCode'=1",
        "1=1",
        "upper(MeterCode='x')",
        "trim(MeterCode)='x'",
        "MeterCode==1",
        "MeterCode=a b",
        "MeterCode=é",
        "MeterCode=1 -- x",
        "MeterCode=1/*x*/",
        "(" * 100 + "MeterCode=1" + ")" * 100,
    ],
)
def test_what_is_no_rowmatch_expression_is_refused(text: str) -> None:
    with pytest.raises(QuerySyntax, match="q: at character"):
        rowmatch.parse(text)


# --- query by example


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MeterCode=X", Compare(CODE, "=", "X")),
        ("MeterCode X", Compare(CODE, "=", "X")),
        ("MeterCode NEW YORK ", Compare(CODE, "=", "NEW YORK")),
        ("MeterCode SA*", Like(CODE, "SA*")),
        ("MeterCode=SA%", Like(CODE, "SA%")),
        ("MeterCode LIKE 'S_'", Like(CODE, "S_")),
        ("MeterCode='a;b or c'", Compare(CODE, "=", "a;b or c")),
        ("MeterCode!=SA*", Compare(CODE, "!=", "SA*")),
        ("MeterEndValue is null", IsNull(END)),
        ("MeterEndValue IS NOT NULL", IsNull(END, negated=True)),
        ("MeterCode ORANGE", Compare(CODE, "=", "ORANGE")),
        ("MeterCode likely", Compare(CODE, "=", "likely")),
        ("MeterEndValue>=10 and <= 30", Every((Compare(END, ">=", "10"), Compare(END, "<=", "30")))),
        ("MeterCode=1;MeterEndValue 2", Every((Compare(CODE, "=", "1"), Compare(END, "=", "2")))),
        (
            "MeterCode=1 or MeterCode=2 and MeterEndValue>3;MeterEndValue<9",
            Every(
                (
                    Either((Compare(CODE, "=", "1"), Every((Compare(CODE, "=", "2"), Compare(END, ">", "3"))))),
                    Compare(END, "<", "9"),
                )
            ),
        ),
        ("MeterCode='x'OR MeterCode=y", Either((Compare(CODE, "=", "x"), Compare(CODE, "=", "y")))),
    ],
)
def test_a_query_by_example_is_read(text: str, expected: Node) -> None:
    assert query_by_example.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "MeterCode",
        "MeterCode=",
        "=1",
        "MeterCode=1;",
        ";MeterCode=1",
        "MeterCode=1 and",
        "MeterCode='x",
        "MeterCode=it's",
        "MeterCode='x' y",
        "MeterCode in (1,2)",
        "MeterCode between 1 and 2",
        "MeterCode not like 'x'",
        "MeterCode*",
        "'MeterCode'=1",
        "(MeterCode=1)",
    ],
)
def test_what_is_no_query_by_example_is_refused(text: str) -> None:
    with pytest.raises(QuerySyntax, match="q: at character"):
        query_by_example.parse(text)


# --- round trips

names = st.sampled_from([attribute.name for attribute in METERS.attributes])
operands = st.builds(Operand, names, st.sampled_from([None, "upper", "lower"]))
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
operators = st.sampled_from(OPERATORS)
flags = st.booleans()


def combined(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, children) | st.builds(Every, several) | st.builds(Either, several)


trees: st.SearchStrategy[Node] = st.recursive(
    st.builds(Compare, operands, operators, values)
    | st.builds(Like, operands, values, flags)
    | st.builds(Among, operands, st.lists(values, min_size=1, max_size=3).map(tuple), flags)
    | st.builds(Between, operands, values, values, flags)
    | st.builds(IsNull, operands, flags),
    combined,
    max_leaves=12,
)

plain = st.builds(Operand, names)
terms = (
    st.builds(Compare, plain, operators.filter(lambda operator: operator != "="), values)
    | st.builds(Compare, plain, st.just("="), values.filter(lambda value: not re.search("[*%]", value)))
    | st.builds(Like, plain, values)
    | st.builds(IsNull, plain, flags)
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def rowmatch_text(node: Node) -> str:
    match node:
        case Every(parts):
            return " and ".join(f"({rowmatch_text(part)})" for part in parts)
        case Either(parts):
            return " OR ".join(f"({rowmatch_text(part)})" for part in parts)
        case Not(part):
            return f"not ({rowmatch_text(part)})"
    operand = node.operand
    left = operand.name if operand.function is None else f"{operand.function}({operand.name})"
    match node:
        case Compare(_, operator, value):
            return f"{left}{operator}{quoted(value)}"
        case Like(_, pattern, negated):
            return f"{left} {'not ' * negated}like {quoted(pattern)}"
        case Among(_, members, negated):
            return f"{left} {'not ' * negated}in ({', '.join(map(quoted, members))})"
        case Between(_, low, high, negated):
            return f"{left} {'not ' * negated}between {quoted(low)} and {quoted(high)}"
        case IsNull(_, negated):
            return f"{left} is {'not ' * negated}null"


def example_text(node: Any) -> str:
    match node:
        case Every(parts):
            return " and ".join(map(example_text, parts))
        case Either(parts):
            return " or ".join(map(example_text, parts))
        case Compare(operand, operator, value):
            return f"{operand.name} {operator} {quoted(value)}"
        case Like(operand, pattern):
            return f"{operand.name} like {quoted(pattern)}"
        case _:
            return f"{node.operand.name} is {'not ' * node.negated}null"


@given(trees)
def test_a_rowmatch_expression_that_is_printed_is_parsed_back(tree: Node) -> None:
    assert rowmatch.parse(rowmatch_text(tree)) == tree


@given(st.lists(st.lists(st.lists(terms, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_query_by_example_that_is_printed_is_parsed_back(clauses: list[list[list[Node]]]) -> None:
    def joined(kind: Any, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    trees = [joined(Either, [joined(Every, choice) for choice in clause]) for clause in clauses]
    assert query_by_example.parse(";".join(map(example_text, trees))) == joined(Every, trees)


fragments = st.sampled_from(
    [
        *"()',;\"=<>!* \\%_+",
        "and ",
        " or ",
        "not ",
        "like ",
        " in ",
        "between ",
        "is ",
        "null",
        "MeterCode",
        "upper",
        "1",
    ]
)
garbage = st.text(max_size=40) | st.lists(fragments, max_size=25).map("".join)


def sql_of(node: Node, resource: Resource) -> str:
    """The condition, or nothing where a value is not of its attribute's type."""
    try:
        return condition(node, resource, Bound())
    except Fault:
        return ""


@given(garbage)
def test_garbage_is_parsed_or_refused_and_nothing_else(text: str) -> None:
    for parse in (rowmatch.parse, query_by_example.parse):
        try:
            node = parse(text)
        except QuerySyntax:
            continue
        for resource in (METERS, CONTRACTS):
            sql_of(node, resource)


# --- SQL


@given(trees)
def test_no_text_of_a_client_stands_in_the_sql(tree: Node) -> None:
    sql = sql_of(tree, METERS)
    columns = [f'item."{attribute.name}"' for attribute in METERS.attributes]
    for column in columns:
        sql = sql.replace(column, "column")
    sql = re.sub(r"\$[0-9]+::(text|bigint|numeric|boolean|date|timestamptz)", "value", sql)
    words = set(re.findall(r"[^\s(),]+", sql))
    known = {"column", "value", "COLLATE", '"C"', "upper", "lower", "AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE"}
    assert words <= known | {"BETWEEN", "=", "<>", "<", "<=", ">", ">="}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("SA*", "SA%"),
        ("S%_", "S%_"),
        (r"100\%", r"100\%"),
        (r"\*", "*"),
        (r"\\", r"\\"),
        ("a\\", r"a\\"),
        (r"\a\_", r"a\_"),
    ],
)
def test_a_pattern_has_its_wildcards_and_escapes(pattern: str, expected: str) -> None:
    assert sql_pattern(pattern) == expected


def test_long_queries_are_read_in_time_that_grows_with_their_length() -> None:
    for text in (" " * 30_000 + "x", "MeterCode " + " " * 30_000, "MeterCode x" + " " * 30_000 + "'", "'" * 29_999):
        for parse in (rowmatch.parse, query_by_example.parse):
            with pytest.raises(QuerySyntax):
                parse(text)
    many = " or ".join(["MeterId=1"] * 2500)
    assert rowmatch.parse(many) == query_by_example.parse(many)
