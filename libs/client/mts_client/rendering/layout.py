"""Text in columns. Nothing is cut or wrapped, so that a pipe gets what a screen gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.cells import cell_len
from rich.text import Text

from mts_client.models import Outcome

_WIDEST_NUMBER = 60
_OUTCOME_STYLES = {
    Outcome.PENDING: "cyan",
    Outcome.SUCCESS: "green",
    Outcome.PARTIAL_SUCCESS: "yellow",
    Outcome.ERROR: "red",
}


def visible(text: str) -> str:
    """The text with control characters spelt out: what a meter sent must not steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )


def time_text(time: datetime | None) -> str:
    """A time in UTC to the second, blank if there is none."""
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def number_text(value: Decimal) -> str:
    """All digits of a number, without an exponent unless the number is absurdly long."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or abs(exponent) + len(digits) > _WIDEST_NUMBER:
        return str(value)
    return f"{value:f}"


def values_in_line(values: Sequence[Decimal | str]) -> list[str]:
    """The values padded to one width, numbers aligned on the decimal point, texts flush left."""
    numbers = [number_text(value).partition(".") for value in values if isinstance(value, Decimal)]
    before = max((len(whole) for whole, _, _ in numbers), default=0)
    lines = [
        number_text(value).partition(".")[0].rjust(before) + "".join(number_text(value).partition(".")[1:])
        if isinstance(value, Decimal)
        else visible(value)
        for value in values
    ]
    width = max(map(cell_len, lines), default=0)
    return [padded(line, width) for line in lines]


def padded(text: str, width: int) -> str:
    """The text filled with blanks to so many cells of the screen."""
    return text + " " * (width - cell_len(text))


def column_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row as a line, its cells flush left in columns that all rows share."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in shown]


def paragraph(lines: Iterable[str], indent: str = "") -> Text:
    """The lines, each indented and ended."""
    return Text("".join(f"{indent}{line}\n" for line in lines))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Text:
    """The rows in columns under bold headings."""
    first, *rest = column_lines([headings, *rows])
    return Text.assemble((f"{first}\n", "bold"), paragraph(rest))


def outcome_text(summary: str, outcome: Outcome) -> Text:
    """A result summary in the colour of its outcome."""
    return Text(visible(summary), style=_OUTCOME_STYLES[outcome])
