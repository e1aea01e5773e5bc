"""What the README says of the meter types and their proofs is true."""

from __future__ import annotations

import re
from pathlib import Path

from mts_common.catalogue import CATALOGUE

TESTS = Path(__file__).parent
README = (TESTS.parents[2] / "README.md").read_text("utf-8")
CAPTURES = {path.name: path.stem.removesuffix(".verified") for path in (TESTS / "captures").iterdir()}


def rows() -> dict[str, list[str]]:
    """The cells of each row of the table of meters by its type."""
    table = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in table if cells[0].strip("`") in CATALOGUE}


def test_every_supported_type_has_a_row_and_its_captures_or_none() -> None:
    assert rows().keys() == {name for name, meter in CATALOGUE.items() if meter.supported}
    for name, cells in rows().items():
        named = set(re.findall(r"`([a-z][A-Za-z0-9_]+)`", cells[3]))
        assert named <= set(CAPTURES.values()), name
        assert named or cells[3] == "none", name


def test_every_capture_is_named_there_and_read_by_a_test() -> None:
    named = {capture for cells in rows().values() for capture in re.findall(r"`([a-z][A-Za-z0-9_]+)`", cells[3])}
    assert named == set(CAPTURES.values())
    tests = "".join(path.read_text("utf-8") for path in TESTS.glob("test_*.py"))
    assert not [name for name in CAPTURES if f'"{name}"' not in tests]
