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
    """The newest tag `v*` before this commit; in a clone whose history is cut short, the oldest commit that it has."""
    described = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    if described.returncode == 0:
        return described.stdout.decode().strip()
    if _git("cat-file", "-e", f"{FIRST_COMPATIBLE}^{{commit}}").returncode == 0:
        return FIRST_COMPATIBLE
    return _git("rev-list", "--max-parents=0", "HEAD").stdout.decode().split()[0]


def unpack(release: str, directory: Path, *paths: str) -> None:
    """Put folders of a release into a new directory. Raises `StackFault`."""
    archive = _git("archive", release, *paths)
    if archive.returncode:
        raise StackFault(f"{release} is not in the history: {archive.stderr.decode().strip()}")
    directory.mkdir()
    subprocess.run(["tar", "--extract", "--directory", str(directory)], input=archive.stdout, check=True)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=GIT_SECONDS, check=False)
