"""The names by which operators find things: of spans, and of what log lines are about.

A misspelt one is a type error.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

SpanName: TypeAlias = Literal[
    "grant",  # a test is handed to a dialler
    "call",  # from dialling to hanging up, for all tests of a call
    "test",  # one test of a call
    "dial",  # until the line is there, or is refused
    "sign on",  # until the meter takes questions
    "read section",  # one section of the report, from the end of what was before it
    "sign off",  # what remained of the reading; with what was under way, if it broke off
    "hang up",  # until the line is down
    "decide",  # what follows from an attempt
    "store request",  # results keeps a request,
    "store report",  # a report,
    "store outcome",  # a final word
]

Action: TypeAlias = Literal[
    "start",  # the process starts
    "listen",  # the API can be called
    "stop",  # the process ends, as it was told to
    "fault",  # the process, or a part of it, ends because of a fault
    "part-late",  # a part of the process has not been heard of in time
    "few-files",  # the process may open fewer files than it has lines
    "levels-unread",  # levels for the metrics could not be read
    "late",  # something came for a test that is no longer kept
    "drop-partition",  # a range of tests is removed, or is in use,
    "empty-traces",  # its wire traces are,
    "drop-month",  # a month of readings is
    "readings-differ",  # a reading is not what was read of the same time before
    "put-aside",  # a message cannot be handled and becomes a dead letter,
    "requeue",  # which is put back
    "operator",  # an operator has intervened
    "drain",  # a dialler takes no more calls
    "drain-incomplete",  # it could not tell how some calls ended
    "alive-unanswered",  # the scheduler did not answer a sign of life,
    "want-unanswered",  # an ask for calls,
    "release-unanswered",  # or calls given back
    "call-lost",  # a call is hung up because the scheduler counts it as lost,
    "call-given-back",  # or because it is given back
    "tell-again",  # the broker did not confirm how a call ended
    "test-fault",  # our own code failed in a test
    "line-fault",  # a line rests
    "line-recovered",  # a line is in service again
    "line-refuses",  # a modem has not got a command
    "line-not-hung-up",  # a line did not hang up
]


def about(action: Action, **ids: object) -> dict[str, object]:
    """For `extra` of a log call; `ids` are `test_id`, `call_id`, `attempt` and, outside any span, `traceparent`."""
    return {"action": action, **ids}
