"""Items and collections as the JSON of an answer (§3): attributes in their order, links, change indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mts_gateway.warranty.negotiation import EXPANDED_COLLECTIONS
from mts_gateway.warranty.parameters import Shape
from mts_gateway.warranty.resources import CONTRACTS, METERS, Resource
from mts_gateway.warranty.selection import EXPANDED_ROWS, Found, Row

VERSION = "11.13.18.05"
ROOT = "/fscmRestApi/resources"

# A version as the original writes it: a Java-serialised ArrayList of one Integer.
_INDICATOR = (
    "ACED0005737200136A6176612E7574696C2E41727261794C6973747881D21D99C7619D03000149000473697A65787000000001770400000001"
    "737200116A6176612E6C616E672E496E746567657212E2A0A4F781873802000149000576616C7565787200106A6176612E6C616E672E4E756D"
    "62657286AC951D0B94E08B0200007870{:08X}78"
)

Body = dict[str, Any]


def change_indicator(object_version: int) -> str:
    """A version as a text that differs from version to version."""
    return _INDICATOR.format(object_version)


def etag(row: Row) -> str:
    """An item's entity tag."""
    return f'"{change_indicator(row["object_version"])}"'


def show(value: object) -> object:
    """A value of the database as JSON has it."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + _milliseconds(moment) + "+00:00"
    return value.isoformat() if isinstance(value, date) else value


def _number(value: Decimal) -> int | Decimal:
    """The same number without zeros at the end of its fraction; no digit is lost."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return Decimal(text) if "." in text else int(text)


def _milliseconds(moment: datetime) -> str:
    thousandths = moment.microsecond // 1000
    return f".{thousandths:03}" if thousandths else ""


@dataclass(frozen=True, slots=True)
class Renderer:
    """Shows what was found under the origin that the client knows, as it was asked for."""

    origin: str
    framework: int
    shape: Shape

    def contract(self, row: Row, meters: Found | None) -> Body:
        """A contract, with its meters if they are shown too."""
        body = _attributes(CONTRACTS, row, self.shape.own)
        if meters is not None:
            body[METERS.name] = self._expanded(row["ContractId"], meters)
        href = self.contract_href(row["ContractId"])
        children = _link("child", f"{href}/child/{METERS.name}", METERS.name, "collection")
        return self._linked(body, [*_own_links(href, CONTRACTS.name, row), children])

    def meter(self, row: Row, shown: frozenset[str] | None) -> Body:
        """A contract meter, with the attributes that are `shown`."""
        href = self.meter_href(row["ContractId"], row["ContractMeterId"])
        parent = _link("parent", self.contract_href(row["ContractId"]), CONTRACTS.name, "item")
        return self._linked(_attributes(METERS, row, shown), [*_own_links(href, METERS.name, row), parent])

    def collection(self, name: str, href: str, items: Sequence[Body], found: Found, limit: int, offset: int) -> Body:
        """A page of items in its envelope."""
        total = {} if found.total is None else {"totalResults": found.total}
        return {
            "items": items,
            **total,
            "count": len(items),
            "hasMore": found.has_more,
            "limit": limit,
            "offset": offset,
            "links": self._kept([_link("self", href, name, "collection")]),
        }

    def contract_href(self, contract_id: int) -> str:
        """Where a contract is."""
        return f"{self.contracts_href}/{contract_id}"

    def meter_href(self, contract_id: int, contract_meter_id: int) -> str:
        """Where a contract meter is."""
        return f"{self.meters_href(contract_id)}/{contract_meter_id}"

    def meters_href(self, contract_id: int) -> str:
        """Where a contract's meters are."""
        return f"{self.contract_href(contract_id)}/child/{METERS.name}"

    @property
    def contracts_href(self) -> str:
        """Where the contracts are."""
        return f"{self.origin}{ROOT}/{VERSION}/{CONTRACTS.name}"

    def _expanded(self, contract_id: int, meters: Found) -> Body | list[Body]:
        items = [self.meter(row, self.shape.child) for row in meters.rows]
        if self.framework < EXPANDED_COLLECTIONS:
            return items
        return self.collection(METERS.name, self.meters_href(contract_id), items, meters, EXPANDED_ROWS, 0)

    def _linked(self, body: Body, links: Sequence[Body]) -> Body:
        return body if self.shape.only_data else {**body, "links": self._kept(links)}

    def _kept(self, links: Sequence[Body]) -> list[Body]:
        return [link for link in links if self.shape.links is None or link["rel"] in self.shape.links]


def _attributes(resource: Resource, row: Row, shown: frozenset[str] | None) -> Body:
    return {
        attribute.name: show(row[attribute.name])
        for attribute in resource.attributes
        if shown is None or attribute.name in shown
    }


def _own_links(href: str, name: str, row: Row) -> list[Body]:
    properties = {"changeIndicator": change_indicator(row["object_version"])}
    return [_link("self", href, name, "item", properties), _link("canonical", href, name, "item")]


def _link(rel: str, href: str, name: str, kind: str, properties: Mapping[str, str] | None = None) -> Body:
    link: Body = {"rel": rel, "href": href, "name": name, "kind": kind}
    return link if properties is None else {**link, "properties": dict(properties)}
