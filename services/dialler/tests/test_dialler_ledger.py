"""The lease."""

from __future__ import annotations

from mts_dialler.ledger import Lease


def test_a_lease_is_not_held_before_the_first_answer() -> None:
    assert Lease().left(0.0) == 0.0


def test_a_lease_counts_from_before_the_asking() -> None:
    lease = Lease()
    lease.renew(asked_at=100.0, seconds=120.0)
    assert lease.left(105.0) == 115.0
    assert lease.left(220.0) == 0.0


def test_an_old_answer_does_not_shorten_the_lease() -> None:
    lease = Lease()
    lease.renew(asked_at=110.0, seconds=120.0)
    lease.renew(asked_at=100.0, seconds=120.0)
    assert lease.left(110.0) == 120.0


def test_a_grant_that_was_asked_for_a_whole_lease_ago_is_not_covered() -> None:
    lease = Lease()
    assert not lease.covers(0.0, 0.0)
    lease.renew(asked_at=100.0, seconds=120.0)
    lease.renew(asked_at=200.0, seconds=120.0)
    assert lease.covers(100.0, 219.0)
    assert not lease.covers(100.0, 220.0)
    assert not lease.covers(315.0, 320.0)
