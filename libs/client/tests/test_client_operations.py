"""The operators' commands and methods against the fake service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mts_client.cli import app as mts_app
from mts_client.cli.session import Session
from mts_client.client import MtsClient
from mts_client.errors import BadRequest
from mts_client.testing import ADMIN_TOKEN, TOKEN, URL, FakeMts

Run = Callable[..., Result]
AT = "2026-11-20T10:00:00Z"


@pytest.fixture
def run(mts: FakeMts, clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    environment = {"HOME": str(tmp_path), "MTS_URL": URL, "MTS_TOKEN": TOKEN, "MTS_ADMIN_TOKEN": ADMIN_TOKEN}
    session = Session(transport=mts.transport(), sleep=clock.sleep)
    return lambda *arguments: CliRunner(env=environment).invoke(mts_app, ["admin", *arguments], obj=session)


@pytest.fixture
def mts(mts: FakeMts) -> FakeMts:
    """The service with two waiting tests, a dialler in a call, an address left alone and a dead letter."""
    job = {
        "testId": 7,
        "clientId": 1,
        "meterType": "DLMS",
        "remoteAddress": "10.0.0.1:1",
        "transport": "tcp",
        "immediate": True,
        "onHold": False,
        "readyTime": AT,
        "attempts": 2,
        "tries": 1,
        "failure": "busy",
        "receivedTime": AT,
    }
    held = {name: value for name, value in job.items() if name not in ("readyTime", "failure")}
    mts.jobs = [job, {**held, "testId": 8, "immediate": False, "onHold": True}]
    call = {"callId": "c1", "dialler": "d1", "clientId": 1, "remoteAddress": "10.0.0.2:1", "transport": "tcp"}
    mts.lines = {
        "diallers": [{"dialler": "d1", "transport": "tcp", "lines": 8, "calls": 1, "leaseUntilTime": AT}],
        "calls": [{**call, "startTime": AT, "testIds": [5, 6]}],
        "quarantine": [{"remoteAddress": "10.0.0.3:1", "untilTime": AT, "reason": "a call was lost with dialler d1"}],
    }
    letter = {"service": "results", "deadLetterId": 5, "queue": "results.reports", "kind": "attempt.report"}
    mts.dead_letters = [{**letter, "reason": "Rejected: \x1b[2J", "size": 3, "diedTime": AT, "text": '{"v": 1}'}]
    return mts


def words(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()]


def test_waiting_tests_are_listed(run: Run, mts: FakeMts) -> None:
    filters = [
        "--client",
        "1",
        "--overnight",
        "--not-on-hold",
        "--remote-address",
        "10.",
        "--limit",
        "5",
        "--offset",
        "0",
    ]
    result = run("job", "list", *filters)
    assert dict(mts.requests[-1].url.params) == {
        "clientId": "1",
        "immediate": "false",
        "onHold": "false",
        "remoteAddress": "10.",
        "limit": "5",
        "offset": "0",
    }
    shown = "7 1 DLMS 10.0.0.1:1 immediate 2026-11-20 10:00:00 1 busy 2026-11-20 10:00:00"
    assert words(result)[1:] == [shown.split(), ["1", "of", "1", "tests"]]
    assert "on hold" in run("job", "list").stdout
    assert json.loads(run("job", "list", "--json").stdout)["jobs"] == mts.jobs


def test_waiting_tests_are_held_and_released(run: Run, mts: FakeMts) -> None:
    assert run("job", "hold", "7", "8").stdout == "2 tests held\n"
    assert run("job", "release", "7").stdout == "1 tests released\n"
    assert json.loads(mts.requests[-1].content) == {"testIds": [7], "now": False}
    assert json.loads(run("job", "release", "7", "--now", "--json").stdout) == {"testIds": [7]}
    assert json.loads(mts.requests[-1].content) == {"testIds": [7], "now": True}
    result = run("job", "hold", "7", "9")
    assert (result.exit_code, result.stdout) == (3, "1 tests held\n")
    assert result.stderr == "mts: these do not wait, or are not known: 9\n"


def test_lines_are_listed_and_a_quarantine_lifted(run: Run, mts: FakeMts) -> None:
    shown = words(run("line", "list"))
    assert ["d1", "tcp", "8", "1", "2026-11-20", "10:00:00"] in shown
    assert ["c1", "d1", "1", "10.0.0.2:1", "2026-11-20", "10:00:00", "5", "6"] in shown
    assert ["10.0.0.3:1", "2026-11-20", "10:00:00", "a", "call", "was", "lost", "with", "dialler", "d1"] in shown
    assert json.loads(run("line", "list", "--json").stdout) == mts.lines
    assert run("line", "lift", "10.0.0.3:1").stdout == "10.0.0.3:1 may be called again\n"
    assert run("line", "lift", "10.0.0.3:1").stdout == "10.0.0.3:1 was not in quarantine\n"


def test_dead_letters_are_listed_shown_and_put_back(run: Run, mts: FakeMts) -> None:
    result = run("dead", "list", "--service", "results", "--queue", "results.reports")
    assert dict(mts.requests[-1].url.params) == {"service": "results", "queue": "results.reports"}
    assert "results  5   2026-11-20 10:00:00  results.reports  attempt.report  Rejected: \\x1b[2J" in result.stdout
    assert run("dead", "show", "results", "5").stdout.endswith('\n\n{"v": 1}\n')
    assert json.loads(run("dead", "show", "results", "5", "--json").stdout) == mts.dead_letters[0]
    mts.dead_letters.append({**mts.dead_letters[0], "deadLetterId": 6, "text": None})
    assert "It cannot be read." in run("dead", "show", "results", "6").stdout
    assert run("dead", "requeue", "results", "5", "6").stdout == "Dead letter 5 put back\nDead letter 6 put back\n"
    assert run("dead", "requeue", "results", "5").exit_code == 3


def test_the_methods_give_typed_answers(mts: FakeMts) -> None:
    with MtsClient(URL, None, admin_token=ADMIN_TOKEN, transport=mts.transport()) as client:
        first, second = client.list_waiting_tests().jobs
        assert (first.failure, first.ready_time, second.ready_time) == ("busy", first.received_time, None)
        assert client.hold_tests([7, 9]) == client.release_tests([7]) == (7,)
        assert client.list_lines().calls[0].test_ids == (5, 6)
        assert client.lift_quarantine("10.0.0.3:1").lifted
        (letter,) = client.list_dead_letters().dead_letters
        assert letter.text is None
        assert client.show_dead_letter("results", 5).text == '{"v": 1}'
        assert client.requeue_dead_letter("results", 5) == 5
        with pytest.raises(BadRequest):
            client.show_dead_letter("results", 5)
