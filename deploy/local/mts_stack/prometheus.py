"""Prometheus for tests: a private server that scrapes what it is told to, and its tool that checks rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from mts_stack.containers import docker_answers
from mts_stack.http import PLAIN, says_well
from mts_stack.processes import SYSTEM_PATH, Process, StackFault, free_ports

IMAGE = "prom/prometheus:v2.55.0"
START_SECONDS = 60.0
CALL_SECONDS = 10.0
TOOL_SECONDS = 120.0


class Prometheus:
    """A running server. Every call blocks, and raises httpx's errors."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an instant query finds: labels and value of each series."""
        found = self._get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def rules(self) -> dict[str, str]:
        """The health of each rule that was loaded, by its name: ok, err or unknown."""
        return {rule["name"]: rule["health"] for group in self._get("rules")["groups"] for rule in group["rules"]}

    def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """The exemplars of the series of an expression."""
        found = self._get("query_exemplars", query=expression, start="0", end="4102444800")
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _get(self, what: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=CALL_SECONDS, verify=PLAIN)
        return answer.raise_for_status().json()["data"]


@contextmanager
def prometheus(directory: Path, targets: Mapping[str, str], rules: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Scrape `targets` (job: HOST:PORT) and evaluate `rules` (a rule file) each second. Raises `StackFault`."""
    home = directory / "prometheus"
    home.mkdir(parents=True)
    (port,) = free_ports(1)
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    (home / "rules.yml").write_text(yaml.safe_dump(dict(rules)), "utf-8")
    (home / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
    arguments = [
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    server = Process("prometheus", [*program("prometheus", directory), *arguments], directory, {"PATH": SYSTEM_PATH})
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        server.start()
        server.wait_ready(lambda: _ready(running.url), START_SECONDS)
        yield running
    finally:
        server.stop()


def promtool(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' tool on files of `directory`. Raises `StackFault` if there is none."""
    command = [*program("promtool", directory), *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)


def program(name: str, directory: Path) -> Sequence[str]:
    """How to run a program of Prometheus' that reads and writes `directory`: the machine's own, else a container's."""
    if found := shutil.which(name, path=SYSTEM_PATH):
        return [found]
    if not docker_answers():
        raise StackFault(f"{name} is not installed; `make setup-tests` installs it or says what to install")
    user = f"{os.getuid()}:{os.getgid()}"
    mounted = ["--volume", f"{directory}:{directory}", "--workdir", str(directory), "--user", user]
    return ["docker", "run", "--rm", "--network", "host", *mounted, "--entrypoint", name, IMAGE]


def _ready(url: str) -> bool:
    return says_well(f"{url}/-/ready", CALL_SECONDS)
