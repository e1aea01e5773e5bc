"""Elster A1700 instantaneous values: identities 605 and 606 (fact sheet elster-a1700, section 8)."""

from math import isqrt

from mts_metersim.a1700_codes import instantaneous
from mts_metersim.unit import Unit

READY = 0x80
NOT_AVAILABLE = b"\x07" + b"\xff" * 6
_PHASES = {0x0: 0, 0x1: 1, 0x2: 2, 0x4: 3}


class Instants:
    """The request for up to six codes and its answer, ready after `ready_polls` polls: the first of several polls
    finds all but the last code ready, as in the captured poll `9DAD4D0D`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._codes = b""
        self._polls = 0

    def request(self, codes: bytes) -> bool:
        """Whether the codes were taken: one to six bytes."""
        if not 1 <= len(codes) <= 6:
            return False
        self._codes, self._polls = codes, 0
        return True

    def poll(self) -> bytes:
        """Identity 605 as read: each code with bit 7 set once its value is ready."""
        self._polls += 1
        ready = self._ready_count()
        return bytes(code | READY if index < ready else code for index, code in enumerate(self._codes))

    def values(self) -> bytes:
        """Identity 606: seven bytes per code."""
        ready = self._ready_count()
        return b"".join(self._value(c) if i < ready else NOT_AVAILABLE for i, c in enumerate(self._codes))

    def _ready_count(self) -> int:
        if self._polls >= self._unit.meter.options.ready_polls:
            return len(self._codes)
        return len(self._codes) - 1 if self._polls else 0

    def _value(self, code: int) -> bytes:
        phase = _PHASES.get(code >> 4)
        quantity = code & 0x0F
        if phase is None or code == 0:
            return NOT_AVAILABLE
        return self._electrical(phase, quantity) or NOT_AVAILABLE

    def _electrical(self, phase: int, quantity: int) -> bytes | None:
        """A phase carries a third of the load. Powers 4..6 in W, var, VA; C..E in kW, kvar, kVA."""
        volts, amperes = self._volts(phase), self._current(phase)
        share = 3 if phase else 1
        active, reactive, apparent = (power // share for power in self._powers())
        factor = abs(active) * 10_000 // apparent if apparent else 10_000
        known = {
            0x3: instantaneous(factor, 4),
            0x4: instantaneous(abs(active), 0, active < 0),
            0x5: instantaneous(reactive, 0),
            0x6: instantaneous(apparent, 0),
            0x7: instantaneous(1, 0),
            0x8: instantaneous(500_000 + self._unit.clock.now() % 60 * 10 - 300, 4),
            0x9: instantaneous(1200 * (phase - 1), 1) if phase else None,
            0xC: instantaneous(abs(active), 3, active < 0),
            0xD: instantaneous(reactive, 3),
            0xE: instantaneous(apparent, 3),
        }
        if phase:
            known |= {0x1: instantaneous(amperes, 3), 0xA: instantaneous(amperes, 3)}
            known |= {0x2: instantaneous(volts, 1), 0xB: instantaneous(volts, 1)}
        return known.get(quantity)

    def _volts(self, phase: int) -> int:
        """Tenths of a volt, different per phase, wandering with the time of day."""
        return 2390 + phase * 7 + self._unit.clock.now() // 600 % 25

    def _current(self, phase: int) -> int:
        """Milliamperes of one phase."""
        return self._powers()[2] // 3 * 10_000 // self._volts(phase)

    def _powers(self) -> tuple[int, int, int]:
        now = self._unit.clock.now()
        active = self._unit.power("import", now) - self._unit.power("export", now)
        reactive = sum(self._unit.power(name, now) for name in ("q1", "q2", "q3", "q4"))
        return active, reactive, isqrt(active * active + reactive * reactive)
