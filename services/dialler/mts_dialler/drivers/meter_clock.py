"""How far a meter's clock is from the truth."""

from __future__ import annotations

import math
from datetime import datetime

from mts_common.messages import MeterClock


def meter_clock(meter_time: datetime, arrived: datetime) -> MeterClock:
    """`meter_time` (UTC) in an answer that arrived at `arrived`.

    A clock of whole seconds shows the last one that began, so that a meter that is right is behind by up to a second
    when its answer is made; hence the difference is rounded up. The way of the answer is not corrected for: on a slow
    line it makes the meter look behind by as much (decision 0010).
    """
    return MeterClock(meter_time=meter_time, offset_seconds=math.ceil((meter_time - arrived).total_seconds()))
