"""Where the configuration comes from, and what goes over what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mts_client import NotConfigured
from mts_client.config import Config, load

STACK: dict[str, Any] = {
    "gateway": "https://127.0.0.1:40443/MTS",
    "ca": ".local/tls/ca.pem",
    "token": "stack-token",
    "admin_token": "stack-admin",
    "amqp": "amqp://x",
    "postgres": "postgres://x",
    "console": None,
    "meters": [],
    "faulty_meters": [],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_config(folder: Path, text: str) -> Path:
    path = folder / "mts" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def write_stack(folder: Path, stack: Any = STACK) -> Path:
    path = folder / ".local" / "stack.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(stack))
    return path


def secrets_of(config: Config) -> list[str | None]:
    return [None if secret is None else secret.get_secret_value() for secret in (config.token, config.admin_token)]


def test_the_environment_alone_is_enough(home: Path, tmp_path: Path) -> None:
    environment = {"MTS_URL": "https://a", "MTS_TOKEN": "t", "MTS_ADMIN_TOKEN": "a", "MTS_CA_FILE": "ca.pem"}
    config = load(environment, tmp_path)
    assert (config.url, config.ca_file) == ("https://a", tmp_path / "ca.pem")
    assert secrets_of(config) == ["t", "a"]


def test_the_environment_goes_over_the_file_key_by_key(home: Path, tmp_path: Path) -> None:
    write_config(home / ".config", 'url = "https://file"\ntoken = "file-token"\nca_file = "ca.pem"\n')
    config = load({"MTS_TOKEN": "mine", "MTS_URL": ""}, tmp_path)
    assert config.url == "https://file"
    assert secrets_of(config) == ["mine", None]
    assert config.ca_file == home / ".config" / "mts" / "ca.pem"


def test_the_file_is_where_xdg_says(home: Path, tmp_path: Path) -> None:
    write_config(tmp_path / "xdg", 'url = "https://xdg"\nca_file = "~/ca.pem"\n')
    config = load({"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path)
    assert (config.url, config.ca_file) == ("https://xdg", home / "ca.pem")


@pytest.mark.parametrize("text", ["url = ", 'url = "https://a"\ntokn = "secret"\n', 'url = 5\ntoken = "secret"\n'])
def test_a_faulty_file_is_refused_by_name_without_its_secrets(home: Path, tmp_path: Path, text: str) -> None:
    write_config(home / ".config", text)
    with pytest.raises(NotConfigured) as caught:
        load({}, tmp_path)
    assert "config" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_running_stack_is_used_if_nothing_is_set(home: Path, tmp_path: Path) -> None:
    write_stack(tmp_path)
    config = load({}, tmp_path)
    assert (config.url, config.ca_file) == ("https://127.0.0.1:40443/MTS", tmp_path / ".local" / "tls" / "ca.pem")
    assert secrets_of(config) == ["stack-token", "stack-admin"]


def test_a_stack_that_is_merely_there_is_not_mixed_with_what_is_set(home: Path, tmp_path: Path) -> None:
    write_stack(tmp_path)
    assert load({"MTS_URL": "https://a"}, tmp_path) == Config(url="https://a")
    with pytest.raises(NotConfigured, match="url"):
        load({"MTS_TOKEN": "t"}, tmp_path)


def test_a_named_stack_goes_over_everything(home: Path, tmp_path: Path) -> None:
    path = write_stack(tmp_path / "elsewhere")
    config = load({"MTS_URL": "https://a", "MTS_TOKEN": "t"}, tmp_path, path)
    assert secrets_of(config) == ["stack-token", "stack-admin"]
    assert config.ca_file == tmp_path / "elsewhere" / ".local" / "tls" / "ca.pem"


@pytest.mark.parametrize("stack", [[], {}, {**STACK, "ca": None}])
def test_a_file_that_describes_no_stack_is_refused(home: Path, tmp_path: Path, stack: Any) -> None:
    with pytest.raises(NotConfigured, match=r"stack\.json"):
        load({}, tmp_path, write_stack(tmp_path, stack))


def test_nothing_set_says_what_to_set(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="MTS_URL"):
        load({}, tmp_path)
    with pytest.raises(NotConfigured, match=r"missing\.json"):
        load({}, tmp_path, tmp_path / "missing.json")


def test_a_configuration_hides_its_tokens() -> None:
    assert "secret" not in repr(Config.model_validate({"url": "https://a", "token": "secret", "admin_token": "secret"}))


def test_where_traces_are_shown_goes_with_the_stack_too(home: Path, tmp_path: Path) -> None:
    write_stack(tmp_path)
    config = load({"MTS_TRACE_URL": "https://traces.example/trace/{trace_id}"}, tmp_path)
    assert config.url == STACK["gateway"]
    assert config.trace_link("ab") == "https://traces.example/trace/ab"
    assert config.trace_link(None) is None
    assert load({}, tmp_path).trace_link("ab") is None


@pytest.mark.parametrize("url", ["javascript:{trace_id}", "https://traces.example/", "https://{host}/{trace_id}"])
def test_what_is_no_place_for_a_trace_is_refused(home: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(NotConfigured, match="trace_url"):
        load({"MTS_URL": "https://a", "MTS_TRACE_URL": url}, tmp_path)
