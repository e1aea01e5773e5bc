"""The lease that lets a dialler work, kept without I/O."""

from __future__ import annotations


class Lease:
    """Times are those of one monotonic clock."""

    def __init__(self) -> None:
        self._ends_at: float | None = None
        self._seconds = 0.0

    def renew(self, asked_at: float, seconds: float) -> None:
        """The scheduler answered; the lease counts from before the asking."""
        self._seconds = seconds
        ends_at = asked_at + seconds
        self._ends_at = ends_at if self._ends_at is None else max(self._ends_at, ends_at)

    def left(self, now: float) -> float:
        """Seconds of the lease that are left; 0 = not held."""
        return 0.0 if self._ends_at is None else max(0.0, self._ends_at - now)

    def covers(self, asked_at: float, now: float) -> bool:
        """Whether what was granted in answer to a question of that time is still ours.

        Of a dialler that holds its lease the scheduler takes a call back only when it was not named for a whole lease.
        """
        return self.left(now) > 0 and now < asked_at + self._seconds
