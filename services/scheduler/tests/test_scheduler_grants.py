"""Who is granted what, and when."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mts_common.database import Pool, Statements
from mts_common.messages import CallWant, FailureKind, GrantedCall, RunWindow, Transport

if TYPE_CHECKING:
    from conftest import Bench


async def test_a_requested_test_is_granted_with_its_terms(bench: Bench) -> None:
    await bench.request(7, "Meter.Example:4001", outstation_address="12", coms_settings="7E1", traceparent="00-a-b-01")
    call = await bench.ask_one()
    assert (call.remote_address, call.canonical_address, call.coms_settings, call.seconds_left) == (
        "Meter.Example:4001",
        "meter.example:4001",
        "7E1",
        None,
    )
    (test,) = call.tests
    assert (test.test_id, test.attempt, test.tries, test.outstation_address, test.password, test.traceparent) == (
        7,
        1,
        0,
        "12",
        "sealed",
        "00-a-b-01",
    )


async def test_nothing_is_granted_where_nothing_is_due(bench: Bench) -> None:
    assert await bench.ask() == ()


async def test_an_immediate_test_comes_before_an_overnight_one(bench: Bench) -> None:
    await bench.request(1, immediate=False)
    await bench.request(2)
    assert [(await bench.ask_one()).tests[0].test_id for _ in range(2)] == [2, 1]


async def test_no_more_calls_are_granted_than_lines_are_free(bench: Bench) -> None:
    await bench.request_many(range(1, 6))
    assert len(await bench.ask(3)) == 3
    assert len(await bench.ask(3)) == 2


async def test_one_test_of_a_client_is_not_starved_by_ten_thousand_of_another(bench: Bench) -> None:
    await bench.request_many(range(1, 10_001))
    assert (await bench.ask_one()).tests[0].client_id == 1
    await bench.request(20_001, client_id=2)
    assert (await bench.ask_one()).tests[0].client_id == 2


async def test_clients_are_served_in_turn(bench: Bench) -> None:
    await bench.request_many(range(1, 11))
    await bench.request_many(range(11, 21), client_id=2)
    await bench.request_many(range(21, 31), client_id=3)
    calls = await bench.ask(6)
    assert Counter(call.tests[0].client_id for call in calls) == {1: 2, 2: 2, 3: 2}
    singles = [(await bench.ask_one()).tests[0].client_id for _ in range(6)]
    assert Counter(singles) == {1: 2, 2: 2, 3: 2}


async def test_sixteen_tests_of_one_address_share_a_call_and_the_seventeenth_waits(bench: Bench) -> None:
    await bench.request_many(range(1, 18), "10.0.0.1:4001")
    call = await bench.ask_one(lines=5)
    assert [test.test_id for test in call.tests] == list(range(1, 17))
    assert await bench.ask(5) == ()
    await bench.end(call)
    assert [test.test_id for test in (await bench.ask_one()).tests] == [17]


async def test_tests_with_other_line_settings_have_a_call_of_their_own(bench: Bench) -> None:
    await bench.request(1, "01632960001", coms_settings="7E1")
    await bench.request(2, "01632960001", coms_settings="8N1")
    await bench.request(3, "01632960001", coms_settings="7E1")
    call = await bench.ask_one(lines=2, transport=Transport.MODEM)
    assert [test.test_id for test in call.tests] == [1, 3]


async def test_an_immediate_and_an_overnight_test_do_not_share_a_call(bench: Bench) -> None:
    await bench.request(1, "10.0.0.1:4001")
    await bench.request(2, "10.0.0.1:4001", immediate=False)
    call = await bench.ask_one(lines=2)
    assert [test.test_id for test in call.tests] == [1]
    assert call.seconds_left is None


async def test_an_address_has_one_call_however_it_is_written_and_whoever_asks(bench: Bench) -> None:
    await bench.request(1, "METER.example:4001")
    await bench.request(2, "meter.EXAMPLE:4001", client_id=2)
    (call,) = await bench.ask(2)
    assert await bench.ask(2, dialler="d2") == ()
    await bench.hang_up(call)
    assert len(await bench.ask(2)) == 1


async def test_the_address_stays_taken_from_the_last_report_to_the_hang_up(bench: Bench) -> None:
    await bench.request_many((1, 2), "10.0.0.1:4001")
    await bench.pool.execute("UPDATE scheduler.job SET alone = true")
    call = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(call)])
    assert await bench.ask() == ()
    await bench.hang_up(call)
    assert len(await bench.ask()) == 1


async def test_the_same_nonce_gets_the_same_grant(bench: Bench) -> None:
    await bench.request_many(range(1, 6))
    want = CallWant(dialler="d1", nonce=uuid4(), transport=Transport.TCP, free_lines=2)
    first = await bench.ask_by(want)
    assert first is not None
    assert len(first.calls) == 2
    assert await bench.ask_by(want) == first
    others = await asyncio.gather(*(bench.ask_by(want) for _ in range(5)))
    assert others == [first] * 5


async def test_an_ask_repeated_at_once_is_granted_once(bench: Bench) -> None:
    await bench.request_many(range(1, 21))
    want = CallWant(dialler="d1", nonce=uuid4(), transport=Transport.TCP, free_lines=2)
    grants = await asyncio.gather(*(bench.ask_by(want) for _ in range(8)))
    assert grants[0] is not None
    assert grants == [grants[0]] * 8


async def test_a_spent_nonce_gets_what_is_left_of_its_grant(bench: Bench) -> None:
    await bench.request_many(range(1, 6))
    want = CallWant(dialler="d1", nonce=uuid4(), transport=Transport.TCP, free_lines=2)
    grant = await bench.ask_by(want)
    assert grant is not None
    await bench.end(grant.calls[0])
    again = await bench.ask_by(want)
    assert again is not None
    assert again.calls == grant.calls[1:]
    await bench.end(grant.calls[1])
    again = await bench.ask_by(want)
    assert again is not None
    assert again.calls == ()


async def test_schedulers_side_by_side_never_grant_the_same(make_bench: Callable[..., Bench]) -> None:
    benches = [make_bench(), make_bench()]
    # Three clients, forty addresses of which each is asked for by several.
    for client_id in (1, 2, 3):
        ids = range(client_id * 1000, client_id * 1000 + 80)
        requests = [
            benches[0].requested(test_id, f"10.0.0.{test_id % 40}:4001", client_id=client_id) for test_id in ids
        ]
        await benches[0].consumers.requested(requests)
    attempts: Counter[tuple[int, int]] = Counter()
    running: set[str] = set()

    async def work(bench: Bench, dialler: str) -> None:
        empty = 0
        while empty < 5:
            calls = await bench.ask(4, dialler)
            empty = 0 if calls else empty + 1
            for call in calls:
                assert call.canonical_address not in running
                running.add(call.canonical_address)
                attempts.update((test.test_id, test.attempt) for test in call.tests)
            for call in calls:
                await asyncio.sleep(0)
                running.remove(call.canonical_address)
                await bench.end(call)

    async with asyncio.TaskGroup() as group:
        for place in range(6):
            group.create_task(work(benches[place % 2], f"d{place}"), name=f"d{place}")
    assert len(attempts) == 240
    assert set(attempts.values()) == {1}
    assert await benches[0].pool.fetchval("SELECT count(*) FROM scheduler.job WHERE state = 'done'") == 240


async def test_a_modem_line_is_given_only_numbers_that_it_may_dial(bench: Bench) -> None:
    await bench.request(1, "07700900001")
    await bench.request(2, "01632960001")
    await bench.request(3, "10.0.0.1:4001")
    (call,) = await bench.ask(5, transport=Transport.MODEM, number_filter="-07*")
    assert call.remote_address == "01632960001"
    assert await bench.ask(5, transport=Transport.MODEM, number_filter="08*; 09*") == ()
    (call,) = await bench.ask(5, transport=Transport.MODEM, number_filter="07*")
    assert call.remote_address == "07700900001"


async def test_a_filter_of_no_grammar_admits_nothing(bench: Bench) -> None:
    await bench.request(1, "07700900001")
    assert await bench.ask(5, transport=Transport.MODEM, number_filter="all") == ()


async def test_a_filter_is_no_concern_of_a_tcp_line(bench: Bench) -> None:
    await bench.request(1)
    assert len(await bench.ask(number_filter="07*")) == 1


async def test_an_overnight_test_waits_for_its_window(
    bench: Bench, make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow]
) -> None:
    closed = make_bench(run_windows=(run_window(3600, 7200),))
    await bench.request(1, immediate=False)
    assert await closed.ask() == ()
    assert len(await bench.ask()) == 1


async def test_a_client_has_windows_of_its_own_by_its_latest_request(
    bench: Bench, make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow]
) -> None:
    closed = make_bench(run_windows=(run_window(3600, 7200),))
    now_open, later = run_window(-60, 3600), run_window(1800, 3600)
    await bench.request(1, immediate=False, client_id=1)
    await bench.request(2, immediate=False, client_id=2, run_windows=(now_open,))
    assert [call.tests[0].client_id for call in await closed.ask(5)] == [2]
    await bench.request(5, immediate=False, client_id=2, run_windows=(later,))
    await bench.request(4, immediate=False, client_id=2, run_windows=(now_open,))
    assert await closed.ask(5) == ()


async def test_an_overnight_call_is_not_to_be_dialled_after_its_window(
    make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow]
) -> None:
    bench = make_bench(run_windows=(run_window(-60, 100),))
    await bench.request(1, immediate=False)
    call = await bench.ask_one()
    assert call.seconds_left is not None
    assert 90 < call.seconds_left <= 100


async def test_an_overnight_test_that_came_too_late_waits_for_the_next_window(bench: Bench) -> None:
    await bench.request(1, immediate=False)
    call = await bench.ask_one()
    await bench.end(call, FailureKind.WINDOW_CLOSED)
    job = await bench.job(1)
    closes = await bench.pool.fetchval("SELECT not_after FROM scheduler.call WHERE call_id = $1", call.call_id)
    assert (job["state"], job["tries"], job["costless"], job["ready_at"]) == ("held", 0, 1, closes)


async def test_what_failed_pauses_before_it_is_granted_again(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(retry_pause_seconds=30, retry_pauses={"busy": 90})
    await bench.request_many((1, 2))
    calls = await bench.ask(2)
    await bench.end(calls[0], FailureKind.NO_ANSWER)
    await bench.end(calls[1], FailureKind.BUSY)
    assert await bench.ask(2) == ()
    await bench.elapse(31)
    again = await bench.ask_one(lines=2)
    assert again.tests[0].test_id == calls[0].tests[0].test_id
    assert (again.tests[0].attempt, again.tests[0].tries) == (2, 1)
    await bench.elapse(60)
    assert len(await bench.ask(2)) == 1


async def test_an_address_in_quarantine_is_left_alone(bench: Bench) -> None:
    await bench.request(1, "10.0.0.1:4001")
    await bench.pool.execute(
        "INSERT INTO scheduler.quarantine VALUES ('10.0.0.1:4001', now() + make_interval(secs => 60))"
    )
    assert await bench.ask() == ()
    await bench.elapse(61)
    assert len(await bench.ask()) == 1


async def test_a_claim_looks_things_up_whatever_waits(bench: Bench, pool: Pool) -> None:
    """Ten thousand jobs for a busy address and ten thousand of a client: no table of tests or calls is scanned."""
    await bench.request_many(range(1, 10_001), "10.0.0.1:4001")
    await bench.request_many(range(10_001, 20_001))
    busy: tuple[GrantedCall, ...] = await bench.ask(20)
    assert busy
    text = Statements("mts_scheduler")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(text["begin_claim"], uuid4())
        plan = await connection.fetch(
            f"EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) {text['claim_calls']}",
            "d1", uuid4(), "tcp", 20, [], ["%"], [], 16,
        )  # fmt: skip
    nodes = list(_nodes(json.loads(plan[0][0])[0]["Plan"]))
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    assert scanned <= {"lane"}
    most = max(
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
        for node in nodes
        if "Scan" in node["Node Type"]
    )
    assert most < 1000


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]
