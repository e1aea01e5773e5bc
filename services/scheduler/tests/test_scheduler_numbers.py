"""The filter of the numbers that a bank of modems may dial (modems.md section 1)."""

from __future__ import annotations

import re

import pytest

from mts_scheduler.numbers import FilterFault, admission

MOBILE, LONDON, PREMIUM, FRENCH = "+447700900001", "+442079460001", "+448195550001", "+33123456789"


@pytest.mark.parametrize(
    ("number_filter", "admitted"),
    [
        ("", {MOBILE, LONDON, PREMIUM, FRENCH}),
        (" ; ", {MOBILE, LONDON, PREMIUM, FRENCH}),
        ("-07*", {LONDON, PREMIUM, FRENCH}),
        ("08*; -081*", set()),
        ("02*;08*; -081*", {LONDON}),
        ("07700900001", {MOBILE}),
        ("-07700900001", {LONDON, PREMIUM, FRENCH}),
        ("077", set()),
        ("+33*", {FRENCH}),
        ("0033*", {FRENCH}),
        ("00*;-0044*", {FRENCH}),
        ("*;-+33*", {MOBILE, LONDON, PREMIUM}),
        ("0*", {MOBILE, LONDON, PREMIUM}),
        ("-*", set()),
    ],
)
def test_a_filter_admits_the_numbers_that_it_says(number_filter: str, admitted: set[str]) -> None:
    rules = admission(number_filter, "44")

    def matches(number: str, pattern: str) -> bool:
        return re.fullmatch(re.escape(pattern).replace("%", ".*"), number) is not None

    found = {
        number
        for number in (MOBILE, LONDON, PREMIUM, FRENCH)
        if any(matches(number, pattern) for pattern in rules.allowed)
        and not any(matches(number, pattern) for pattern in rules.forbidden)
    }
    assert found == admitted


def test_national_numbers_belong_to_the_country_that_is_set() -> None:
    assert admission("-06*", "33").forbidden == ("+336%",)


@pytest.mark.parametrize("number_filter", ["all", "07*1", "-", "--07*", "07%", "07 *", "+"])
def test_what_is_not_of_the_grammar_is_refused(number_filter: str) -> None:
    with pytest.raises(FilterFault):
        admission(number_filter, "44")
