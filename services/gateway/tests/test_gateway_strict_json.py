"""What the gateway takes for JSON."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_gateway.strict_json import MAX_DEPTH, MalformedBody, Members, flaw, is_storable, parse


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} {}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e309}',
        b'{"a": -1e309}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": 1e-99999999999999999999}',
        b'{"a": 01}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse(body)


def test_a_refusal_never_repeats_the_body() -> None:
    with pytest.raises(MalformedBody) as refusal:
        parse(b'{"password": "SECRET", }')
    assert "SECRET" not in str(refusal.value)


def test_an_object_keeps_every_member_as_written() -> None:
    assert parse(b'{"a": 1, "A": 2, "a": [{"b": null}]}') == Members(
        [("a", 1), ("A", 2), ("a", [Members([("b", None)])])]
    )


def test_a_number_with_a_fraction_is_exact() -> None:
    assert parse(b"[0.10, 1e1, 7]") == [Decimal("0.10"), Decimal("1e1"), 7]


@pytest.mark.parametrize(
    ("text", "storable"),
    [("plain", True), ("Zähler 電力 😀", True), ("a\x00b", False), ("half \ud83d", False), ("\udc00", False)],
)
def test_only_text_that_can_be_stored_is_storable(text: str, storable: bool) -> None:
    assert is_storable(text) is storable


def test_a_flaw_is_found_however_deep_it_stands() -> None:
    assert flaw(parse(b'{"a": [{"b": "\\u0000"}]}')) == "holds a NUL or an unpaired surrogate"
    assert flaw(parse(b'{"a": [{"\\ud800": 1}]}')) == "holds a NUL or an unpaired surrogate"
    assert flaw(parse(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))) is None
    assert flaw(parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))) == f"is nested more than {MAX_DEPTH} deep"


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        parse(body)
