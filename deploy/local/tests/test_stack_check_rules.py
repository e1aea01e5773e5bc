"""The check of docs/*-rules.md against the tests that exist."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

PAGE = """\
# Rules

| rule | test |
|---|---|
| HTTPS only | `tests/integration/test_api.py::test_plain_http` |
| No CORS headers | `tests/integration/test_api.py::test_cors[GET]`, `tests/integration/test_api.py::test_cors[POST]` |
"""
EXISTING = {
    "tests/integration/test_api.py::test_plain_http",
    "tests/integration/test_api.py::test_cors[GET]",
    "tests/integration/test_api.py::test_cors[POST]",
}


@pytest.fixture
def checker(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("check_rules")


def test_a_page_whose_tests_all_exist_passes(checker: ModuleType) -> None:
    assert checker.check(PAGE, EXISTING) == []


def test_a_test_that_does_not_exist_is_named(checker: ModuleType) -> None:
    missing = "tests/integration/test_api.py::test_cors[POST]"
    assert checker.check(PAGE, EXISTING - {missing}) == [f"no such test: {missing} (rule: No CORS headers)"]


def test_a_rule_without_a_test_is_named(checker: ModuleType) -> None:
    assert checker.check(PAGE + "| One shape of error | |\n", EXISTING) == [
        "no test named for the rule: One shape of error"
    ]


def test_an_empty_page_does_not_pass(checker: ModuleType) -> None:
    assert checker.check("# Rules\n", EXISTING) == ["no rule found"]


def test_every_page_of_rules_is_checked(checker: ModuleType) -> None:
    assert {"mts-api-rules.md", "ctapi-rules.md"} <= {page.name for page in checker.PAGES}
