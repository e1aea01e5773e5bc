"""One client's association with a DLMS/COSEM meter, whatever carries the APDUs (fact sheet dlms-cosem, section 3)."""

import hmac

from mts_metersim import acse
from mts_metersim.acse import Diagnostic, Initiate, Proposal
from mts_metersim.axdr import Malformed
from mts_metersim.dlms_ln import NOT_POSSIBLE, SERVICE_UNKNOWN, LogicalNames
from mts_metersim.dlms_manners import PUBLIC_CLIENT, address_of, manner_of
from mts_metersim.dlms_meter import objects_of
from mts_metersim.dlms_sn import ASSOCIATION_BASE, NO_CONTEXT, UNSUPPORTED, ShortNames
from mts_metersim.fleet import FaultKind
from mts_metersim.party import Note
from mts_metersim.unit import Unit

UNLIMITED = 0xFFFF
_VAA = {acse.LOGICAL_NAMES: 0x0007, acse.SHORT_NAMES: ASSOCIATION_BASE}


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
        self._note = note
        self._services: LogicalNames | ShortNames | None = None

    def reply(self, apdu: bytes) -> bytes:
        try:
            if apdu[:1] == bytes([acse.AARQ]):
                return self._associate(apdu)
            if apdu[:1] == bytes([acse.RLRQ]):
                return self._release()
            if self._services is None:
                return NO_CONTEXT if self._manner.short_names else NOT_POSSIBLE
            return self._services.reply(apdu)
        except Malformed:
            return UNSUPPORTED if self._manner.short_names else SERVICE_UNKNOWN

    def _associate(self, apdu: bytes) -> bytes:
        self._services = None
        asked = acse.proposal(apdu)
        try:
            self._check_context(asked)
            self._check_secret(asked)
        except Refused as refused:
            return acse.response(self._context, refused.diagnostic, accepted=False)
        wanted = acse.initiate(asked.user)
        fault = acse.initiate_fault(wanted)
        if fault is not None:
            return acse.response(self._context, Diagnostic.NO_REASON, fault, accepted=False)
        self._open(wanted)
        user = acse.initiate_response(wanted, self._manner.conformance, self._pdu, _VAA[self._context])
        return acse.response(self._context, Diagnostic.NONE, user)

    @property
    def _context(self) -> int:
        return acse.SHORT_NAMES if self._manner.short_names else acse.LOGICAL_NAMES

    @property
    def _pdu(self) -> int:
        return self._unit.meter.options.dlms.pdu or self._manner.pdu

    def _check_context(self, asked: Proposal) -> None:
        if asked.context != self._context:
            raise Refused(Diagnostic.CONTEXT)

    def _check_secret(self, asked: Proposal) -> None:
        """A meter without a secret takes any, the public client gives none."""
        if asked.mechanism not in (acse.NO_SECURITY, acse.LOW_LEVEL):
            raise Refused(Diagnostic.MECHANISM)
        if self._public or (asked.mechanism == acse.NO_SECURITY and not self._unit.meter.password):
            return
        if asked.mechanism == acse.NO_SECURITY:
            raise Refused(Diagnostic.REQUIRED)
        expected = self._unit.meter.password.encode("ascii")
        right = not expected or hmac.compare_digest(asked.secret, expected)
        accepted = right and self._unit.meter.fault(FaultKind.REFUSES_PASSWORD) is None
        self._note(f"Password LLS ({'right' if accepted else 'wrong'})", not accepted)
        if not accepted:
            raise Refused(Diagnostic.FAILURE)

    def _open(self, wanted: Initiate) -> None:
        limit = wanted.pdu or UNLIMITED
        granted = wanted.conformance & self._manner.conformance
        objects = objects_of(self._unit)
        if self._manner.short_names:
            self._services = ShortNames(objects, granted, limit, self._public, self._note)
        else:
            self._services = LogicalNames(objects, granted, min(limit, self._pdu), self._public, self._note)

    def _release(self) -> bytes:
        if self._unit.meter.options.dlms.release == "ignored":
            return b""
        self._services = None
        return acse.RELEASED


def application_for(unit: Unit, client: int, note: Note) -> Application | None:
    """The meter's side for a client, None for one that it does not know."""
    known = client == PUBLIC_CLIENT or client in address_of(unit.meter).clients
    return Application(unit, client, note) if known else None
