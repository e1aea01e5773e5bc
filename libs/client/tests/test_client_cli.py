"""The command line against the fake service: what it prints, where, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from mts_client.cli import app as mts_app
from mts_client.cli import main
from mts_client.cli.session import Session
from mts_client.testing import ADMIN_TOKEN, TOKEN, URL, FakeMts

GOLDEN = Path(__file__).parent / "golden"
HEADER = "MPAN,METER_TYPE,REMOTE_ADDRESS,COM_SETTINGS,OUTSTATION,PASSWORD,SURVEY_DAYS,SURVEY_DATE,SERIAL_NUMBER\n"
ASKED = ["request", "--meter-type", "ELSTERA1700", "--remote-address", "07777000000"]
SECRET = "AAAA0000"

Run = Callable[..., Result]


@pytest.fixture
def run(mts: FakeMts, clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `mts` with these arguments against `mts`, in an empty folder with an empty home."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": None,
        "MTS_URL": URL,
        "MTS_TOKEN": TOKEN,
        "MTS_ADMIN_TOKEN": ADMIN_TOKEN,
        "MTS_CA_FILE": None,
        "MTS_METER_PASSWORD": None,
    }
    session = Session(transport=mts.transport(), sleep=clock.sleep)

    def run_mts(*arguments: str, env: dict[str, str | None] | None = None, stdin: str | None = None) -> Result:
        result = CliRunner(env={**environment, **(env or {})}).invoke(mts_app, arguments, input=stdin, obj=session)
        assert "Traceback" not in result.output
        for secret in (TOKEN, ADMIN_TOKEN):
            assert secret not in result.output
        return result

    return run_mts


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)


def batch_file(folder: Path, *lines: str) -> str:
    path = folder / "batch.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return str(path)


def line_of(reference: str, address: str = "07777000000") -> str:
    return f"{reference},ELSTERA1700,{address},,1,{SECRET},,,"


def test_a_request_sends_each_option_under_its_name(run: Run, mts: FakeMts) -> None:
    options = {
        "--request-reference": "12",
        "--coms-settings": "7E1",
        "--outstation-address": "1",
        "--serial-number": "12345678",
        "--password": SECRET,
        "--survey-days": "10",
        "--survey-date": "2019-12-01",
    }
    result = run(*ASKED, "--immediate", *(part for option in options.items() for part in option))
    assert (result.exit_code, result.stdout) == (0, "Test 1 requested, to run now\n")
    assert body_of(mts.requests[0]) == {
        "requestReference": "12",
        "immediate": True,
        "meterType": "ELSTERA1700",
        "remoteAddress": "07777000000",
        "comsSettings": "7E1",
        "outstationAddress": "1",
        "serialNumber": "12345678",
        "password": SECRET,
        "surveyDays": 10,
        "surveyDate": "2019-12-01",
    }


def test_a_request_runs_overnight_unless_told_otherwise(run: Run, mts: FakeMts) -> None:
    assert run(*ASKED).stdout == "Test 1 requested, to run in the next run window\n"
    assert "immediate" not in body_of(mts.requests[0])
    assert run(*ASKED, "--json").stdout == '{"testId":2}\n'


@pytest.mark.parametrize(
    ("arguments", "env", "stdin"),
    [
        (["--password", "-"], {}, f"{SECRET}\nrest"),
        (["--ask-password"], {}, f"{SECRET}\n"),
        ([], {"MTS_METER_PASSWORD": SECRET}, None),
    ],
)
def test_a_password_need_not_stand_on_the_command_line(
    run: Run, mts: FakeMts, arguments: list[str], env: dict[str, str], stdin: str | None
) -> None:
    result = run(*ASKED, *arguments, env=env, stdin=stdin)
    assert result.exit_code == 0
    assert body_of(mts.requests[0])["password"] == SECRET
    assert SECRET not in result.output


@pytest.mark.parametrize(("summary", "exit_code"), [("SUCCESS", 0), ("PARTIAL SUCCESS", 0), ("ERROR: no answer", 1)])
def test_waiting_reports_the_test_and_exits_by_its_outcome(
    run: Run, mts: FakeMts, clock: Any, summary: str, exit_code: int
) -> None:
    clock.at_pause = lambda: mts.complete(1, summary)
    result = run(*ASKED, "--wait")
    assert result.exit_code == exit_code
    assert result.stdout.startswith(f"Test 1  {summary}\n")
    assert result.stderr == "Test 1 requested\n"
    assert run("status", "1").exit_code == 0
    assert run("status", "1", "--wait").exit_code == exit_code


def test_waiting_past_the_deadline_has_its_own_exit_code(run: Run) -> None:
    result = run(*ASKED, "--wait", "--deadline", "0")
    assert result.exit_code == 5
    assert "still pending after 0 s" in result.stderr


def test_a_status_is_the_report_or_the_json_exactly_as_sent(run: Run, mts: FakeMts) -> None:
    sent = (GOLDEN / "status.json").read_bytes()
    mts.scripted.extend([httpx.Response(200, content=sent), httpx.Response(200, content=sent)])
    assert run("status", "1234").stdout == (GOLDEN / "report.txt").read_text(encoding="utf-8")
    assert run("status", "1234", "--json").stdout_bytes == sent + b"\n"


def test_waiting_can_end_in_json_and_in_the_flat_dialect(run: Run, mts: FakeMts) -> None:
    run(*ASKED)
    registers = [{"category": "Energy", "registerValues": [{"name": "kWh Import", "value": 1, "units": "kWh"}]}]
    mts.complete(1, registers=registers, registerValues=registers)
    assert json.loads(run("status", "1", "--wait", "--json").stdout)["registers"] == registers
    flat = run("status", "1", "--wait", "--dialect", "flat").stdout
    assert "\nRegisters\n  kWh Import  1  kWh  2026-11-20 10:00:00\n" in flat


def test_a_trace_is_readable(run: Run, mts: FakeMts) -> None:
    run(*ASKED)
    mts.traces[1] = json.loads((GOLDEN / "trace.json").read_bytes())
    expected = (GOLDEN / "trace.txt").read_text(encoding="utf-8")
    assert run("trace", "1").stdout == expected
    assert run("trace", "1", "--admin").stdout == expected
    assert mts.requests[-1].url.path == "/MTS/admin/tests/1/trace"
    assert json.loads(run("trace", "1", "--json").stdout) == mts.traces[1]


def test_a_trace_is_linked_where_it_is_known_where_traces_are_shown(
    run: Run, mts: FakeMts, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*ASKED)
    mts.traces[1] = {"testId": 1, "traceId": "a" * 32, "attempts": []}
    assert run("trace", "1").stdout == "Test 1\nno attempt yet\n"
    monkeypatch.setenv("MTS_TRACE_URL", "http://localhost:16686/trace/{trace_id}")
    assert run("trace", "1").stdout == f"Test 1\nhttp://localhost:16686/trace/{'a' * 32}\nno attempt yet\n"
    mts.traces[1] = {"testId": 1, "attempts": []}
    assert run("trace", "1").stdout == "Test 1\nno attempt yet\n"


def test_a_trace_without_attempts_says_so(run: Run) -> None:
    run(*ASKED)
    assert run("trace", "1").stdout == "Test 1\nno attempt yet\n"


def test_a_search_lists_a_page_or_all(run: Run, mts: FakeMts) -> None:
    for reference in "ABC":
        run(*ASKED, "--request-reference", reference)
    page = run("search", "--from", "2026-11-01", "--to", "2026-11-30T12:00:00+01:00", "--limit", "2")
    assert page.stdout == (
        "TEST  RECEIVED             COMPLETED  BATCH  REFERENCE  METER TYPE   REMOTE ADDRESS  RESULT\n"
        "1     2026-11-20 10:00:00                    A          ELSTERA1700  07777000000     PENDING\n"
        "2     2026-11-20 10:00:00                    B          ELSTERA1700  07777000000     PENDING\n"
        "2 of 3 tests\n"
    )
    assert dict(mts.requests[-1].url.params) == {
        "fromTime": "2026-11-01T00:00:00Z",
        "toTime": "2026-11-30T11:00:00Z",
        "limit": "2",
    }
    everything = run("search", "--all", "--reverse").stdout.splitlines()
    assert [line.split()[0] for line in everything[1:-1]] == ["3", "2", "1"]
    assert everything[-1] == "3 of 3 tests"
    assert json.loads(run("search", "--json", "--offset", "2").stdout)["resultCount"] == 1


def test_a_test_is_cancelled(run: Run, mts: FakeMts) -> None:
    run(*ASKED)
    assert run("cancel", "1").stdout == "Test 1 cancelled, if it was pending\n"
    assert mts.tests == {}


def test_the_service_is_shown(run: Run) -> None:
    assert run("service-status", env={"MTS_TOKEN": None}).stdout == "Version  1.2.3\nStatus   OK\n"
    assert "maxBatchTests       3\n" in run("limits").stdout
    assert run("meter-types").stdout == (
        "METER TYPE   TRANSPORTS  SUPPORTED\nELSTERA1700  modem, tcp  yes\nPREMIER      modem       no\n"
    )
    assert json.loads(run("limits", "--json").stdout)["windowSeconds"] == 60


def test_a_file_becomes_a_batch(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    result = run("batch", "submit", batch_file(tmp_path, line_of("A"), "", line_of("B")), "--immediate")
    assert (result.exit_code, result.stdout) == (0, "Batch 1 requested: 2 tests, lines 2 to 4\n")
    assert [(test["requestReference"], test["immediate"]) for test in body_of(mts.requests[-1])] == [
        ("A", True),
        ("B", True),
    ]
    assert run("batch", "status", "1").stdout == (
        "Batch 1  0 of 2 completed  (2 PENDING)\n"
        "TEST  REFERENCE  METER TYPE   REMOTE ADDRESS  RESULT\n"
        "2     A          ELSTERA1700  07777000000     PENDING\n"
        "3     B          ELSTERA1700  07777000000     PENDING\n"
    )
    assert json.loads(run("batch", "status", "1", "--json").stdout)["totalCount"] == 2


def test_a_file_may_come_from_standard_input(run: Run) -> None:
    result = run("batch", "submit", "-", stdin=HEADER + line_of("A") + "\n")
    assert result.stdout == "Batch 1 requested: 1 tests, lines 2 to 2\n"


def test_faults_of_the_file_are_listed_and_nothing_is_sent(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    result = run("batch", "submit", batch_file(tmp_path, line_of("A"), f",,0777,,,{SECRET},x,,"))
    assert result.exit_code == 2
    assert result.stderr == (
        "mts: nothing was sent, the file has faults\n"
        "  line 3, METER_TYPE: must not be blank\n"
        "  line 3, SURVEY_DAYS: 'x' is not a whole number of days\n"
    )
    assert mts.requests == []
    assert SECRET not in result.output


def test_faults_the_server_finds_are_listed_by_line(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    result = run("batch", "submit", batch_file(tmp_path, line_of("A"), "", ",NONE,abc,,,,,,"))
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == (
        "mts: refused by the server (400 BadRequest)\n"
        "  line 4, METER_TYPE: is not one of the catalogue\n"
        "  line 4, REMOTE_ADDRESS: is not in a recognised format\n"
    )
    assert mts.tests == {}


def test_a_large_file_becomes_several_batches(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    result = run("batch", "submit", batch_file(tmp_path, *(line_of(str(number)) for number in range(7))))
    assert result.stdout == (
        "Batch 1 requested: 3 tests, lines 2 to 4\n"
        "Batch 5 requested: 3 tests, lines 5 to 7\n"
        "Batch 9 requested: 1 tests, lines 8 to 8\n"
    )
    assert [test["requestReference"] for test in mts.tests.values()] == [str(number) for number in range(7)]


def test_a_large_file_with_a_refused_part_leaves_nothing_behind(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    lines = [line_of(str(number)) for number in range(4)]
    result = run("batch", "submit", batch_file(tmp_path, *lines, line_of("bad", "abc")))
    assert result.exit_code == 3
    assert "Batch 1 taken back: 3 tests cancelled\n" in result.stderr
    assert "  line 6, REMOTE_ADDRESS: is not in a recognised format\n" in result.stderr
    assert mts.tests == {}


def test_a_large_file_that_cannot_be_taken_back_says_what_stands(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    def fail_the_rest(request: httpx.Request) -> httpx.Response:
        if mts.batches:
            raise httpx.ReadTimeout("no answer")
        return mts.handle(request)

    lines = [line_of(str(number)) for number in range(4)]
    session = Session(transport=httpx.MockTransport(fail_the_rest), sleep=lambda seconds: None)
    environment = {"MTS_URL": URL, "MTS_TOKEN": TOKEN}
    result = CliRunner(env=environment).invoke(mts_app, ["batch", "submit", batch_file(tmp_path, *lines)], obj=session)
    assert result.exit_code == 4
    assert result.stderr == (
        "Batch 1 could not be cancelled: no answer\n"
        "It is not known whether lines 5 to 5 were accepted; see `mts search`\n"
        "mts: no answer from the server: no answer\n"
    )


@pytest.mark.parametrize(("summaries", "exit_code"), [(["SUCCESS", "SUCCESS"], 0), (["ERROR: busy", "SUCCESS"], 1)])
def test_waiting_for_a_file_ends_with_its_results(
    run: Run, mts: FakeMts, clock: Any, tmp_path: Path, summaries: list[str], exit_code: int
) -> None:
    left = list(summaries)
    clock.at_pause = lambda: mts.complete(2 + len(left) - 1, left.pop())
    result = run("batch", "submit", batch_file(tmp_path, line_of("A"), line_of("B")), "--wait")
    assert result.exit_code == exit_code
    assert "Batch 1  2 of 2 completed" in result.stdout
    assert f"{summaries[0]}\n" in result.stdout
    assert run("batch", "status", "1", "--wait").exit_code == exit_code


def test_a_terminal_shows_how_far_a_batch_is(run: Run, mts: FakeMts, clock: Any, tmp_path: Path) -> None:
    left = [2, 3]
    clock.at_pause = lambda: mts.complete(left.pop())
    path = batch_file(tmp_path, line_of("A"), line_of("B"))
    shown = run("batch", "submit", path, "--wait", env={"TTY_COMPATIBLE": "1", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "batch 1" in shown.stderr
    assert "2/2" in shown.stderr
    assert "2/2" not in shown.stdout


def test_a_batch_is_cancelled(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    run("batch", "submit", batch_file(tmp_path, line_of("A"), line_of("B")))
    mts.complete(2)
    assert run("batch", "cancel", "1").stdout == "Batch 1: 1 tests cancelled\n"
    assert run("batch", "cancel", "1", "--delete-completed").stdout == "Batch 1: 1 tests cancelled\n"


def test_clients_and_tokens_are_administered(run: Run, mts: FakeMts) -> None:
    assert run("admin", "client", "create", "Billing").stdout == "Client 1 made\n"
    assert run("admin", "client", "list").stdout == ("CLIENT  NAME     CREATED\n1       Billing  2026-11-20 10:00:00\n")
    made = run("admin", "token", "create", "1", "--scope", "mts", "--scope", "admin", "--dialect", "flat")
    assert made.stdout == (
        "Token 2, valid until 2027-11-20 10:00:00. Keep the secret now, it is not shown again:\nsecret-of-2\n"
    )
    assert body_of(mts.requests[-1])["scopes"] == ["mts", "admin"]
    listed = run("admin", "token", "list").stdout
    assert listed.splitlines()[1].split() == [
        "2", "1", "mts,", "admin", "flat", "2026-11-20", "10:00:00", "2027-11-20", "10:00:00",
    ]  # fmt: skip
    assert "secret" not in listed
    assert run("admin", "token", "delete", "2").stdout == "Token 2 deleted\n"
    assert json.loads(run("admin", "token", "list", "--json").stdout) == {"tokens": []}


@pytest.mark.parametrize(
    ("arguments", "env", "exit_code", "told"),
    [
        (["status", "99"], {}, 3, "refused by the server (400 BadRequest)\n  testId 99 is unknown"),
        (["status", "1"], {"MTS_TOKEN": "wrong"}, 3, "401 Unauthorized"),
        (["admin", "token", "list"], {"MTS_ADMIN_TOKEN": TOKEN}, 3, "403 Forbidden"),
        (["status", "1"], {"MTS_TOKEN": None}, 2, "scope mts"),
        (["status", "1"], {"MTS_URL": None, "MTS_TOKEN": None, "MTS_ADMIN_TOKEN": None}, 2, "MTS_URL is not set"),
        (["status", "1"], {"MTS_URL": "http://mts.test"}, 2, "must be https://"),
        (["status", "1"], {"MTS_CA_FILE": "none.pem"}, 2, "none.pem"),
        (["status", "0"], {}, 2, "Usage"),
        (["status", "x"], {}, 2, "Usage"),
        (["request"], {}, 2, "Missing option"),
        (["nothing"], {}, 2, "No such command"),
        (["search", "--from", "yesterday"], {}, 2, "Invalid value"),
        (["search", "--all", "--json"], {}, 2, "--all"),
        ([*ASKED, "--survey-date", "20191201"], {}, 2, "Invalid value"),
        ([*ASKED, "--request-reference", "\ud800"], {}, 2, "request_reference"),
        (["search", "--remote-address", "\udc80"], {}, 2, "remote_address"),
        (["batch", "submit", "none.csv"], {}, 2, "none.csv"),
        (["--stack", "none.json", "limits"], {}, 2, "none.json"),
    ],
)
def test_what_goes_wrong_is_told_on_standard_error_with_its_exit_code(
    run: Run, arguments: list[str], env: dict[str, str | None], exit_code: int, told: str
) -> None:
    result = run(*arguments, env=env)
    assert result.exit_code == exit_code
    assert told in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("scripted", "exit_code", "told"),
    [
        (httpx.Response(500, json={"details": ["a fault"]}), 3, "500 ServerError"),
        (httpx.Response(200, content=b"<html>"), 3, "not an answer of MTS"),
        (httpx.Response(429, json={"details": ["slow down"], "retryAfter": 999}), 3, "slow down"),
    ],
)
def test_a_server_that_fails_is_told_apart(
    run: Run, mts: FakeMts, scripted: httpx.Response, exit_code: int, told: str
) -> None:
    mts.scripted.append(scripted)
    result = run("limits")
    assert result.exit_code == exit_code
    assert told in result.stderr


def test_a_server_that_is_away_has_its_own_exit_code(run: Run, mts: FakeMts, clock: Any) -> None:
    mts.scripted.extend([httpx.ConnectError("refused")] * 9)
    result = run("limits")
    assert (result.exit_code, result.stderr) == (4, "mts: no answer from the server: refused\n")
    assert clock.pauses == [0.5, 1.0, 2.0]


def test_what_the_server_says_cannot_steer_the_terminal(run: Run, mts: FakeMts) -> None:
    mts.scripted.append(httpx.Response(400, json={"details": ["\x1b[2J[bold]gone"]}))
    assert "\\x1b[2J[bold]gone" in run("limits").stderr


def test_ctrl_c_ends_without_a_traceback(run: Run, clock: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at_pause = interrupt
    assert run(*ASKED, "--wait").exit_code == 130


def test_the_stack_of_the_current_folder_is_used(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    folder = tmp_path / ".local"
    (folder / "tls").mkdir(parents=True)
    stack = {"gateway": URL, "ca": ".local/tls/ca.pem", "token": TOKEN, "admin_token": ADMIN_TOKEN}
    (folder / "stack.json").write_text(json.dumps(stack))
    unset = {"MTS_URL": None, "MTS_TOKEN": None, "MTS_ADMIN_TOKEN": None}
    result = run("limits", env=unset)
    assert result.exit_code == 2
    assert "ca.pem" in result.stderr
    assert mts.requests == []


def test_help_names_the_exit_codes(run: Run) -> None:
    assert "4 the server did not answer" in " ".join(run("--help").stdout.split())


def test_a_fault_in_mts_itself_is_one_line_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: typer.Typer) -> None:
        raise LookupError(SECRET)

    monkeypatch.setattr(typer.Typer, "__call__", broken)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 70
    assert capsys.readouterr().err == "mts: a fault in mts itself: LookupError\n"


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "LANG": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "mts_client", "service-status"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith("mts: not configured: MTS_URL is not set")
