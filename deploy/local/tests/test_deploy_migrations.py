"""Migrations as the last release bears them: what it had applied is unchanged, and what has come since only adds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mts_stack.paths import ROOT
from mts_stack.releases import last_release, unpack

SERVICES = ("gateway", "scheduler", "results")
# What services of the last release would not bear. A file that removes what no release uses any more says so in a
# line `-- contract: the release that stopped using it`.
TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|TYPE|SCHEMA|SEQUENCE)\b"
    r"|\bRENAME\b|\bALTER\s+COLUMN\s+\w+\s+(SET\s+NOT\s+NULL|(SET\s+DATA\s+)?TYPE)\b"
    r"|\bADD\s+COLUMN\s+\w+\s+[\w.\[\]]+\s+NOT\s+NULL(?!\s+DEFAULT)",
    re.IGNORECASE,
)
FUNCTION_BODY = re.compile(r"\$\$.*?\$\$", re.DOTALL)
CONTRACT = re.compile(r"^-- contract: \S", re.MULTILINE)


def folder(root: Path, service: str) -> Path:
    return root / "services" / service / f"mts_{service}" / "migrations"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("released") / "sources"
    unpack(last_release(), directory, *(str(folder(Path(), service)) for service in SERVICES))
    return directory


@pytest.mark.parametrize("service", SERVICES)
def test_what_the_last_release_has_applied_is_unchanged(service: str, released: Path) -> None:
    for file in sorted(folder(released, service).glob("*.sql")):
        assert (folder(ROOT, service) / file.name).read_text("utf-8") == file.read_text("utf-8"), file.name


@pytest.mark.parametrize("service", SERVICES)
def test_what_has_come_since_takes_nothing_away_that_the_last_release_uses(service: str, released: Path) -> None:
    old = {file.name for file in folder(released, service).glob("*.sql")}
    for file in sorted(folder(ROOT, service).glob("*.sql")):
        text = file.read_text("utf-8")
        if file.name not in old and not CONTRACT.search(text):
            assert TAKES_AWAY.search(FUNCTION_BODY.sub("", text)) is None, file.name


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_have_numbers_of_their_own(service: str) -> None:
    names = [file.name for file in folder(ROOT, service).glob("*.sql")]
    assert all(re.fullmatch(r"\d{3}_\w+\.sql", name) for name in names)
    assert len({name[:3] for name in names}) == len(names)


@pytest.mark.parametrize(
    ("statement", "takes_away"),
    [
        ("ALTER TABLE a.b ADD COLUMN c text", False),
        ("ALTER TABLE a.b ADD COLUMN c text NOT NULL DEFAULT ''", False),
        ("ALTER TABLE a.b ADD COLUMN c text NOT NULL", True),
        ("ALTER TABLE a.b DROP COLUMN c", True),
        ("ALTER TABLE a.b RENAME COLUMN c TO d", True),
        ("ALTER TABLE a.b ALTER COLUMN c SET NOT NULL", True),
        ("ALTER TABLE a.b ALTER COLUMN c TYPE bigint", True),
        ("ALTER TABLE a.b ALTER COLUMN c SET STORAGE EXTERNAL", False),
        ("drop view a.b", True),
    ],
)
def test_what_takes_something_away_is_recognised(statement: str, takes_away: bool) -> None:
    assert bool(TAKES_AWAY.search(statement)) is takes_away
