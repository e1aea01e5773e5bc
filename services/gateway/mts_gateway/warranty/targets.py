"""What a URL names (§1), before it is known whether there is such a thing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from mts_gateway.warranty.faults import not_found, refused
from mts_gateway.warranty.literals import LARGEST_INTEGER
from mts_gateway.warranty.rendering import ROOT, VERSION
from mts_gateway.warranty.resources import CONTRACTS, METERS

VERSIONS = (VERSION, "latest")


class Place(StrEnum):
    """The kinds of URL."""

    CATALOGUE = "catalogue"
    DESCRIBE = "describe"
    DESCRIBE_CONTRACTS = "describe contracts"
    DESCRIBE_METERS = "describe meters"
    CONTRACTS = "contracts"
    CONTRACT = "contract"
    METERS = "meters"
    METER = "meter"


_CONTRACTS = f"{ROOT}/{{version}}/{CONTRACTS.name}"
_METERS = f"{_CONTRACTS}/{{contractId}}/child/{METERS.name}"

TEMPLATES = (
    ROOT,
    f"{ROOT}/{{version}}/describe",
    _CONTRACTS,
    f"{_CONTRACTS}/describe",
    f"{_CONTRACTS}/{{contractId}}",
    _METERS,
    f"{_METERS}/describe",
    f"{_METERS}/{{contractMeterId}}",
)
"""The URLs that `find` knows, as measurements and traces call them; the more special first."""

VERBS = {
    Place.CONTRACTS: ("GET", "POST"),
    Place.METERS: ("GET", "POST"),
    Place.CONTRACT: ("GET", "PATCH"),
    Place.METER: ("GET", "PATCH"),
}
"""What may be done at a place; at all others there is only something to read."""

ITEMS = (Place.CONTRACT, Place.METER)

_ID = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A place, with the ids in its URL; 0 where it has none."""

    place: Place
    contract_id: int = 0
    contract_meter_id: int = 0

    @property
    def verbs(self) -> tuple[str, ...]:
        """What may be done there."""
        return VERBS.get(self.place, ("GET",))


def find(path: str) -> Target:
    """What a decoded path names. Raises `Fault` (404)."""
    if path == ROOT:
        return Target(Place.CATALOGUE)
    if not path.startswith(f"{ROOT}/"):
        raise not_found()
    version, *rest = path.removeprefix(f"{ROOT}/").split("/")
    if version not in VERSIONS:
        raise refused(404, f"Not Found: there is no version {version[:40]!r}")
    return _below(rest)


def _below(rest: list[str]) -> Target:
    """What is at the path `rest` of the version."""
    match rest:
        case ["describe"]:
            return Target(Place.DESCRIBE)
        case [CONTRACTS.name]:
            return Target(Place.CONTRACTS)
        case [CONTRACTS.name, "describe"]:
            return Target(Place.DESCRIBE_CONTRACTS)
        case [CONTRACTS.name, contract_id]:
            return Target(Place.CONTRACT, _id(contract_id))
        case [CONTRACTS.name, contract_id, "child", METERS.name]:
            return Target(Place.METERS, _id(contract_id))
        case [CONTRACTS.name, contract_id, "child", METERS.name, "describe"]:
            return Target(Place.DESCRIBE_METERS, _id(contract_id))
        case [CONTRACTS.name, contract_id, "child", METERS.name, contract_meter_id]:
            return Target(Place.METER, _id(contract_id), _id(contract_meter_id))
    raise not_found()


def _id(text: str) -> int:
    if not _ID.fullmatch(text) or int(text) > LARGEST_INTEGER:
        raise not_found()
    return int(text)
