"""One client's association with a DLMS/COSEM meter, whatever carries the APDUs (fact sheet dlms-cosem, section 3)."""

import hmac
import os

from mts_metersim import acse
from mts_metersim.acse import Diagnostic, Initiate, Proposal
from mts_metersim.axdr import Malformed
from mts_metersim.dlms_ln import NOT_POSSIBLE, SERVICE_UNKNOWN, LogicalNames
from mts_metersim.dlms_manners import PUBLIC_CLIENT, address_of, keys_of, manner_of
from mts_metersim.dlms_meter import objects_of
from mts_metersim.dlms_security import OVERHEAD, Replayed, Security, Undecipherable, title_of
from mts_metersim.dlms_sn import ASSOCIATION_BASE, NO_CONTEXT, UNSUPPORTED, ShortNames
from mts_metersim.fleet import FaultKind
from mts_metersim.party import Note
from mts_metersim.unit import Unit

UNLIMITED = 0xFFFF
CHALLENGE = 16
DECIPHERING_ERROR = b"\xd8\x01\x05"
COUNTER_ERROR = b"\xd8\x01\x06"
_BASES = {acse.SHORT_NAMES: ASSOCIATION_BASE}
_LOGICAL_NAME_BASE = 0x0007
_GLOBAL_INITIATE_REQUEST, _GLOBAL_INITIATE_RESPONSE = 0x21, 0x28
# Globally ciphered requests, and the ciphered form of each answer by its first octet.
_GLOBAL_REQUESTS = (0xC8, 0xC9, 0xCB)
_GLOBAL_ANSWERS = {0xC4: 0xCC, 0xC5: 0xCD, 0xC7: 0xCF}
_ACTION = 0xC3


class Refused(Exception):
    """The association is refused for that reason."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.name)
        self.diagnostic = diagnostic


class Application:
    """APDUs in, APDUs out; b"" = the meter keeps quiet. The public client needs no secret and sees little."""

    def __init__(self, unit: Unit, client: int, note: Note) -> None:
        self._unit = unit
        self._manner = manner_of(unit.meter)
        self._public = client == PUBLIC_CLIENT
        self._keys = None if self._public else keys_of(unit.meter.password)
        self._note = note
        self._services: LogicalNames | ShortNames | None = None
        self._security: Security | None = None
        self._challenges = (b"", b"")
        self._proven = True

    def reply(self, apdu: bytes) -> bytes:
        try:
            return self._answer(apdu)
        except Malformed:
            return UNSUPPORTED if self._manner.short_names else SERVICE_UNKNOWN
        except Undecipherable:
            return DECIPHERING_ERROR
        except Replayed:
            return COUNTER_ERROR + (self._unit.counter_received + 1).to_bytes(4, "big")

    def _answer(self, apdu: bytes) -> bytes:
        if apdu[:1] == bytes([acse.AARQ]):
            return self._associate(apdu)
        if apdu[:1] == bytes([acse.RLRQ]):
            return self._release()
        if self._services is None:
            return NO_CONTEXT if self._manner.short_names else NOT_POSSIBLE
        return self._services.reply(apdu) if self._security is None else self._secured(self._security, apdu)

    def _secured(self, security: Security, apdu: bytes) -> bytes:
        """Before the client has proven itself it may do nothing but that."""
        if self._services is None or apdu[:1] not in [bytes([tag]) for tag in _GLOBAL_REQUESTS]:
            return NOT_POSSIBLE
        plain = security.open(apdu[1:])
        if not self._proven and plain[:1] != bytes([_ACTION]):
            return NOT_POSSIBLE
        answer = self._services.reply(plain)
        tag = _GLOBAL_ANSWERS.get(answer[0])
        return answer if tag is None else security.seal(tag, answer)

    def _associate(self, apdu: bytes) -> bytes:
        self._services = self._security = None
        asked = acse.proposal(apdu)
        try:
            self._check_context(asked)
            user = self._opened(asked) if self._keys else self._checked(asked)
        except Refused as refused:
            return acse.response(self._context, refused.diagnostic, accepted=False)
        wanted = acse.initiate(user)
        fault = acse.initiate_fault(wanted)
        if fault is not None:
            return acse.response(self._context, Diagnostic.NO_REASON, fault, accepted=False)
        return self._granted(wanted)

    def _granted(self, wanted: Initiate) -> bytes:
        self._open(wanted)
        base = _BASES.get(self._context, _LOGICAL_NAME_BASE)
        granted = acse.initiate_response(wanted, self._manner.conformance, self._pdu, base)
        if self._security is None:
            return acse.response(self._context, Diagnostic.NONE, granted)
        hidden = self._security.seal(_GLOBAL_INITIATE_RESPONSE, granted)
        return acse.response(
            self._context, Diagnostic.REQUIRED, hidden, challenge=self._challenges[1], title=self._title
        )

    @property
    def _context(self) -> int:
        if self._keys is not None:
            return acse.LOGICAL_NAMES_CIPHERED
        return acse.SHORT_NAMES if self._manner.short_names else acse.LOGICAL_NAMES

    @property
    def _pdu(self) -> int:
        return self._unit.meter.options.dlms.pdu or self._manner.pdu

    @property
    def _title(self) -> bytes:
        return title_of(self._manner.flag, self._unit.meter.serial_number)

    def _check_context(self, asked: Proposal) -> None:
        if asked.context != self._context:
            raise Refused(Diagnostic.CONTEXT)

    def _checked(self, asked: Proposal) -> bytes:
        """The user information of a client whose secret is right: a meter without a secret takes any, the public
        client gives none. Raises Refused."""
        if asked.mechanism not in (acse.NO_SECURITY, acse.LOW_LEVEL):
            raise Refused(Diagnostic.MECHANISM)
        if self._public or (asked.mechanism == acse.NO_SECURITY and not self._unit.meter.password):
            return asked.user
        if asked.mechanism == acse.NO_SECURITY:
            raise Refused(Diagnostic.REQUIRED)
        expected = self._unit.meter.password.encode("ascii")
        self._judge("LLS", not expected or hmac.compare_digest(asked.secret, expected))
        return asked.user

    def _opened(self, asked: Proposal) -> bytes:
        """The user information of a client that has the keys; it still has to prove itself. Raises Refused."""
        if asked.mechanism != acse.GMAC:
            raise Refused(Diagnostic.REQUIRED if asked.mechanism == acse.NO_SECURITY else Diagnostic.MECHANISM)
        if self._keys is None or len(asked.title) != 8 or not 8 <= len(asked.secret) <= 64:
            raise Refused(Diagnostic.FAILURE)
        security = Security(self._unit, self._keys, self._title, asked.title)
        try:
            if asked.user[:1] != bytes([_GLOBAL_INITIATE_REQUEST]):
                raise Undecipherable("not protected")
            user = security.open(asked.user[1:])
        except Replayed as fault:
            raise Refused(Diagnostic.FAILURE) from fault
        except Undecipherable:
            user = b""
        self._judge("GMAC", bool(user))
        self._security, self._proven = security, False
        self._challenges = (asked.secret, os.urandom(CHALLENGE))
        return user

    def _judge(self, kind: str, right: bool) -> None:
        """Logs a secret given, and lets the fault refuses_password have its way. Raises Refused."""
        accepted = right and self._unit.meter.fault(FaultKind.REFUSES_PASSWORD) is None
        self._note(f"Password {kind} ({'right' if accepted else 'wrong'})", not accepted)
        if not accepted:
            raise Refused(Diagnostic.FAILURE)

    def _open(self, wanted: Initiate) -> None:
        limit = wanted.pdu or UNLIMITED
        granted = wanted.conformance & self._manner.conformance
        objects = objects_of(self._unit)
        if self._manner.short_names:
            self._services = ShortNames(objects, granted, limit, self._public, self._note)
            return
        limit = min(limit, self._pdu) - (OVERHEAD if self._security else 0)
        self._services = LogicalNames(objects, granted, limit, self._public, self._note, self._prove)

    def _prove(self, proof: bytes) -> bytes | None:
        """The meter's own proof in return for the client's right one."""
        from_client, from_meter = self._challenges
        if self._security is None or self._proven or not self._security.is_proof(proof, from_meter):
            return None
        self._proven = True
        return self._security.proof(from_client)

    def _release(self) -> bytes:
        if self._unit.meter.options.dlms.release == "ignored":
            return b""
        self._services = self._security = None
        return acse.RELEASED


def application_for(unit: Unit, client: int, note: Note) -> Application | None:
    """The meter's side for a client, None for one that it does not know."""
    known = client == PUBLIC_CLIENT or client in address_of(unit.meter).clients
    return Application(unit, client, note) if known else None
