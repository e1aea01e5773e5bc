"""How far a meter's clock is from the truth."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from mts_common.messages import MeterClock


def meter_clock(meter_time: datetime, arrived: datetime, delay: timedelta) -> MeterClock:
    """`meter_time` (UTC) in an answer that arrived at `arrived` over a line that takes `delay` one way.

    A clock of whole seconds shows the last one that began, so that a meter that is right is behind by up to a second
    when its answer is made; hence the difference is rounded up (decision 0043).
    """
    told = arrived - delay
    return MeterClock(meter_time=meter_time, offset_seconds=math.ceil((meter_time - told).total_seconds()))
