"""A test's survey at a glance: the course of each channel, its extremes, and what is missing from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import NamedTuple

from mts_client.models import MeterTestStatus, SurveyChannel, SurveyReading
from mts_client.rendering.layout import column_lines, number_text, time_text, values_in_line, visible

MARKS = 72
_LEVELS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
# Periods under one mark: with half-hours these are 30 min, 1, 2, 3, 4, 6 and 12 hours, then whole days.
_STEPS = (1, 2, 4, 6, 8, 12, 24, 48, 96, 192, 384)
_EXACT_DIGITS = 200
_GAPS_SHOWN = 5
_INDENT = "  "
# A channel of cumulative values, and the units whose values add up (mts-api.md, test-status, "Survey channels").
_CUMULATIVE = " (total)"
_ADDS_UP = "h"


class Range(NamedTuple):
    """A stretch of time, `end` not included."""

    start: datetime
    end: datetime


def survey_section(status: MeterTestStatus, channels: Sequence[SurveyChannel]) -> tuple[str, list[str]]:
    """Title and lines of a report's survey."""
    return drawn("Survey", channels, lambda period: asked_range(status, period))


def drawn(
    title: str, channels: Sequence[SurveyChannel], asked_of: Callable[[timedelta], Range | None]
) -> tuple[str, list[str]]:
    """Title and lines of channels drawn over the same time; `asked_of` tells by their period what they should cover."""
    found = [period for channel in channels if (period := period_of(channel.readings)) is not None]
    if not found:
        return title, [line for channel in channels for line in _undrawn(channel)] or ["no channels"]
    period = min(found)
    asked = asked_of(period)
    covered = _covered(channels, period, asked)
    step = step_of(covered, period)
    span = f"{time_text(covered.start)} to {time_text(covered.end)}"
    title = f"{title}  {span}, periods of {_duration(period)}, one mark = {_duration(step)}"
    lines: list[str] = []
    for channel in channels:
        own = period_of(channel.readings)
        lines += (
            _undrawn(channel) if own is None else _drawn(channel, covered, step, gaps(channel.readings, own, asked))
        )
    return title, lines


def period_of(readings: Sequence[SurveyReading]) -> timedelta | None:
    """The shortest distance of neighbouring readings, None if there are not two."""
    distances = (after.timestamp - before.timestamp for before, after in itertools.pairwise(readings))
    return min((distance for distance in distances if distance > timedelta(0)), default=None)


def asked_range(status: MeterTestStatus, period: timedelta) -> Range | None:
    """What the survey should cover (mts-api.md, surveyDate), None if it cannot be told.

    The period that was running when the meter was read, and the one before (the meter's clock may be behind), are not
    expected.
    """
    read_at = status.connection_end_time or status.test_end_time
    days = timedelta(days=status.survey_days)
    first = status.survey_date
    if first is None and status.test_request_time is not None:
        first = status.test_request_time.date() - days
    if first is None or read_at is None:
        return None
    start = datetime.combine(first, time(), UTC)
    return Range(start, max(start, min(start + days, read_at - period)))


def gaps(readings: Sequence[SurveyReading], period: timedelta, asked: Range | None) -> list[Range]:
    """Where readings are missing: between the first and the last, and before and after them as far as asked for."""
    stretches = [Range(reading.timestamp, reading.timestamp + period) for reading in readings]
    if asked is not None:
        stretches = [Range(asked.start, asked.start), *stretches, Range(asked.end, asked.end)]
    found = []
    for before, after in itertools.pairwise(stretches):
        missing = (after.start - before.end) // period
        if missing > 0:
            found.append(Range(before.end, before.end + missing * period))
    return found


def step_of(covered: Range, period: timedelta) -> timedelta:
    """How much time one mark stands for, so that there are at most `MARKS`."""
    periods = math.ceil((covered.end - covered.start) / period)
    fitting = (times for times in _STEPS if math.ceil(periods / times) <= MARKS)
    return next(fitting, math.ceil(periods / MARKS)) * period


def sparkline(readings: Sequence[SurveyReading], covered: Range, step: timedelta, *, from_zero: bool) -> str:
    """One mark per step, as high as the mean of its readings, over zero or over the lowest; a dot where none are."""
    buckets: list[list[Decimal]] = [[] for _ in range(math.ceil((covered.end - covered.start) / step))]
    for reading in readings:
        buckets[(reading.timestamp - covered.start) // step].append(reading.value)
    means = [sum(bucket, Decimal(0)) / len(bucket) if bucket else None for bucket in buckets]
    known = [mean for mean in means if mean is not None]
    high = max(known)
    low = min(known)
    floor = min(low, Decimal(0)) if from_zero else low
    return "".join(_NOTHING if mean is None else _mark(mean - floor, high - floor) for mean in means)


def _mark(height: Decimal, highest: Decimal) -> str:
    if highest <= 0:
        return _LEVELS[0]
    return _LEVELS[min(int(height * len(_LEVELS) / highest), len(_LEVELS) - 1)]


def _covered(channels: Sequence[SurveyChannel], period: timedelta, asked: Range | None) -> Range:
    times = [reading.timestamp for channel in channels for reading in channel.readings]
    start, end = min(times), max(times) + period
    return Range(min(start, asked.start), max(end, asked.end)) if asked else Range(start, end)


def _duration(length: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if length % unit == timedelta(0):
            return f"{length // unit} {name}"
    return f"{length.total_seconds():g} s"


def _undrawn(channel: SurveyChannel) -> list[str]:
    """A channel of at most one reading: there is no period to draw it by."""
    rows = [(time_text(item.timestamp), number_text(item.value), channel.units) for item in channel.readings]
    return [visible(channel.name), *(f"{_INDENT}{line}" for line in column_lines(rows) or ["no readings"])]


def _drawn(channel: SurveyChannel, covered: Range, step: timedelta, missing: Sequence[Range]) -> list[str]:
    cumulative = channel.name.endswith(_CUMULATIVE)
    line = sparkline(channel.readings, covered, step, from_zero=not cumulative)
    own_period = period_of(channel.readings) or step
    details = [line, *_figures(channel, cumulative=cumulative), *_missing(missing, own_period), *_flagged(channel)]
    return [visible(channel.name), *(f"{_INDENT}{detail}" for detail in details)]


def _figures(channel: SurveyChannel, *, cumulative: bool) -> list[str]:
    readings = channel.readings
    lowest = min(readings, key=lambda reading: reading.value)
    highest = max(readings, key=lambda reading: reading.value)
    figures = [("min", lowest.value, time_text(lowest.timestamp)), ("max", highest.value, time_text(highest.timestamp))]
    count = f"{len(readings)} readings"
    with localcontext(prec=_EXACT_DIGITS):
        if cumulative:
            figures.append(("rise", readings[-1].value - readings[0].value, count))
        elif channel.units.endswith(_ADDS_UP):
            figures.append(("total", sum((reading.value for reading in readings), Decimal(0)), count))
    values = values_in_line([value for _, value, _ in figures])
    return column_lines(
        [(name, value, channel.units, note) for (name, _, note), value in zip(figures, values, strict=True)]
    )


def _missing(missing: Sequence[Range], period: timedelta) -> Iterator[str]:
    counts = [(gap.end - gap.start) // period for gap in missing]
    if missing:
        yield f"missing: {_count(sum(counts), 'period')} in {_count(len(missing), 'gap')}"
    for gap, count in list(zip(missing, counts, strict=True))[:_GAPS_SHOWN]:
        yield f"{_INDENT}{time_text(gap.start)} to {time_text(gap.end)}: {count}"
    if len(missing) > _GAPS_SHOWN:
        yield f"{_INDENT}and {_count(len(missing) - _GAPS_SHOWN, 'gap')} more"


def _flagged(channel: SurveyChannel) -> Iterator[str]:
    flagged = [reading for reading in channel.readings if reading.status]
    if flagged:
        causes = sorted({cause for reading in flagged for cause in reading.status})
        yield f"flagged by the meter: {_count(len(flagged), 'reading')} ({visible(', '.join(causes))})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
