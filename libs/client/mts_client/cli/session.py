"""What all commands share: the client, the two consoles, exit codes, and errors told to a person."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import httpx
import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from mts_client import config
from mts_client.batch_file import BadBatchFile
from mts_client.calls import Call
from mts_client.client import MtsClient
from mts_client.config import Config
from mts_client.errors import MtsError, NotConfigured, Refused, UnexpectedAnswer, Unreachable, WaitExpired
from mts_client.rendering.layout import visible

T = TypeVar("T")


class ExitCode(enum.IntEnum):
    """How `mts` ends."""

    OK = 0
    TEST_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    STILL_PENDING = 5
    FAULT_IN_MTS = 70
    INTERRUPTED = 130


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """The surroundings of one command; `transport` and `sleep` are for tests."""

    stack: Path | None = None
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep

    def config(self) -> Config:
        """What is configured; raises `NotConfigured`."""
        return config.load(os.environ, Path.cwd(), self.stack)

    def credentials(self, user: str | None, *, ask: bool) -> tuple[str, SecretStr]:
        """The user of the neighbours' APIs, and its password, which is configured or asked for; never an argument."""
        found = self.config()
        name = user or found.user
        if not name:
            raise NotConfigured("no user is known: set MTS_USER, or give --user")
        is_theirs = name == (found.user or name)
        if found.password is not None and is_theirs and not ask:
            return name, found.password
        return name, SecretStr(typer.prompt(f"Password of {name}", hide_input=True, err=True))

    def client(self) -> MtsClient:
        """A client as configured; raises `NotConfigured`."""
        found = self.config()
        return MtsClient(
            found.url,
            found.token,
            admin_token=found.admin_token,
            trust=found.ca_file,
            transport=self.transport,
            sleep=self.sleep,
        )


def session_of(context: typer.Context) -> Session:
    """The session that the root command made."""
    session = context.find_object(Session)
    if session is None:
        raise TypeError("the root command has made no session")
    return session


def query(context: typer.Context, call: Call[T], show: Callable[[T], Text], *, as_json: bool = False) -> None:
    """Carry out one call and print its answer, or the answer's JSON exactly as sent."""
    with session_of(context).client() as client:
        if as_json:
            print_json(client.send(call.as_sent()))
        else:
            print_text(show(client.send(call)))


def print_json(body: bytes) -> None:
    """A response's body, byte by byte, and a line end."""
    typer.echo(body)


def print_text(text: Text) -> None:
    """To standard output, never wrapped; the text ends its own lines."""
    _console(sys.stdout).print(text, soft_wrap=True, end="")


def print_error(*lines: str) -> None:
    """To standard error, control characters spelt out."""
    for line in lines:
        error_console().print(Text(visible(line)), soft_wrap=True)


def error_console() -> Console:
    """Standard error, for messages and progress."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    # A terminal of a poor character set shows marks it does not have as question marks.
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return Console(file=stream, highlight=False)


class MtsGroup(TyperGroup):
    """The root command: ends with a message and an exit code where a command raises one of the known errors."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MtsError as error:
            raise typer.Exit(_tell(error)) from error
        except ValidationError as error:
            print_error(*_invalid_values(error))
            raise typer.Exit(ExitCode.USAGE) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(ExitCode.INTERRUPTED) from error


def _tell(error: MtsError) -> ExitCode:
    if isinstance(error, Refused):
        print_error(f"mts: refused by the server ({error.status} {type(error).__name__})", *_indented(error.details))
        return ExitCode.REFUSED
    if isinstance(error, BadBatchFile):
        print_error("mts: nothing was sent, the file has faults", *_indented(error.faults))
        return ExitCode.USAGE
    kinds = {
        NotConfigured: ("not configured", ExitCode.USAGE),
        UnexpectedAnswer: ("this is not an answer of MTS", ExitCode.REFUSED),
        Unreachable: ("no answer from the server", ExitCode.UNREACHABLE),
        WaitExpired: ("waited in vain", ExitCode.STILL_PENDING),
    }
    text, code = next(told for kind, told in kinds.items() if isinstance(error, kind))
    print_error(f"mts: {text}: {error}")
    return code


def _indented(items: Sequence[object]) -> list[str]:
    return [f"  {item}" for item in items]


def _invalid_values(error: ValidationError) -> list[str]:
    return [f"mts: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)]
