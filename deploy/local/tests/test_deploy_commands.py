"""`--help` says what every command of every service does and what its parameters mean."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import typer

SERVICES = ("gateway", "scheduler", "dialler", "results", "metersim")


def silent(command: Any, path: str) -> Iterator[str]:
    """What has no help in a command and in those below it."""
    if not command.help:
        yield path
    for parameter in command.params:
        if parameter.name != "help" and not getattr(parameter, "help", None):
            yield f"{path}: {parameter.name}"
    for name, below in getattr(command, "commands", {}).items():
        yield from silent(below, f"{path} {name}")


@pytest.mark.parametrize("service", SERVICES)
def test_every_command_and_parameter_of_a_service_is_explained(service: str) -> None:
    app = import_module(f"mts_{service}.__main__").app
    assert list(silent(typer.main.get_command(app), service)) == []


def test_every_command_and_parameter_of_mts_is_explained() -> None:
    app = import_module("mts_client.cli").app
    assert list(silent(typer.main.get_command(app), "mts")) == []


@pytest.mark.parametrize("service", ["gateway", "scheduler", "results"])
def test_a_service_that_consumes_has_the_commands_for_its_dead_letters(service: str) -> None:
    command: Any = typer.main.get_command(import_module(f"mts_{service}.__main__").app)
    assert set(command.commands["dead"].commands) == {"list", "show", "requeue"}
