"""One association with a DLMS meter: signing on with any of the securities, asking, signing off."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mts_dialler.drivers.dlms_cipher import Suite0
from mts_dialler.drivers.dlms_link import make_link
from mts_dialler.drivers.dlms_types import PUBLIC_CLIENT, Address, Gmac, MeterProfile, Secret
from mts_dialler.drivers.dlms_words import services, told
from mts_dialler.errors import (
    BadCredentials,
    DiallerError,
    FrameGarbled,
    MeterRefused,
    MeterSilent,
    offering_password,
)
from mts_dialler.line import Line
from mts_dialler.protocols.cosem import association, values
from mts_dialler.protocols.cosem.association import Context, Initiated, Mechanism, Refusal, Request, Response
from mts_dialler.protocols.cosem.security import Protection, WrongKey
from mts_dialler.protocols.cosem.services import (
    Answer,
    Attribute,
    Denied,
    Get,
    Invoke,
    ServiceRefused,
    raise_if_refused,
)
from mts_dialler.protocols.errors import RemoteProtocolError

TITLE = b"MTS" + bytes((0, 0, 0, 0, 1))
CHALLENGE_OCTETS = 16
REVIVALS = 3  # of a broken link in one test
_ASSOCIATION = bytes.fromhex("0000280000FF")
_ASSOCIATION_CLASS, _REPLY_TO_HLS = 15, 1
_COUNTERS = tuple(bytes((0, 0, 43, 1, number, 255)) for number in (0, 1, 2, 3))

_REFUSALS = {
    Refusal.NO_REASON: "no reason given",
    Refusal.CONTEXT_NOT_SUPPORTED: "it does not support the application context",
    Refusal.CALLING_TITLE_NOT_RECOGNISED: "it does not know our system title",
    Refusal.MECHANISM_NOT_RECOGNISED: "it does not know the authentication mechanism",
    Refusal.MECHANISM_REQUIRED: "it wants an authentication mechanism",
    Refusal.AUTHENTICATION_FAILED: "authentication failed",
    Refusal.AUTHENTICATION_REQUIRED: "it wants authentication",
}


class Question(Protocol):
    """`Get`, `Read` or `Invoke`."""

    answers: list[Answer]

    def encode(self) -> bytes: ...

    def receive(self, apdu: bytes) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls whom, and how it is shown."""

    profile: MeterProfile
    address: Address
    secret: Secret


class DlmsSession:
    """Raises leaves of `DiallerError` alone, and `ServiceRefused` from `ask`.

    An exchange that breaks is begun anew up to `REVIVALS` times in a test: the link is opened, the association made
    again, the question asked again. Credentials that the meter refused once are not sent again.
    """

    def __init__(self, line: Line, caller: Caller) -> None:
        self.line = line
        self.agreed = Initiated(association.Conformance(0), 0)
        self._caller = caller
        self._link = make_link(line, caller.profile.carrier, caller.address)
        self._protection: Protection | None = None
        self._ciphered = False
        self._invoke = 0
        self._revivals = REVIVALS
        self._associated = False
        self._hide()

    def _hide(self) -> None:
        match self._caller.secret:
            case Gmac(encryption_key, authentication_key):
                for key in (encryption_key, authentication_key):
                    self.line.hide(key)
                    self.line.hide(key.hex().encode())
            case bytes(password):
                self.line.hide(password)

    @property
    def answered_at(self) -> datetime:
        """When the last answer began to arrive."""
        return self._link.answered_at

    @property
    def repeats(self) -> int:
        """How often something had to be said again so far."""
        return self._link.repeats

    # --- signing on and off

    async def sign_on(self) -> None:
        """Raises `BadCredentials` if the meter refuses who we are."""
        if isinstance(self._caller.secret, Gmac):
            counter = await self._invocation_counter()
            keys = self._caller.secret
            self._protection = Protection(Suite0(keys.encryption_key), keys.authentication_key, TITLE, counter + 1)
        await self._link.open()
        await self._associate()

    async def sign_off(self) -> None:
        """Ends the association and the link, within the budget of a sign-off; a line that has gone is no failure.

        Over HDLC the DISC ends the association too, so that a release of its own would only cost time.
        """
        self.line.begin_sign_off()
        try:
            if self._associated and self._caller.profile.carrier.needs_release:
                await self._release()
            await self._link.close()
        except DiallerError as error:
            self.line.note(f"not signed off: {error}")

    async def _release(self) -> None:
        """Many meters answer nothing, or nonsense."""
        self._associated = False
        sealed = self._protection.protect(self._request().initiate()) if self._protection else b""
        with contextlib.suppress(MeterSilent, FrameGarbled):
            await self._link.ask(association.release(sealed), "RLRQ")

    async def _associate(self) -> None:
        request = self._request()
        initiate = self._protection.protect(request.initiate()) if self._protection else None
        apdu = request.encode(initiate)
        self._hide_pieces(apdu, request)
        note = f"AARQ, client {self._caller.address.client}, {request.mechanism.name}"
        with contextlib.nullcontext() if self._caller.secret is None else offering_password():
            answer = await self._link.ask(apdu, note)
        try:
            raise_if_refused(answer)
            response = association.decode_response(answer)
            self._judge(response, request)
            self.agreed = self._initiated(response)
            self._ciphered = self._protection is not None
            if self._protection is not None:
                await self._authenticate(self._protection, request, response)
        except ServiceRefused as refusal:
            raise MeterRefused(f"the meter refused the association: {refusal}") from refusal
        except WrongKey as error:
            raise BadCredentials(str(error)) from error
        except RemoteProtocolError as error:
            raise FrameGarbled(f"the meter's answer to the association was not understood: {error}") from error
        self._associated = True
        self.line.note(f"associated: {services(self.agreed.conformance)}; APDUs of {self.agreed.max_pdu} octets")

    def _request(self) -> Request:
        short_names = self._caller.profile.short_names
        conformance = association.SHORT_NAME_SERVICES if short_names else association.LOGICAL_NAME_SERVICES
        plain = Context.SHORT_NAMES if short_names else Context.LOGICAL_NAMES
        match self._caller.secret:
            case None:
                return Request(plain, conformance=conformance)
            case Gmac():
                challenge = secrets.token_bytes(CHALLENGE_OCTETS)
                ciphered = Context.LOGICAL_NAMES_CIPHERED
                return Request(ciphered, Mechanism.HLS_GMAC, challenge, TITLE, conformance=conformance)
            case password:
                return Request(plain, Mechanism.LLS, password, conformance=conformance)

    def _hide_pieces(self, apdu: bytes, request: Request) -> None:
        """A password that the link cuts in two is struck out in its parts too."""
        if request.mechanism is not Mechanism.LLS:
            return
        pieces = list(self._link.pieces(apdu))
        start = b"".join(pieces).find(request.secret)
        for piece in pieces:
            self.line.hide(piece[max(start, 0) : max(start + len(request.secret), 0)])
            start -= len(piece)

    def _judge(self, response: Response, request: Request) -> None:
        if response.bad_credentials or (response.wants_hls and request.mechanism is not Mechanism.HLS_GMAC):
            raise BadCredentials(f"the meter refused the association: {_why(response.diagnostic)}")
        if not response.accepted:
            raise MeterRefused(f"the meter refused the association: {_why(response.diagnostic)}")

    def _initiated(self, response: Response) -> Initiated:
        data = response.user_information
        if self._protection is not None:
            self._protection.meet(response.title)
            data = self._protection.unprotect(data)
        return association.decode_initiate(data)

    async def _authenticate(self, protection: Protection, request: Request, response: Response) -> None:
        """Passes 3 and 4 of HLS: our answer to the meter's challenge, and its answer to ours."""
        if not response.challenge:
            raise MeterRefused("the meter did not go on with HLS authentication")
        self.line.note("accepted, if HLS authentication succeeds")
        proof = protection.prove(response.challenge)
        self.line.hide(proof)
        method = Attribute(_ASSOCIATION_CLASS, _ASSOCIATION, _REPLY_TO_HLS)
        reply = Invoke(method, values.octet_string(proof), self._next_invoke())
        try:
            [answer] = await self._put(reply, "reply to HLS authentication")
        except ServiceRefused as refusal:
            raise BadCredentials("the meter refused our HLS authentication") from refusal
        if isinstance(answer, Denied):
            raise BadCredentials(f"the meter refused our HLS authentication: {answer}")
        if not isinstance(answer, bytes):
            raise FrameGarbled("the meter did not authenticate itself")
        self.line.hide(answer)
        protection.check_proof(answer, request.secret)

    # --- the invocation counter

    async def _invocation_counter(self) -> int:
        """The highest that the meter shows the public client, whom it asks for nothing.

        Which of several belongs to our keys is the maker's secret; one that is higher than needed does no harm.
        """
        address = self._caller.address
        public = Address(PUBLIC_CLIENT, address.logical, address.physical, address.octets)
        session = DlmsSession(self.line, Caller(self._caller.profile, public, None))
        await session._link.open()
        try:
            await session._associate()
            counters = [await session._counter(obis) for obis in _COUNTERS]
        except BadCredentials as refusal:
            raise MeterRefused(f"the public client cannot read the invocation counter: {refusal}") from refusal
        finally:
            with contextlib.suppress(MeterSilent, FrameGarbled):
                if self._caller.profile.carrier.needs_release:
                    await session._release()
                await session._link.close()
        shown = [counter for counter in counters if counter is not None]
        if not shown:
            raise MeterRefused("the meter does not show its invocation counter (0-0:43.1.0) to the public client")
        return max(shown)

    async def _counter(self, obis: bytes) -> int | None:
        try:
            [answer] = await self.ask(lambda invoke: Get([Attribute(1, obis, 2)], invoke), "GET invocation counter")
        except ServiceRefused:
            return None
        return answer if isinstance(answer, int) else None

    # --- asking

    async def ask(self, make: Callable[[int], Question], note: str) -> Sequence[Answer]:
        """The answers to the question that `make` makes with an invoke id. Raises `ServiceRefused`."""
        while True:
            try:
                return await self._put(make(self._next_invoke()), note)
            except (MeterSilent, FrameGarbled, MeterRefused) as failure:
                if not self._revivals:
                    raise
                self._revivals -= 1
                self.line.note(f"beginning anew: {failure}")
            self._ciphered = self._associated = False
            await self._link.open()
            await self._associate()

    async def _put(self, question: Question, note: str) -> list[Answer]:
        apdu: bytes | None = question.encode()
        while apdu is not None:
            answer = await self._exchange(apdu, note)
            try:
                apdu = question.receive(answer)
                if apdu is not None:
                    self.line.note(f"a block, {len(answer)} octets")
            except ServiceRefused as refusal:
                self.line.note(str(refusal))
                raise
            except RemoteProtocolError as error:
                self.line.note(f"not understood: {error}")
                raise FrameGarbled(f"the answer to {note} was not understood: {error}") from error
            note = "the next block"
        self.line.note(told(question.answers))
        return question.answers

    async def _exchange(self, apdu: bytes, note: str) -> bytes:
        if self._protection is None or not self._ciphered:
            return await self._link.ask(apdu, note)
        answer = await self._link.ask(self._protection.protect(apdu), note)
        try:
            return self._protection.unprotect(answer)
        except RemoteProtocolError as error:
            raise FrameGarbled(f"the answer to {note} was not understood: {error}") from error

    def _next_invoke(self) -> int:
        self._invoke = self._invoke % 15 + 1
        return self._invoke


def _why(diagnostic: int) -> str:
    return next((text for code, text in _REFUSALS.items() if code == diagnostic), f"diagnostic {diagnostic}")
