"""The phases of reading one meter as spans, each from the end of the one before."""

from __future__ import annotations

import time

from mts_common import telemetry
from mts_common.messages import Section, SectionState
from mts_common.vocabulary import SpanName


class Phases:
    """`begin`, then say what has ended. A meter is asked one thing after another, so phases never overlap."""

    def __init__(self) -> None:
        self._since = time.time_ns()

    def begin(self) -> None:
        """The first phase begins."""
        self._since = time.time_ns()

    def signed_on(self) -> None:
        """The meter takes questions."""
        self._ended("sign on")

    def read(self, section: Section, state: SectionState) -> None:
        """There is a verdict on a section."""
        self._ended("read section", section=section, state=state)

    def signed_off(self) -> None:
        """The reading is over."""
        self._ended("sign off")

    def _ended(self, name: SpanName, **attributes: str) -> None:
        now = time.time_ns()
        telemetry.past_span(name, self._since, now, {f"mts.{key}": value for key, value in attributes.items()})
        self._since = now
