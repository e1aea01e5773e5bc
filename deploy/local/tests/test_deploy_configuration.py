"""docs/configuration.md says what the services read."""

from __future__ import annotations

from mts_stack.configuration import PAGE, SETTINGS, page, variable


def test_the_page_is_what_the_settings_make() -> None:
    assert PAGE.read_text("utf-8") == page(), "run make configuration"


def test_every_setting_of_every_service_stands_on_the_page() -> None:
    names = {variable(name) for settings in SETTINGS.values() for name in settings.model_fields}
    assert {name for name in names if f"| `{name}` |" not in page()} == set()
