"""The lease that lets a dialler work, kept without I/O."""

from __future__ import annotations


class Lease:
    """Times are those of one monotonic clock."""

    def __init__(self) -> None:
        self._ends_at: float | None = None

    def renew(self, asked_at: float, seconds: float) -> None:
        """The scheduler answered; the lease counts from before the asking."""
        ends_at = asked_at + seconds
        self._ends_at = ends_at if self._ends_at is None else max(self._ends_at, ends_at)

    def left(self, now: float) -> float:
        """Seconds of the lease that are left; 0 = not held."""
        return 0.0 if self._ends_at is None else max(0.0, self._ends_at - now)
