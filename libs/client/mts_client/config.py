"""Where the service is and which tokens to use: from the environment, a config file, or a local stack's description.

The environment goes over the config file, key by key. The stack's description is used alone, never mixed with the
others, so that no token reaches a server that it was not made for: if it is named, or if nothing else is set and it is
there. Where traces are shown (`trace_url`) is told to nobody, and goes with any of them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from mts_client.errors import NotConfigured

_VARIABLES = {
    "url": "MTS_URL",
    "token": "MTS_TOKEN",
    "ca_file": "MTS_CA_FILE",
    "admin_token": "MTS_ADMIN_TOKEN",
    "trace_url": "MTS_TRACE_URL",
    "user": "MTS_USER",
    "password": "MTS_USER_PASSWORD",
}
_OF_USERS = ("user", "password")
_STACK = Path(".local") / "stack.json"


class Config(BaseModel):
    """How to reach the service. `ca_file` None = the public CAs; `user` and `password` are of the carbonTRACK API.

    `trace_url` is where the tracing system shows a trace, with `{trace_id}` in the place of its id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    token: SecretStr | None = None
    admin_token: SecretStr | None = None
    ca_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = Field(default=None, repr=False)
    trace_url: str | None = Field(default=None, pattern=r"^https?://[^\s{}]*\{trace_id\}[^\s{}]*$")

    def trace_link(self, trace_id: str | None) -> str | None:
        """Where a trace is shown, if that is known."""
        return self.trace_url.replace("{trace_id}", trace_id) if self.trace_url and trace_id else None


def load(environment: Mapping[str, str], folder: Path, stack: Path | None = None) -> Config:
    """The configuration of a process with this environment in this folder; raises `NotConfigured`."""
    settings = _config_file(environment) | _from_environment(environment, folder)
    shown = {"trace_url": settings.pop("trace_url", None)}
    user = {name: settings[name] for name in _OF_USERS if name in settings}
    only_user = len(user) == len(settings)
    if stack is not None:
        return _read_stack(stack, shown | (user if only_user else {}))
    if settings and not only_user:
        return _checked(settings | shown, "the environment and the config file")
    if (folder / _STACK).is_file():
        return _read_stack(folder / _STACK, shown | user)
    raise NotConfigured(f"MTS_URL is not set, {config_path(environment)} and {_STACK} do not exist")


def read_stack(path: Path) -> Config:
    """The configuration of a running local stack (`stack.json`; its paths are relative to the folder of `.local`)."""
    return _read_stack(path, {})


def _read_stack(path: Path, more: Mapping[str, Any]) -> Config:
    """`more` is what the description has not: where traces are, and credentials that were given for no other server."""
    try:
        stack = json.loads(path.read_bytes())
        ca_file = path.absolute().parent.parent / stack["ca"]
        settings = {"url": stack["gateway"], "token": stack["token"], "admin_token": stack["admin_token"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotConfigured(f"{path} does not describe a running stack ({type(error).__name__})") from error
    return _checked({**settings, "ca_file": ca_file, **more}, str(path))


def config_path(environment: Mapping[str, str]) -> Path:
    """`mts/config.toml` in the user's folder of configuration (XDG base directory specification)."""
    folder = environment.get("XDG_CONFIG_HOME")
    base = Path(folder) if folder and Path(folder).is_absolute() else Path.home() / ".config"
    return base / "mts" / "config.toml"


def _from_environment(environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {
        name: environment[variable] for name, variable in _VARIABLES.items() if environment.get(variable)
    }
    return _resolved(settings, folder)


def _config_file(environment: Mapping[str, str]) -> dict[str, Any]:
    path = config_path(environment)
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NotConfigured(f"{path} cannot be read: {error}") from error
    return _resolved(settings, path.parent)


def _resolved(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    if isinstance(settings.get("ca_file"), str):
        settings["ca_file"] = folder / Path(settings["ca_file"]).expanduser()
    return settings


def _checked(settings: Mapping[str, Any], source: str) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        faults = ", ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise NotConfigured(f"{source}: {faults}") from error
