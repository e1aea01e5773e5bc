"""The standard event log of a DLMS meter: a profile of times and codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from mts_dialler.drivers.dlms_objects import NOT_THERE, Item, Objects
from mts_dialler.drivers.dlms_registers import DATA
from mts_dialler.drivers.dlms_time import MeterTime
from mts_dialler.drivers.survey import shown
from mts_dialler.errors import FrameGarbled, MeterRefused
from mts_dialler.protocols.cosem import profile as generic
from mts_dialler.protocols.cosem.profile import CaptureObject, Row
from mts_dialler.protocols.cosem.services import Denied
from mts_dialler.protocols.cosem.values import Value
from mts_dialler.protocols.errors import RemoteProtocolError

LOG = "0.0.99.98.0"
AGE = timedelta(days=31)
MAX_EVENTS = 100  # the newest
MAX_WHOLE_LOG = 500  # entries


class EventLog:
    """`words` are what the codes mean."""

    def __init__(self, objects: Objects, time: MeterTime, words: Mapping[int, str]) -> None:
        self._objects = objects
        self._time = time
        self._words = words

    async def read(self, now: datetime) -> Sequence[str]:
        """The events of the last month, or of a whole short log, in order; none from a meter without a log.

        Raises `MeterRefused`, `FrameGarbled`.
        """
        [sent] = await self._objects.read([self._item(generic.CAPTURE_OBJECTS)])
        if isinstance(sent, Denied):
            if sent.code in NOT_THERE:
                return ()
            raise MeterRefused(str(sent))
        try:
            columns = generic.capture_objects(sent)
            return self._told(await self._rows(columns, now), columns)
        except RemoteProtocolError as error:
            raise FrameGarbled(str(error)) from error

    def _item(self, attribute: int) -> Item:
        return Item(generic.CLASS_ID, LOG, attribute)

    async def _rows(self, columns: Sequence[CaptureObject], now: datetime) -> Value:
        clock = next((column for column in columns if column.is_clock), None)
        if clock is None:
            raise RemoteProtocolError("an event log without a clock")
        start, end = (self._time.local(moment, deviation=False) for moment in (now - AGE, now + self._time.leeway))
        answer = await self._objects.select(self._item(generic.BUFFER), generic.by_range(clock, start, end))
        return await self._whole(answer) if isinstance(answer, Denied) else answer

    async def _whole(self, refusal: Denied) -> Value:
        """From a meter that gives no part of its log, if it is not too long."""
        [in_use] = await self._objects.read([self._item(generic.ENTRIES_IN_USE)])
        if not isinstance(in_use, int) or in_use > MAX_WHOLE_LOG:
            raise MeterRefused(str(refusal))
        [answer] = await self._objects.read([self._item(generic.BUFFER)])
        if isinstance(answer, Denied):
            raise MeterRefused(str(answer))
        return answer

    def _told(self, buffer: Value, columns: Sequence[CaptureObject]) -> Sequence[str]:
        rows = generic.rows(buffer, columns, timedelta(), newest_first=False)
        found = [(self._time.utc(row.stamp), row) for row in rows if isinstance(row, Row)]
        if found and found[0][0] > found[-1][0]:
            found.reverse()  # so that events of one second keep their order
        found.sort(key=lambda each: each[0])
        code_at = next((place for place, column in enumerate(columns) if column.class_id == DATA), None)
        if code_at is None:
            raise RemoteProtocolError("an event log without codes")
        return list(self._events(found, code_at))[-MAX_EVENTS:]

    def _events(self, rows: Sequence[tuple[datetime, Row]], code_at: int) -> Iterator[str]:
        for moment, row in rows:
            code = row.cells[code_at]
            if isinstance(code, int):
                yield f"{self._words.get(code, f'Event {code}')} at {shown(moment)}"
