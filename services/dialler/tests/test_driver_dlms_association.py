"""The DLMS driver: who calls whom, passwords and keys."""

from __future__ import annotations

import gzip
import json

import pytest

from mts_common.messages import Section, SectionState
from mts_dialler.drivers import dlms_types
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.errors import BadCredentials, DiallerError, MeterRefused, MeterSilent, NotConfigured, SilentAtPassword
from mts_dialler.protocols.hdlc.frame import Frame, Kind, client_address
from mts_dialler.protocols.hdlc.reader import FrameReader
from mts_dialler.testing.dlms_bench import AK, EK, GMAC, Bench, refused, small_meter, u32
from mts_dialler.testing.dlms_meter import Keys


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_a_wrong_password_is_never_repeated(profile: MeterProfile) -> None:
    bench = Bench(small_meter(password=b"another one"), profile)
    assert await refused(bench, BadCredentials) == "the meter refused the association: authentication failed"
    assert len(bench.requests(0x60)) == 1


@pytest.mark.parametrize(("profile", "spoken"), [(dlms_types.GENERAL, 1), (dlms_types.WRAPPED, 0)])
async def test_a_password_that_gets_no_answer_may_have_been_refused(profile: MeterProfile, spoken: int) -> None:
    bench = Bench(small_meter(), profile, spoil=lambda answer, turn: [answer] if turn < spoken else [])
    await refused(bench, SilentAtPassword)
    assert len(bench.requests(0x60)) == 1


@pytest.mark.parametrize(
    ("diagnostic", "error", "why"),
    [
        (1, MeterRefused, "no reason given"),
        (2, MeterRefused, "it does not support the application context"),
        (14, BadCredentials, "it wants authentication"),
        (11, BadCredentials, "it does not know the authentication mechanism"),
        (99, MeterRefused, "diagnostic 99"),
    ],
)
async def test_only_diagnostics_of_authentication_mean_bad_credentials(
    diagnostic: int, error: type[DiallerError], why: str
) -> None:
    bench = Bench(small_meter(password=b"another one", refusal=diagnostic))
    assert await refused(bench, error) == f"the meter refused the association: {why}"
    assert bench.frames()[-1].kind is Kind.DISC


async def test_a_meter_that_answers_an_association_with_an_exception_refuses() -> None:
    bench = Bench(small_meter(refuse=lambda apdu: bytes.fromhex("0E010601") if apdu[0] == 0x60 else None))
    assert "refused the association" in await refused(bench, MeterRefused)


async def test_a_meter_that_wants_more_than_a_password_is_told_apart() -> None:
    aare = bytes.fromhex("6129A109060760857405080101A203020100A305A10302010EBE10040E0800065F1F0400001E1D04C80007")
    bench = Bench(small_meter(refuse=lambda apdu: aare if apdu[0] == 0x60 else None))
    assert await refused(bench, BadCredentials) == "the meter refused the association: it wants authentication"


@pytest.mark.parametrize("wrong", [f"gmac:{bytes(16).hex()}:{AK.hex()}", f"gmac:{EK.hex()}:{bytes(16).hex()}"])
async def test_wrong_keys_are_bad_credentials(wrong: str) -> None:
    meter = small_meter(keys=Keys(EK, AK))
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    await refused(Bench(meter), BadCredentials, password=wrong)


async def test_a_meter_that_refuses_our_proof_is_bad_credentials() -> None:
    meter = small_meter(
        keys=Keys(EK, AK),
        refuse=lambda apdu: bytes((0xC7, 1, apdu[2], 3, 0)) if apdu[0] == 0xC3 else None,
    )
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    assert "refused our HLS authentication" in await refused(Bench(meter), BadCredentials, password=GMAC)


async def test_a_hidden_invocation_counter_is_told() -> None:
    bench = Bench(small_meter(keys=Keys(EK, AK)))
    assert "invocation counter" in await refused(bench, MeterRefused, password=GMAC)


async def test_a_public_client_that_is_not_let_in_is_no_wrong_key() -> None:
    refusal = bytes.fromhex("6117A109060760857405080101A203020101A305A10302010E")
    bench = Bench(small_meter(keys=Keys(EK, AK), refuse=lambda apdu: refusal if apdu[0] == 0x60 else None))
    assert "the public client cannot read" in await refused(bench, MeterRefused, password=GMAC)


async def test_the_highest_invocation_counter_is_gone_on_from() -> None:
    meter = small_meter(keys=Keys(EK, AK, counter=501))
    meter.attributes |= {(1, "0.0.43.1.0", 2): u32(20), (1, "0.0.43.1.1", 2): u32(500)}
    bench = Bench(meter)
    await bench.read(password=GMAC)
    assert bench.states()[Section.REGISTERS] is SectionState.READ


@pytest.mark.parametrize("size", [40, 128, 1000])
async def test_no_secret_stands_in_the_trace_however_it_is_cut(size: int) -> None:
    password = "a rather long secret that no single short frame can hold"
    bench = Bench(small_meter(password=password.encode()), size=size)
    await bench.read(password=password)
    lines = [json.loads(line) for line in gzip.decompress(bench.line.trace.render()).splitlines()]
    shown = "".join(line["hex"] for line in lines if line["dir"] == "tx")
    for start in range(len(password) - 3):
        assert password[start : start + 4].encode().hex() not in shown
    assert "**" in shown


async def test_keys_and_proofs_are_struck_out_of_the_trace() -> None:
    meter = small_meter(keys=Keys(EK, AK))
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    bench = Bench(meter)
    await bench.read(password=GMAC)
    assert repr(bench.line.secrets) == "Secrets(6)"
    notes = gzip.decompress(bench.line.trace.render()).decode()
    for key in (EK, AK):
        assert key.hex() not in notes


@pytest.mark.parametrize(
    ("profile", "outstation", "password", "why"),
    [
        (dlms_types.GENERAL, "200/1", "", "no such outstation address"),
        (dlms_types.GENERAL, "1/1/17/1", "", "no such outstation address"),
        (dlms_types.WRAPPED, "1/1/17", "", "over the TCP wrapper"),
        (dlms_types.GENERAL, "1/1", "gmac:12:34", "the keys are not"),
        (dlms_types.LANDIS_GYR, "", "", "must be given"),
        (dlms_types.LANDIS_GYR, "3380", GMAC, "HLS-GMAC is for meters with logical names"),
    ],
)
async def test_what_cannot_be_called_is_never_sent(
    profile: MeterProfile, outstation: str, password: str, why: str
) -> None:
    bench = Bench(small_meter(), profile)
    assert why in await refused(bench, NotConfigured, outstation_address=outstation, password=password)
    assert bench.channel.sent == []


@pytest.mark.parametrize(
    ("profile", "terms", "client", "server"),
    [
        (dlms_types.GENERAL, {}, 1, "03"),
        (dlms_types.GENERAL, {"outstation_address": "2/1/16"}, 2, "02 21"),
        (dlms_types.GENERAL, {"outstation_address": "16/1/17/4"}, 16, "00 02 00 23"),
        (dlms_types.ITRON_SL7000, {}, 1, "02 23"),
        (dlms_types.ISKRA_MX37X, {}, 100, "02 23"),
        (dlms_types.ISKRA_MT880, {}, 1, "02 23"),
        (dlms_types.CEWE_PROMETER_100, {}, 1, "03"),
        (dlms_types.LANDIS_GYR, {"serial_number": "51282380"}, 32, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"serial_number": "51282380", "password": ""}, 16, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"outstation_address": "3380"}, 32, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"outstation_address": "48/17/5481"}, 48, "00 22 54 D3"),
    ],
)
async def test_every_type_calls_its_meter_by_its_address(
    profile: MeterProfile, terms: dict[str, object], client: int, server: str
) -> None:
    bench = Bench(small_meter(), profile, spoil=lambda _answer, _turn: [])
    await refused(bench, MeterSilent, **terms)
    reader = FrameReader()
    reader.feed(bench.channel.sent[0])
    frame = reader.next()
    assert isinstance(frame, Frame)
    assert (frame.source, frame.destination) == (client_address(client), bytes.fromhex(server))
