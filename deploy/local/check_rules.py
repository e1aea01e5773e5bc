"""Fails where a page docs/*-rules.md names a test that does not exist, or a rule without a test.

A page's tables have the columns `rule` and `test`; a test is a pytest node id in back quotes, with or without its
parameters, and a rule may name several.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*-rules.md"))

_NODE = re.compile(r"`([^`\s]+\.py::[^`]+)`")


def main() -> int:
    """0 if every rule names tests that exist; else 1, after naming what is wrong."""
    existing = existing_tests()
    faults = [f"{page.name}: {fault}" for page in PAGES for fault in check(page.read_text("utf-8"), existing)]
    for fault in faults:
        print(f"docs/{fault}", file=sys.stderr)
    return 1 if faults else 0


def check(page: str, existing: set[str]) -> list[str]:
    """What is wrong with the page's tables, in order."""
    faults = []
    rules = list(rule_rows(page))
    if not rules:
        faults.append("no rule found")
    for rule, tests in rules:
        if not tests:
            faults.append(f"no test named for the rule: {rule}")
        faults += [f"no such test: {test} (rule: {rule})" for test in tests if test not in existing]
    return faults


def rule_rows(page: str) -> list[tuple[str, list[str]]]:
    """Each rule with the node ids that its row names."""
    rows = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        is_rule = line.startswith("|") and cells[0].casefold() != "rule" and set(cells[0]) - set(":- ")
        if is_rule:
            rows.append((cells[0], _NODE.findall(line)))
    return rows


def existing_tests() -> set[str]:
    """Every node id that pytest collects, with and without its parameters."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", "-p", "no:cacheprovider"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if collected.returncode:
        raise SystemExit(f"pytest cannot collect the tests:\n{collected.stdout}{collected.stderr}")
    nodes = {line for line in collected.stdout.splitlines() if "::" in line}
    return nodes | {node.partition("[")[0] for node in nodes}


if __name__ == "__main__":
    sys.exit(main())
