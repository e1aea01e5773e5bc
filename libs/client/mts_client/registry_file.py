"""Registry files as the server takes them, from JSON or CSV, with every fault named by line and column or JSON pointer.

A CSV file (UTF-8) holds any number of kinds. A line whose first cell is `kind` names the columns of the lines after it,
which begin with the name of their kind:

    kind,id,number,distributor
    assets,1,A1,7d0f1d0e-1111-4a6b-9c1e-000000000001

Contract meters are a kind of their own, with the ContractId of their contract.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mts_client.batch_file import BadBatchFile, Fault, csv_records
from mts_client.registry_columns import COLUMNS, BadCell, Column, read_cell, write_cell

HEADER = "kind"
_NESTED, _OUTER, _OUTER_ID = "contractMeters", "contracts", "ContractId"

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """`body` is what is sent; `lines` are the lines on which its items stand, by JSON pointer, none for a JSON file."""

    body: bytes = field(repr=False)
    lines: Mapping[str, int]

    def faults(self, details: Iterable[str]) -> list[str]:
        """The server's faults, each with the line and the column where the file has them."""
        return [self._place(detail) for detail in details]

    def _place(self, detail: str) -> str:
        pointer, colon, text = detail.partition(": ")
        parts = pointer.split("/")
        for length in range(len(parts), 1, -1):
            line = self.lines.get("/".join(parts[:length]))
            if colon and line is not None:
                return str(Fault(line, "/".join(parts[length:]), text))
        return detail


def read_json(content: bytes) -> RegistryFile:
    """A file that is JSON already; the server names its faults."""
    return RegistryFile(content, {})


def read_csv(content: bytes) -> RegistryFile:
    """The items of a CSV file. Raises `BadBatchFile` with all faults."""
    table = _Table()
    for line, cells in csv_records(content):
        table.add(line, cells)
    if table.faults:
        raise BadBatchFile(table.faults)
    document, lines = table.document()
    return RegistryFile(json.dumps(document, separators=(",", ":")).encode(), lines)


class _Table:
    """What a CSV file has come to, line by line."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._header: Sequence[str] | None = None
        self._items: dict[str, list[tuple[int, Item]]] = {}

    def add(self, line: int, cells: Sequence[str]) -> None:
        """The next record."""
        kind = cells[0].strip()
        if kind == HEADER:
            self._header = names = [name.strip() for name in cells]
            doubled = {name for name in names if name and names.count(name) > 1}
            self.faults += [Fault(line, name, "the column is named twice") for name in sorted(doubled)]
        elif self._header is None:
            self.faults.append(Fault(line, "", f"there is no line before it that begins with {HEADER}"))
        elif kind not in COLUMNS:
            self.faults.append(Fault(line, HEADER, f"must be one of {', '.join(COLUMNS)}"))
        elif len(cells) > len(self._header):
            self.faults.append(Fault(line, "", f"has {len(cells)} cells, its header {len(self._header)}"))
        else:
            named = zip(self._header[1:], cells[1:], strict=False)
            item = dict(self._read(line, COLUMNS[kind], ((name, cell) for name, cell in named if cell.strip())))
            self._items.setdefault(kind, []).append((line, item))

    def _read(
        self, line: int, columns: Mapping[str, Column], cells: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[str, object]]:
        for name, cell in cells:
            if name not in columns:
                self.faults.append(Fault(line, name, "is not a column of this kind"))
                continue
            try:
                yield name, read_cell(columns[name], cell)
            except BadCell as bad:
                self.faults.append(Fault(line, name, str(bad)))

    def document(self) -> tuple[Mapping[str, list[Item]], Mapping[str, int]]:
        """The file as JSON, and on which lines its items stand."""
        document = {kind: [item for _, item in items] for kind, items in self._items.items() if kind != _NESTED}
        lines = {
            f"/{kind}/{place}": line
            for kind, items in self._items.items()
            if kind != _NESTED
            for place, (line, _) in enumerate(items)
        }
        contracts = document.setdefault(_OUTER, []) if _NESTED in self._items else []
        places = {contract.get(_OUTER_ID): place for place, contract in enumerate(contracts)}
        for line, item in self._items.get(_NESTED, ()):
            contract_id = item.pop(_OUTER_ID, None)
            if contract_id not in places:
                places[contract_id] = len(contracts)
                contracts.append({_OUTER_ID: contract_id})
                lines[f"/{_OUTER}/{places[contract_id]}"] = line
            meters = contracts[places[contract_id]].setdefault(_NESTED, [])
            lines[f"/{_OUTER}/{places[contract_id]}/{_NESTED}/{len(meters)}"] = line
            meters.append(item)
        return document, lines


def write_csv(document: Mapping[str, Sequence[Item]]) -> str:
    """A registry, as the server shows it, in CSV."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)  # blanks at the edges of a text count
    for kind, columns in COLUMNS.items():
        items = list(_items_of(document, kind))
        if items:
            writer.writerow([HEADER, *columns])
            writer.writerows([kind, *(write_cell(item.get(name)) for name in columns)] for item in items)
    return out.getvalue()


def _items_of(document: Mapping[str, Sequence[Item]], kind: str) -> Iterator[Item]:
    if kind != _NESTED:
        yield from document.get(kind, ())
        return
    for contract in document.get(_OUTER, ()):
        yield from ({**meter, _OUTER_ID: contract[_OUTER_ID]} for meter in contract[_NESTED])
