"""Compares what kubectl makes of each overlay with what the tests make of it. Needs kubectl 1.25 or newer; not in CI.

.venv/bin/python deploy/check_manifests.py
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mts_stack.manifests import render

OVERLAYS = Path(__file__).parent / "k8s" / "overlays"
_HASH = re.compile(r"^(database-init|[a-z-]+-settings)-[a-z0-9]{10}$")


def main() -> int:
    """0 if both make the same of every overlay."""
    differs = False
    for overlay in sorted(OVERLAYS.iterdir()):
        command = ["kubectl", "kustomize", str(overlay)]
        made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60.0).stdout
        by_kubectl, by_tests = _by_name(yaml.safe_load_all(made)), _by_name(render(overlay))
        different = sorted(name for name in by_kubectl | by_tests if by_kubectl.get(name) != by_tests.get(name))
        print(f"{overlay.name}: {len(by_kubectl)} resources, different: {', '.join(map(str, different)) or 'none'}")
        differs = differs or bool(different)
    return int(differs)


def _by_name(resources: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    plain = [_without_hashes(resource) for resource in resources]
    return {(resource["kind"], resource["metadata"]["name"]): resource for resource in plain}


def _without_hashes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_hashes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_hashes(each) for each in value]
    return _HASH.sub(r"\1", value) if isinstance(value, str) else value


if __name__ == "__main__":
    sys.exit(main())
