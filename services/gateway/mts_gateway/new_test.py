"""What test-request and batch-request ask for, checked against every rule of mts-api.md, "test-request"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from mts_common import addresses, catalogue
from mts_common.addresses import AddressError, RemoteAddress
from mts_common.catalogue import Form, MeterType
from mts_common.messages import Transport
from mts_gateway.fields import Fields, known
from mts_gateway.strict_json import Members

MAX_REFERENCE = 100
MAX_ADDRESS = 400
MAX_IDENTITY = 64
MAX_PASSWORD = 128

_NAMES = known(
    "requestReference",
    "immediate",
    "meterType",
    "remoteAddress",
    "comsSettings",
    "outstationAddress",
    "serialNumber",
    "password",
    "surveyDays",
    "surveyDate",
)
_COMS_SETTINGS = re.compile(r"[78][NEOMS][12]")
_TRANSPORT_NAMES = {Transport.MODEM: "a phone number", Transport.TCP: "host:port"}


@dataclass(frozen=True, slots=True)
class NewTest:
    """A request that may be accepted. `survey_date` is what the client gave."""

    meter_type: str
    address: RemoteAddress
    request_reference: str | None = None
    immediate: bool = False
    coms_settings: str | None = None
    outstation_address: str | None = None
    serial_number: str | None = None
    password: str | None = field(default=None, repr=False)
    survey_days: int = 0
    survey_date: date | None = None

    def survey_from(self, received: date) -> date | None:
        """The first UTC day of the survey for a request received on that UTC day; None without a survey."""
        if self.survey_days == 0:
            return None
        return self.survey_date or received - timedelta(days=self.survey_days)


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits and settings that a request is checked against."""

    max_survey_days: int = 100
    max_batch_tests: int = 10_000
    country_code: str = "44"


def check_test(value: object, rules: Rules, today: date, faults: list[str], where: str = "") -> NewTest | None:
    """The test that the JSON `value` asks for; None with at least one more fault. `today` is the UTC day."""
    if not isinstance(value, Members):
        faults.append(f"{where.rstrip('.') or 'the body'} must be a JSON object")
        return None
    before = len(faults)
    fields = Fields(value, _NAMES, faults, where)
    meter = _meter_type(fields)
    address = _remote_address(fields, rules.country_code)
    survey_days = fields.whole("surveyDays", rules.max_survey_days) or 0
    test = NewTest(
        meter_type=meter.name if meter else "",
        address=address or _NO_ADDRESS,
        request_reference=fields.text("requestReference", MAX_REFERENCE),
        immediate=fields.flag("immediate"),
        coms_settings=_coms_settings(fields, address),
        outstation_address=fields.text("outstationAddress", MAX_IDENTITY),
        serial_number=fields.text("serialNumber", MAX_IDENTITY),
        password=fields.text("password", MAX_PASSWORD),
        survey_days=survey_days,
        survey_date=_survey_date(fields, today),
    )
    if meter:
        _check_meter(fields, test, meter, address)
    return test if len(faults) == before else None


def check_batch(value: object, rules: Rules, today: date, faults: list[str]) -> list[NewTest]:
    """The tests of a batch in their order; only to be used if no fault was added."""
    if not isinstance(value, list) or isinstance(value, Members):
        faults.append("the body must be a JSON array of tests")
        return []
    if not value:
        faults.append("the batch must hold at least one test")
    if len(value) > rules.max_batch_tests:
        faults.append(f"the batch holds {len(value)} tests, over the limit of {rules.max_batch_tests}")
        return []
    tests = [check_test(item, rules, today, faults, f"[{place}].") for place, item in enumerate(value)]
    return [test for test in tests if test is not None]


_NO_ADDRESS = RemoteAddress("", "", Transport.TCP)


def _meter_type(fields: Fields) -> MeterType | None:
    name = fields.text("meterType", MAX_IDENTITY) if fields.required("meterType") else None
    if name is None:
        return None
    meter = catalogue.find(name)
    if meter is None:
        fields.fault("meterType", "is not a known meter type (GET /MTS/meter-types lists them)")
    elif not meter.supported:
        fields.fault("meterType", f"{meter.name} is not supported yet")
    return meter


def _remote_address(fields: Fields, country_code: str) -> RemoteAddress | None:
    text = fields.text("remoteAddress", MAX_ADDRESS) if fields.required("remoteAddress") else None
    if text is None:
        return None
    try:
        return addresses.parse(text, country_code)
    except AddressError:
        fields.fault("remoteAddress", "is not in a recognised format")
        return None


def _coms_settings(fields: Fields, address: RemoteAddress | None) -> str | None:
    text = fields.text("comsSettings", MAX_IDENTITY)
    if text is None:
        return None
    if not _COMS_SETTINGS.fullmatch(text):
        fields.fault("comsSettings", "must be data bits, parity and stop bits, e.g. 7E1 ([78][NEOMS][12])")
    elif address is not None and address.transport is not Transport.MODEM:
        fields.fault("comsSettings", "applies to phone numbers only")
    return text


def _survey_date(fields: Fields, today: date) -> date | None:
    day = fields.day("surveyDate")
    if day is not None and day > today:
        fields.fault("surveyDate", "must not be in the future")
    return day


def _check_meter(fields: Fields, test: NewTest, meter: MeterType, address: RemoteAddress | None) -> None:
    """What the meter type demands of the other parameters."""
    if address is not None and address.transport not in meter.transports:
        expected = " or ".join(_TRANSPORT_NAMES[transport] for transport in meter.transports)
        fields.fault("remoteAddress", f"must be {expected} for {meter.name}")
    if test.survey_days and not meter.keeps_survey:
        fields.fault("surveyDays", f"must be 0: {meter.name} keeps no survey")
    _check_form(fields, "outstationAddress", test.outstation_address, meter.outstation, meter.name)
    _check_form(fields, "password", test.password, meter.password, meter.name)


def _check_form(fields: Fields, name: str, text: str | None, form: Form, meter: str) -> None:
    if text is None:
        if form.required and fields.value(name) is None:
            fields.fault(name, f"is required for {meter}: {form.expected}")
    elif form.pattern is None:
        fields.fault(name, f"does not apply to {meter}")
    elif not form.pattern.fullmatch(text):
        fields.fault(name, f"must be {form.expected} for {meter}")
