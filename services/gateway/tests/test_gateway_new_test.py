"""What may be asked for with test-request and batch-request."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_gateway.new_test import NewTest, Rules, check_batch, check_test
from mts_gateway.strict_json import parse

TODAY = date(2026, 11, 20)
LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
TEXTS = [
    "requestReference",
    "meterType",
    "remoteAddress",
    "comsSettings",
    "outstationAddress",
    "serialNumber",
    "password",
    "surveyDate",
]
RULES = Rules(max_survey_days=100, max_batch_tests=3)


def check(body: object) -> tuple[NewTest | None, list[str]]:
    faults: list[str] = []
    test = check_test(parse(json.dumps(body).encode()), RULES, TODAY, faults)
    return test, faults


def accepted(**given: Any) -> NewTest:
    test, faults = check(LEAST | given)
    assert faults == []
    assert test is not None
    return test


def refused(**given: Any) -> list[str]:
    test, faults = check({name: value for name, value in (LEAST | given).items() if value is not ...})
    assert test is None
    return faults


def test_every_parameter_of_the_sample_is_taken() -> None:
    test = accepted(
        requestReference="ABC",
        outstationAddress="1",
        serialNumber="12345678",
        password="AAAA0000",
        surveyDays=10,
        surveyDate="2019-12-01",
        immediate=True,
        comsSettings="7E1",
    )
    assert test.request_reference == "ABC"
    assert test.immediate is True
    assert test.meter_type == "ELSTERA1700"
    assert test.address.text == "07777000000"
    assert test.coms_settings == "7E1"
    assert (test.outstation_address, test.serial_number, test.password) == ("1", "12345678", "AAAA0000")
    assert (test.survey_days, test.survey_date) == (10, date(2019, 12, 1))
    assert "AAAA0000" not in repr(test)


def test_absent_optional_parameters_have_their_defaults() -> None:
    test = accepted()
    assert (test.immediate, test.survey_days, test.survey_date) == (False, 0, None)
    assert test.request_reference is test.coms_settings is test.outstation_address is test.password is None


@pytest.mark.parametrize("empty", [None, ""])
def test_null_and_the_empty_string_mean_absent(empty: str | None) -> None:
    optional = [name for name in TEXTS if name not in LEAST] + ["immediate", "surveyDays"]
    assert accepted(**dict.fromkeys(optional, empty)) == accepted()
    assert refused(meterType=empty, remoteAddress=empty) == ["meterType is required", "remoteAddress is required"]


def test_unknown_parameters_are_ignored() -> None:
    assert accepted(testId=77, extra={"deep": [1, 2]}, Extra=None) == accepted()


def test_parameter_names_are_taken_in_any_case() -> None:
    test, faults = check({"METERTYPE": "ELSTERA1700", "remoteaddress": "07777000000", "SurveyDAYS": 2})
    assert faults == []
    assert test is not None
    assert test.survey_days == 2


def test_a_parameter_given_twice_is_refused() -> None:
    assert refused(METERTYPE="ELSTERA1700") == ["meterType is given more than once"]
    faults: list[str] = []
    body = b'{"meterType": "ELSTERA1700", "remoteAddress": "123", "remoteAddress": "123"}'
    assert check_test(parse(body), RULES, TODAY, faults) is None
    assert faults == ["remoteAddress is given more than once"]


def test_all_faults_come_at_once_each_naming_its_parameter() -> None:
    faults = refused(
        requestReference="x" * 101,
        immediate="yes",
        meterType="NOPE",
        remoteAddress="abc",
        comsSettings="9X9",
        outstationAddress=1,
        serialNumber="x" * 65,
        password="x" * 129,
        surveyDays=101,
        surveyDate="2026-02-30",
    )
    assert sorted(fault.split()[0] for fault in faults) == sorted([*TEXTS, "immediate", "surveyDays"])


@pytest.mark.parametrize("body", [1, "text", None, True, [], [LEAST]])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert check(body) == (None, ["the body must be a JSON object"])


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], {}])
@pytest.mark.parametrize(
    "name",
    [
        "requestReference",
        "meterType",
        "remoteAddress",
        "comsSettings",
        "outstationAddress",
        "serialNumber",
        "password",
        "surveyDate",
    ],
)
def test_a_text_of_another_json_type_is_refused(name: str, wrong: object) -> None:
    assert refused(**{name: wrong}) == [f"{name} must be a string"]


@pytest.mark.parametrize("wrong", ["true", "false", 0, 1, [], {}])
def test_only_a_json_boolean_is_a_boolean(wrong: object) -> None:
    assert refused(immediate=wrong) == ["immediate must be true or false"]


@pytest.mark.parametrize("bad", ["\x00", "a\x00b", "\ud800", "x\udfff"])
@pytest.mark.parametrize("name", ["requestReference", "outstationAddress", "serialNumber", "password", "unknown"])
def test_nul_and_unpaired_surrogates_are_refused_in_any_string(name: str, bad: str) -> None:
    assert refused(**{name: bad})[0] == f"{name} holds a NUL or an unpaired surrogate"


def test_a_fault_in_an_unknown_name_can_be_shown() -> None:
    assert refused(**{"x\x00\ud800": 1}) == ["x\\x00\\ud800 holds a NUL or an unpaired surrogate"]


@pytest.mark.parametrize(
    ("name", "most"), [("requestReference", 100), ("serialNumber", 64), ("outstationAddress", 64), ("password", 128)]
)
def test_a_text_may_be_as_long_as_its_limit(name: str, most: int) -> None:
    assert refused(**{name: "x" * (most + 1)}) == [f"{name} must not be longer than {most} characters"]
    assert not [fault for fault in check(LEAST | {name: "x" * most})[1] if "longer" in fault]


def test_a_reference_is_kept_verbatim() -> None:
    reference = "  Zähler 電力 😀 \t\n"
    assert accepted(requestReference=reference).request_reference == reference
    assert accepted(requestReference="😀" * 100).request_reference == "😀" * 100


@pytest.mark.parametrize("name", ["elstera1700", "ElsterA1700", "ELSTERA1700"])
def test_the_meter_type_is_taken_in_any_case_and_kept_canonical(name: str) -> None:
    assert accepted(meterType=name).meter_type == "ELSTERA1700"


def test_an_unknown_or_unsupported_meter_type_is_refused() -> None:
    assert refused(meterType="ELSTER")[0].startswith("meterType is not a known meter type")
    assert refused(meterType="PREMIERPRI") == ["meterType PREMIERPRI is not supported yet"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("07777000000", "07777000000"),
        ("07777 000-000", "07777000000"),
        ("+44 7777 000000", "+447777000000"),
        ("123", "123"),
        ("1" * 20, "1" * 20),
        ("10.2.34.4:3400", "10.2.34.4:3400"),
        ("[2001:db8::1]:1", "[2001:db8::1]:1"),
        ("Meter.Example:65535", "Meter.Example:65535"),
    ],
)
def test_recognised_addresses_are_kept(given: str, kept: str) -> None:
    assert accepted(remoteAddress=given).address.text == kept


@pytest.mark.parametrize(
    "address",
    ["abc", "12", "1" * 21, "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "host:", ":80", "[::1]", "::1:80", "1.2.3:80",
     "ho st:1", "+", " 07777000000", "0777x", "http://h:1"],
)  # fmt: skip
def test_any_other_address_is_refused(address: str) -> None:
    assert refused(remoteAddress=address) == ["remoteAddress is not in a recognised format"]


@pytest.mark.parametrize("settings", ["7E1", "8N1", "7O2", "8M1", "8S2"])
def test_line_settings_are_taken_for_a_phone_number(settings: str) -> None:
    assert accepted(comsSettings=settings).coms_settings == settings


def test_other_line_settings_or_an_ip_address_are_refused() -> None:
    for settings in ("7e1", "6E1", "7X1", "7E3", "7E", "7E11"):
        assert refused(comsSettings=settings)[0].startswith("comsSettings must be data bits, parity and stop bits")
    assert refused(comsSettings="7E1", remoteAddress="h:1") == ["comsSettings applies to phone numbers only"]


@pytest.mark.parametrize(("given", "days"), [(0, 0), (10, 10), (100, 100), (10.0, 10), (-0.0, 0)])
def test_survey_days_are_a_whole_number(given: object, days: int) -> None:
    assert accepted(surveyDays=given).survey_days == days


@pytest.mark.parametrize("wrong", [-1, 1.5, "10", True, [], {}])
def test_survey_days_of_another_kind_are_refused(wrong: object) -> None:
    assert refused(surveyDays=wrong) == ["surveyDays must be a whole number from 0 to 100"]


def test_survey_days_over_the_limit_are_refused_and_never_clamped() -> None:
    assert refused(surveyDays=101) == ["surveyDays is over the limit of 100"]


def test_a_type_without_survey_refuses_survey_days() -> None:
    assert refused(meterType="ISKRA_MT174", surveyDays=1) == ["surveyDays must be 0: ISKRA_MT174 keeps no survey"]
    assert accepted(meterType="ISKRA_MT174", surveyDays=0).survey_days == 0


@pytest.mark.parametrize(
    "wrong", ["2026-13-01", "2026-02-29", "20261101", "2026-11-1", "1/1/26", "2026-11-01T00:00:00"]
)
def test_a_survey_date_that_is_no_real_date_is_refused(wrong: str) -> None:
    assert refused(surveyDate=wrong) == ["surveyDate must be a date in the form yyyy-MM-dd"]


def test_a_survey_date_may_be_today_but_not_later() -> None:
    assert accepted(surveyDate="2026-11-20").survey_date == TODAY
    assert refused(surveyDate="2026-11-21") == ["surveyDate must not be in the future"]


def test_the_survey_starts_on_the_given_day_or_as_many_days_ago_as_it_has() -> None:
    assert accepted(surveyDays=10, surveyDate="2026-11-01").survey_from(TODAY) == date(2026, 11, 1)
    assert accepted(surveyDays=10).survey_from(TODAY) == date(2026, 11, 10)


def test_without_survey_days_the_date_is_checked_and_kept_but_starts_nothing() -> None:
    test = accepted(surveyDate="2026-11-01")
    assert test.survey_date == date(2026, 11, 1)
    assert test.survey_from(TODAY) is None
    assert refused(surveyDate="2026-11-21") == ["surveyDate must not be in the future"]


@pytest.mark.parametrize(
    ("meter", "name", "good", "bad"),
    [
        ("ELSTERA1700", "outstationAddress", "001", "A1"),
        ("ELSTERA1700", "password", "AAAA0000", "AAAA000"),
        ("LG_E650_IEC", "outstationAddress", "12345678", "1/2"),
        ("EMH_LZQJ", "outstationAddress", "x" * 32, "x" * 33),
        ("IEC62056_21", "password", "00000000", "(1)"),
        ("ISKRA_MT174", "password", "1234", "x" * 33),
    ],
)
def test_the_meter_type_says_what_address_and_password_look_like(meter: str, name: str, good: str, bad: str) -> None:
    accepted(**{"meterType": meter, name: good})
    faults = refused(**{"meterType": meter, name: bad})
    assert len(faults) == 1
    assert faults[0].startswith(f"{name} must be ")
    assert faults[0].endswith(f" for {meter}")


@pytest.mark.parametrize(
    ("meter", "password", "outstation"),
    [
        ("EDMIATLAS", "USER", None),
        ("DLMS", "gmac:00", "1"),
        ("LG_DLMS", "gmac:1:2", "1/2"),
        ("ITRON_SL7000", None, "x"),
    ],
)
def test_the_forms_of_the_other_types_are_checked_too(meter: str, password: str | None, outstation: str | None) -> None:
    faults = refused(meterType=meter, password=password, outstationAddress=outstation)
    named = {fault.split()[0] for fault in faults}
    assert named - {"meterType"} == {"outstationAddress"} | ({"password"} if password else set())


def test_a_type_may_demand_address_and_password() -> None:
    faults = refused(meterType="EDMIGENIUS")
    assert "outstationAddress is required for EDMIGENIUS: the meter's serial number in digits" in faults
    assert "password is required for EDMIGENIUS: USER,PASSWORD" in faults


def test_a_type_may_refuse_a_transport() -> None:
    assert "remoteAddress must be host:port for DLMS_WRAPPER" in refused(meterType="DLMS_WRAPPER")


def test_a_fault_never_repeats_the_password() -> None:
    assert "SECRET" not in " ".join(refused(password="SECRET"))


def check_all(body: object) -> tuple[list[NewTest], list[str]]:
    faults: list[str] = []
    return check_batch(parse(json.dumps(body).encode()), RULES, TODAY, faults), faults


def test_a_batch_keeps_its_order() -> None:
    tests, faults = check_all([LEAST | {"requestReference": str(place)} for place in range(3)])
    assert faults == []
    assert [test.request_reference for test in tests] == ["0", "1", "2"]


def test_each_fault_of_a_batch_names_its_item() -> None:
    _, faults = check_all([LEAST, LEAST | {"remoteAddress": "x", "immediate": 1}, 7])
    assert faults == [
        "[1].remoteAddress is not in a recognised format",
        "[1].immediate must be true or false",
        "[2] must be a JSON object",
    ]


def test_an_empty_batch_one_over_the_limit_and_no_array_are_refused() -> None:
    assert check_all([])[1] == ["the batch must hold at least one test"]
    assert check_all([LEAST] * 4)[1] == ["the batch holds 4 tests, over the limit of 3"]
    assert check_all(LEAST)[1] == ["the body must be a JSON array of tests"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from([*LEAST, "immediate", "comsSettings", "password", "surveyDays", "surveyDate", "serialNumber"])


@given(st.dictionaries(_names, _json, max_size=8) | _json)
def test_whatever_is_asked_for_is_taken_or_refused_with_reasons(body: object) -> None:
    test, faults = check(body)
    assert (test is None) == bool(faults)
