"""The named SQL statements of the scheduler."""

from __future__ import annotations

from mts_common.database import Statements

SQL = Statements("mts_scheduler")
