"""The named SQL statements of this package."""

from mts_common.database import Statements

SQL = Statements("mts_gateway.warranty")
