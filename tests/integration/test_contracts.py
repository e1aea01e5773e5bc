"""The contract meters API as its own SDK and command line use it, over TLS, on the example seed file."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from mts_client import Modified, NotFound, Unauthorized
from mts_client.contracts import ContractsClient
from mts_gateway.testing import RunningGateway

CONTRACT, METER = 300100568130910, 300100568130911


def test_the_sdk_reads_and_changes_contracts(gateway: RunningGateway) -> None:
    url, trust = f"https://127.0.0.1:{gateway.port}/MTS", gateway.settings.tls_cert
    with ContractsClient(url, "USER", "pw", trust=trust) as client:
        (contract,) = client.all_contracts()
        assert (contract.contract_id, contract.calculated_expiration_date) == (CONTRACT, date(2028, 4, 19))
        page = client.contract_meters(CONTRACT, q="MeterEndValue > 500", order_by="MeterCode:desc", limit=1)
        assert ([meter.meter_code for meter in page.items], page.has_more) == (["METER_TEMP_CODE_ABS_ASC_3"], True)
        before = client.contract_meter(CONTRACT, METER)
        after = client.change_contract_meter(CONTRACT, METER, interval=Decimal(1000), version=before.version)
        assert (after.meter_end_value, after.calculated_due_date) == (Decimal(1000), date(2022, 11, 17))
        with pytest.raises(Modified):
            client.change_contract_meter(CONTRACT, METER, interval=Decimal(1), version=before.version)
        client.change_contract_meter(CONTRACT, METER, interval=before.meter_interval_value)
        with pytest.raises(NotFound):
            client.contract(1)
    with ContractsClient(url, "USER", "wrong", trust=trust) as client, pytest.raises(Unauthorized):
        client.contract(CONTRACT)


def test_the_command_line_shows_due_dates(gateway: RunningGateway, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MTS_")},
        "HOME": str(tmp_path),
        "MTS_URL": f"https://127.0.0.1:{gateway.port}",
        "MTS_CA_FILE": str(gateway.settings.tls_cert),
        "MTS_USER": "USER",
        "MTS_USER_PASSWORD": "pw",
    }
    shown = subprocess.run(
        [sys.executable, "-m", "mts_client", "contracts", str(CONTRACT)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["CONTRACT", "METER", "CODE", "UNIT", "FROM", "TO", "DUE", "DISABLED"]
    assert [line.split()[-1] for line in lines[1:]] == ["2022-10-16", "2028-04-19", "2028-04-19"]
