"""The life of a job, in one place.

| from      | to        | event                                                                                     |
|-----------|-----------|-------------------------------------------------------------------------------------------|
| (none)    | held      | its test was requested                                                                    |
| (none)    | cancelled | its test was cancelled before the request arrived: a tombstone                            |
| held      | called    | granted: `attempt` rises, and fences off whatever comes of earlier ones                   |
| called    | held      | the attempt failed and is worth repeating; or its call was lost or given back             |
| called    | done      | the attempt was the last                                                                  |
| held      | done      | a late report of a lost attempt is final; or the test has waited through all its windows  |
| held      | cancelled | cancelled                                                                                 |
| done      | held      | results has the outcome, but never got the attempt's report                               |
| done      | cancelled | deleted with the completed tests of its batch                                             |

Every transition is one conditional UPDATE in `sql/`; the trigger `job_transition` refuses any that is not listed.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a test stands with the scheduler."""

    HELD = "held"
    CALLED = "called"
    DONE = "done"
    CANCELLED = "cancelled"


class Lane(StrEnum):
    """What of a client's tests is due at once, and what in the run windows alone."""

    IMMEDIATE = "immediate"
    OVERNIGHT = "overnight"


TRANSITIONS: frozenset[tuple[JobState, JobState]] = frozenset(
    {
        (JobState.HELD, JobState.CALLED),
        (JobState.CALLED, JobState.HELD),
        (JobState.CALLED, JobState.DONE),
        (JobState.HELD, JobState.DONE),
        (JobState.HELD, JobState.CANCELLED),
        (JobState.DONE, JobState.HELD),
        (JobState.DONE, JobState.CANCELLED),
    }
)
