"""The values of an IEC 62056-21 meter's readout list, written the maker's way (fact sheet, sections 6 and 7)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mts_metersim.clock import is_summer, wall
from mts_metersim.makers import Maker
from mts_metersim.unit import Unit

HISTORY = 3
BASE_RESETS = 10
_CHANNEL_OF = {"1": "import", "2": "export", "5": "q1", "6": "q2", "7": "q3", "8": "q4", "9": "va"}
_POWER_UNITS = {"1": "kW", "2": "kW", "9": "kVA"}


@dataclass(frozen=True, slots=True)
class Item:
    """One data set of the list: what is shown as its code, what it holds, whether past billing values follow."""

    code: str
    what: str
    billed: bool


def item_of(text: str) -> Item:
    """An entry of `Maker.items` (see there)."""
    code, _, what = text.partition("=")
    return Item(code.rstrip("*"), what or _meaning(code.rstrip("*")), code.endswith("*"))


def _meaning(code: str) -> str:
    fixed = {
        "F.F": "text:00000000",
        "0.0.0": "serial",
        "0.9.1": "time",
        "0.9.2": "date",
        "0.9.6": "text:00:00",
        "0.9.7": "reset date",
        "0.1.0": "reset count",
        "C.7.0": "power cuts",
    }
    if code in fixed:
        return fixed[code]
    head, kind, _ = code.split(".")
    if kind == "7":
        return f"{'voltage' if head[1] == '2' else 'current'}:{(int(head[0]) - 1) // 2}"
    return "energy" if kind == "8" else "demand"


def energy_unit(c: str) -> str:
    return f"{_POWER_UNITS.get(c, 'kvar')}h"


def power_unit(c: str) -> str:
    return _POWER_UNITS.get(c, "kvar")


def fixed_point(value: int, decimals_held: int, digits: tuple[int, int]) -> str:
    """An integer that holds `decimals_held` decimals, with (at least, exactly) so many digits before and after the
    point: cut, not rounded, as a register shows it."""
    before, after = digits
    whole, rest = divmod(value * 10**after // 10**decimals_held, 10**after)
    return f"{whole:0{before}d}.{rest:0{after}d}"


class Values:
    """Every value of the list at one instant of the meter's clock."""

    def __init__(self, unit: Unit, maker: Maker) -> None:
        self._unit = unit
        self._maker = maker
        self._at = unit.clock.now()
        self._resets = unit.resets(self._at)
        self._plain: dict[str, Callable[[], str]] = {
            "serial": lambda: f"({unit.shown_serial})",
            "time": lambda: f"({self._written(maker.time_form, self._at)})",
            "date": lambda: f"({self._written(maker.date_form, self._at)})",
            "reset date": lambda: f"({self._written(maker.date_form, self._resets[0]) if self._resets else ''})",
            "reset count": lambda: f"({self._reset_number(0):02d})",
            "resets": lambda: f"({self._written(maker.moment_form, self._resets[0]) if self._resets else ''})",
            "parameters": lambda: f"({self._written(maker.moment_form, unit.installed)})",
            "power cuts": lambda: f"({len(unit.power_cuts(self._at)):08d})",
            "period": lambda: f"({unit.meter.options.period_minutes})",
            "dips": lambda: "(0000)(00-00-00 00:00)",
        }

    def lines(self, items: tuple[str, ...]) -> Iterator[str]:
        """The list's lines without CR LF: each item and, where it keeps them, its values at the last resets."""
        for item in map(item_of, items):
            shown = self._maker.code_form.format(item.code)
            yield shown + self.value(item)
            if item.billed:
                for index, reset in enumerate(self._resets[:HISTORY]):
                    yield f"{shown}*{self._reset_number(index):02d}{self._past(item, index, reset)}"

    def value(self, item: Item) -> str:
        """The item now, brackets included."""
        kind, _, rest = item.what.partition(":")
        if kind == "text":
            return f"({rest})"
        if kind == "energy":
            return self._energy(item.code, self._at)
        if kind == "demand":
            return self._demand(item.code, self._resets[0] if self._resets else self._unit.installed, self._at)
        if kind in ("voltage", "current"):
            return self._electrical(kind, int(rest))
        return self._plain[item.what]()

    def _past(self, item: Item, index: int, reset: int) -> str:
        if item.what == "energy":
            return self._energy(item.code, reset)
        if item.what == "demand":
            begin = self._resets[index + 1] if index + 1 < len(self._resets) else self._unit.installed
            return self._demand(item.code, begin, reset)
        return f"({self._written(self._maker.moment_form, reset)})"

    def _energy(self, code: str, at: int) -> str:
        c, _, rate = code.split(".")
        channel = _CHANNEL_OF[c]
        total = self._unit.total(channel, at) if rate == "0" else self._unit.rate(channel, rate == "1", at)
        digits = self._maker.total_digits if rate == "0" else self._maker.rate_digits
        return f"({fixed_point(total % 10 ** (digits[0] + 6), 6, digits)}*{energy_unit(c)})"

    def _demand(self, code: str, begin: int, end: int) -> str:
        """The greatest demand of a billing period and the end of its interval."""
        c = code.split(".", maxsplit=1)[0]
        best = self._unit.greatest(_CHANNEL_OF[c], begin, end)
        milliwatts, moment = best[0] if best else (0, begin)
        value = fixed_point(milliwatts, 6, self._maker.demand_digits)
        return f"({value}*{power_unit(c)})({self._written(self._maker.moment_form, moment)})"

    def _electrical(self, kind: str, phase: int) -> str:
        tenths = 2390 + phase * 7 + self._at // 600 % 25
        if kind == "voltage":
            return f"({fixed_point(tenths, 1, (3, 1))}*V)"
        return f"({fixed_point(self._unit.power('va', self._at) // 3 * 10_000 // tenths, 3, (3, 3))}*A)"

    def _reset_number(self, index: int) -> int:
        return (BASE_RESETS + len(self._resets) - index) % 100

    def _written(self, form: str, instant: int) -> str:
        season = season_digit(self._unit, self._maker, instant)
        return wall(self._unit.zone, instant).strftime(form.replace("s%", f"{season}%", 1))


def season_digit(unit: Unit, maker: Maker, instant: int) -> int:
    """0 standard time, 1 summer time, 2 UTC where the maker says so (fact sheet, section 6)."""
    if unit.meter.clock.zone == "UTC":
        return maker.utc_season
    return 1 if is_summer(unit.zone, instant) else 0
