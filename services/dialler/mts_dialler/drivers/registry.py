"""The drivers by meter type, as `mts_common.catalogue` names them."""

from __future__ import annotations

from collections.abc import Mapping

from mts_dialler.drivers.base import Driver

DRIVERS: Mapping[str, Driver] = {}
