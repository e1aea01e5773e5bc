"""The last release, out of the history of this repository: what these sources must be able to run beside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mts_stack.paths import ROOT
from mts_stack.processes import StackFault

# What is compared with while no release is tagged: the first commit whose queues are those of today.
FIRST_COMPATIBLE = "20953b1bd0644e5f80cb31b4a5bb62e256fb75ce"
GIT_SECONDS = 60.0


def last_release() -> str:
    """The newest tag `v*` before this commit."""
    described = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    return described.stdout.decode().strip() if described.returncode == 0 else FIRST_COMPATIBLE


def unpack(release: str, directory: Path, *paths: str) -> None:
    """Put folders of a release into a new directory. Raises `StackFault`, also where the history is cut short."""
    archive = _git("archive", release, *paths)
    if archive.returncode:
        raise StackFault(f"{release} is not in the history: {archive.stderr.decode().strip()}")
    directory.mkdir()
    subprocess.run(["tar", "--extract", "--directory", str(directory)], input=archive.stdout, check=True)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=GIT_SECONDS, check=False)
