"""The tree of errors."""

from __future__ import annotations

import pytest

from mts_common.messages import FailureKind
from mts_dialler.errors import DiallerError, leaves

# Only the scheduler and the verdict on a report know of these.
NOT_RAISED_HERE = {FailureKind.WRONG_METER, FailureKind.DIALLER_LOST}


def test_the_base_refuses_direct_use() -> None:
    with pytest.raises(TypeError):
        raise DiallerError("no answer")


def test_every_failure_of_a_call_has_an_error() -> None:
    assert {leaf.failure for leaf in leaves()} == set(FailureKind) - NOT_RAISED_HERE


def test_an_error_says_its_text() -> None:
    for leaf in leaves():
        assert str(leaf("no answer")) == "no answer"
