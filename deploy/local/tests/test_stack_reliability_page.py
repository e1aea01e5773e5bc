"""Every test that docs/reliability.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reliability.md"

_NAMED = re.compile(r"`(?:[^`\s]*?(test_\w+\.py)|…)(?:::(test_\w+))?`")


def test_every_test_that_the_page_names_exists() -> None:
    files = {path.name: path.read_text("utf-8") for path in ROOT.glob("[!.]*/**/tests/**/test_*.py")}
    files |= {path.name: path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py")}
    named = _NAMED.findall(PAGE.read_text("utf-8"))
    assert len(named) > 30
    file, missing = "", []
    for given, test in named:
        file = given or file
        if file not in files or (test and f"def {test}(" not in files[file]):
            missing.append(f"{file}::{test}")
    assert missing == []
