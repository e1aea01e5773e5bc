"""The kinds of metric: what is counted, what is measured, and what stands at a level.

An instrument knows the labels that its values carry: a label that it has not is an error of type. Without a meter
provider (`exposition.install`) recording costs next to nothing and is seen by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar, cast

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.util.types import Attributes

Label = TypeVar("Label", bound=str)
Read: TypeAlias = Callable[[], Iterable[tuple[float, Mapping[Label, str]]]]

_meter = metrics.get_meter("mts")

# Of calls and whole tests, which take from a second to hours; requests and messages have their own.
LONG_SECONDS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
SHORT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Instrument(Generic[Label]):
    """`name` and `unit` as OpenTelemetry writes them (UCUM); `meaning` is what an operator reads."""

    def __init__(self, name: str, unit: str, meaning: str, labels: Sequence[Label] = ()) -> None:
        self.name = name
        self.unit = unit
        self.meaning = meaning
        self.labels = tuple(labels)


class Counter(Instrument[Label]):
    """How often something has happened since the process started."""

    def __init__(self, name: str, unit: str, meaning: str, labels: Sequence[Label] = ()) -> None:
        super().__init__(name, unit, meaning, labels)
        self._counter = _meter.create_counter(name, unit, meaning)

    def add(self, count: int = 1, labels: Mapping[Label, str] | None = None) -> None:
        """It has happened `count` times more. 0 makes the first real count visible as a rise."""
        self._counter.add(count, cast("Attributes", labels))


class Histogram(Instrument[Label]):
    """How large something was each time, by buckets that are at most as large as each of `bounds`."""

    def __init__(
        self, name: str, unit: str, meaning: str, labels: Sequence[Label] = (), *, bounds: Sequence[float]
    ) -> None:
        super().__init__(name, unit, meaning, labels)
        self.bounds = bounds
        self._histogram = _meter.create_histogram(name, unit, meaning, explicit_bucket_boundaries_advisory=bounds)

    def record(self, value: float, labels: Mapping[Label, str] | None = None) -> None:
        """One more. Times by two clocks may come out a little below 0, and count as 0."""
        self._histogram.record(max(0.0, value), cast("Attributes", labels))

    @contextmanager
    def time(self, labels: Mapping[Label, str]) -> Iterator[None]:
        """One more: the seconds that the block takes, with the class of the error that ends it as `error.type`."""
        began = time.perf_counter()
        failed: dict[str, str] = {}
        try:
            yield
        except BaseException as error:
            failed["error.type"] = type(error).__name__
            raise
        finally:
            self._histogram.record(time.perf_counter() - began, {**cast("Mapping[str, str]", labels), **failed})


class Gauge(Instrument[Label]):
    """What something stands at: as last set, until it is cleared."""

    def __init__(self, name: str, unit: str, meaning: str, labels: Sequence[Label] = ()) -> None:
        super().__init__(name, unit, meaning, labels)
        self._levels: dict[tuple[tuple[str, str], ...], float] = {}
        self._reads: tuple[Read[Label], ...] = ()
        _meter.create_observable_gauge(name, [self._observe], unit, meaning)

    def set(self, value: float, labels: Mapping[Label, str] | None = None) -> None:
        """From now on it stands at `value`."""
        self._levels[tuple(sorted((labels or {}).items()))] = value

    def set_all(self, levels: Iterable[tuple[float, Mapping[Label, str]]]) -> None:
        """These are all the levels there are; labels not among them are no longer told."""
        self._levels = {tuple(sorted(labels.items())): value for value, labels in levels}

    def clear(self) -> None:
        """It is not known."""
        self._levels = {}

    @contextmanager
    def shown_by(self, read: Read[Label]) -> Iterator[None]:
        """Within the block, `read` is asked for levels whenever somebody looks, from whatever thread does."""
        self._reads = (*self._reads, read)
        try:
            yield
        finally:
            self._reads = tuple(each for each in self._reads if each is not read)

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        for labels, value in self._levels.copy().items():  # other threads set and read
            yield Observation(value, dict(labels))
        for read in self._reads:
            for value, shown in read():
                yield Observation(value, cast("Attributes", shown))


class Foreign(Instrument[Label]):
    """An instrument that a library of ours records by itself, listed so that dashboards and rules may name it."""
