"""Registry files: CSV and back, faults by line and column, `mts registry import` and `export`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from mts_client.batch_file import BadBatchFile
from mts_client.cli.session import ExitCode, Session
from mts_client.registry_columns import COLUMNS, TEXT, read_cell, write_cell
from mts_client.registry_file import RegistryFile, read_csv, write_csv
from mts_client.testing import ADMIN_TOKEN, URL, FakeMts
from mts_gateway.registry.kinds import REGISTRY, Nested

Run = Callable[..., Result]

EXAMPLE = json.loads((Path(__file__).parents[3] / "examples" / "registry-seed.json").read_bytes())
ASSETS = "kind,id,number,distributor\nassets,1,A1,d\n"


def document(text: str) -> Any:
    return json.loads(read_csv(text.encode()).body)


def faults(text: str) -> list[str]:
    with pytest.raises(BadBatchFile) as refused:
        read_csv(text.encode())
    return [str(fault) for fault in refused.value.faults]


def test_the_columns_are_the_registry_s_keys() -> None:
    assert {kind: set(columns) - {"ContractId"} for kind, columns in COLUMNS.items() if kind != "contractMeters"} == {
        kind: {name for name in keys if name not in ("firmware", "lastTestEnd", "contractMeters", "ContractId")}
        - {"ObjectTypeCode", "ObjectId"}
        for kind, keys in REGISTRY.items()
    }
    inner = REGISTRY["contracts"]["contractMeters"]
    assert isinstance(inner, Nested)
    assert set(COLUMNS["contractMeters"]) == {"ContractId", *inner.keys}


def test_the_columns_are_documented() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    for kind, columns in COLUMNS.items():
        assert f"| `{kind}` | {', '.join(columns)} |" in text


def test_kinds_follow_their_headers_in_any_number() -> None:
    assert document(ASSETS + "kind,name,id\ntimezones,UTC,1\ntimezones,,2\n\nkind,number,id\nassets,A2,2\n") == {
        "assets": [{"id": 1, "number": "A1", "distributor": "d"}, {"number": "A2", "id": 2}],
        "timezones": [{"name": "UTC", "id": 1}, {"id": 2}],
    }


def test_a_blank_cell_gives_nothing_and_null_gives_null() -> None:
    assert document('kind,deviceId,label,customer,channels,relays\ndevices,1,null,,a; b,"[{""controlId"": 1}]"\n') == {
        "devices": [{"deviceId": "1", "label": None, "channels": ["a", "b"], "relays": [{"controlId": 1}]}]
    }


def test_contract_meters_stand_in_their_contracts() -> None:
    text = "kind,ContractId,ContractMeterId\ncontractMeters,10,1\ncontractMeters,11,2\nkind,ContractId\ncontracts,11\n"
    assert document(text)["contracts"] == [
        {"ContractId": 11, "contractMeters": [{"ContractMeterId": 2}]},
        {"ContractId": 10, "contractMeters": [{"ContractMeterId": 1}]},
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("assets,1\n", "line 1: there is no line before it that begins with kind"),
        (ASSETS + "asset,2\n", "line 3, kind: must be one of distributors, timezones"),
        (ASSETS + "assets,x\n", "line 3, id: must be a whole number"),
        (ASSETS + "assets,2,A2,d,e\n", "line 3: has 5 cells, its header 4"),
        ("kind,id,id\n", "line 1, id: the column is named twice"),
        ("kind,id,colour\nassets,1,red\n", "line 2, colour: is not a column of this kind"),
        ("kind,deviceId,registered\ndevices,1,yes\n", "line 2, registered: must be true or false"),
        ("kind,deviceId,relays\ndevices,1,on\n", "line 2, relays: must be a JSON list"),
        ('kind,id\nassets,"1\n', "line 2: this is not CSV"),
    ],
)
def test_a_fault_is_told_by_line_and_column(text: str, fault: str) -> None:
    [found] = faults(text)
    assert found.startswith(fault)


def test_the_server_s_faults_are_told_by_line_and_column() -> None:
    text = ASSETS + "kind,ContractId,ContractMeterId,MeterId\ncontractMeters,10,1,7\n"
    assert read_csv(text.encode()).faults(
        [
            "/assets/0/number: is odd",
            "/contracts/0/contractMeters/0/MeterId: is not among the meters",
            "too many: of it",
        ]
    ) == ["line 2, number: is odd", "line 4, MeterId: is not among the meters", "too many: of it"]
    assert RegistryFile(b"{}", {}).faults(["/assets/0/number: is odd"]) == ["/assets/0/number: is odd"]


def test_a_registry_in_csv_is_read_back_as_it_was() -> None:
    kinds = {kind: items for kind, items in EXAMPLE.items() if kind in REGISTRY}
    kinds["devices"][2]["label"] = ' a "label", with; all '
    kinds["devices"][1]["channels"] = ["a;b", "[c"]
    found = document(write_csv(kinds))
    for kind, items in kinds.items():
        for item, back in zip(items, found[kind], strict=True):
            given = {name: value for name, value in item.items() if value not in (None, [], "")}
            expected = {name: str(value) if name == "baseDailyRate" else value for name, value in given.items()}
            if kind != "contracts":
                assert back == expected
    [meter, *_] = found["contracts"][0]["contractMeters"]
    assert meter["MeterIntervalValue"] == "500"


@given(st.text(min_size=1))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    assert read_cell(TEXT, write_cell(text)) == text


@pytest.fixture
def run(mts: FakeMts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    from typer.testing import CliRunner

    from mts_client.cli import app

    monkeypatch.chdir(tmp_path)
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": None, "MTS_URL": URL, "MTS_ADMIN_TOKEN": ADMIN_TOKEN}

    def run_mts(*arguments: str) -> Result:
        return CliRunner(env=environment).invoke(app, arguments, obj=Session(transport=mts.transport()))

    return run_mts


def test_a_csv_file_is_imported_and_again_without_a_change(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ASSETS)
    first, second = (run("registry", "import", "a.csv") for _ in range(2))
    assert (first.exit_code, first.stdout) == (0, "Changed: 1 assets\n")
    assert (second.exit_code, second.stdout) == (0, "Nothing has changed\n")
    assert mts.registry == {"assets": [{"id": 1, "number": "A1", "distributor": "d"}]}


def test_a_json_file_is_sent_as_it_is(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"assets": [{"id":  1}]}')
    assert run("registry", "import", "a.json").exit_code == 0
    assert mts.requests[-1].content == b'{"assets": [{"id":  1}]}'


def test_a_file_with_faults_is_not_sent(run: Run, mts: FakeMts, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ASSETS + "assets,x\n")
    result = run("registry", "import", "a.csv")
    assert result.exit_code == ExitCode.USAGE
    assert "line 3, id: must be a whole number" in result.output
    assert not mts.requests


def test_what_the_server_refuses_is_told_by_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ASSETS + "assets,,,\n")
    result = run("registry", "import", "a.csv")
    assert result.exit_code == ExitCode.REFUSED
    assert "line 3, id: is required" in result.output


def test_the_registry_is_exported_in_both_forms(run: Run, mts: FakeMts) -> None:
    mts.registry = {"assets": [{"id": 1, "number": "A1", "distributor": None}]}
    assert json.loads(run("registry", "export").stdout) == mts.registry
    assert run("registry", "export", "--format", "csv").stdout == (
        '"kind","id","number","distributor"\n"assets","1","A1",""\n'
    )
