"""Reading and writing the identities of an A1700: packets, repeats, and access that expires."""

from __future__ import annotations

from mts_common.messages import FailureKind
from mts_dialler.drivers.exchange import ATTEMPTS, Exchange
from mts_dialler.errors import FrameGarbled, MeterRefused, NotConfigured
from mts_dialler.protocols.elster.identities import LOCKED, NAMES, Model, model, parse_packet, read_packets, write
from mts_dialler.protocols.elster.security import PASSWORD_LENGTH, answer
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.iec62056_21.error_texts import explain
from mts_dialler.protocols.iec62056_21.messages import (
    Ack,
    Command,
    DataMessage,
    ErrorMessage,
    Event,
    Identification,
    Password,
)


class IdentityUnread(MeterRefused):
    """One identity could not be read or written; the session goes on. `why`: the meter's error, e.g. ERR5, or ours."""

    def __init__(self, text: str, why: str = "") -> None:
        super().__init__(text)
        self.why = why

    @classmethod
    def of(cls, identity: str, why: str) -> IdentityUnread:
        return cls(f"identity {identity}: {explain('GEC', why)}", why)

    @property
    def kind(self) -> FailureKind:
        """What the access given does not open, another attempt with the same does not open either."""
        return FailureKind.CONFIGURATION if self.why == LOCKED else self.failure


class ElsterSession:
    """One programming mode session with a meter of `product`. Without a password it shows what it shows anyone."""

    def __init__(self, exchange: Exchange, password: str, product: str) -> None:
        self.exchange = exchange
        self._product = product
        self._password = password
        self._answer = ""

    @property
    def authenticated(self) -> bool:
        return bool(self._answer)

    async def sign_on(self, address: str) -> tuple[Identification, Model]:
        """Raises `NotConfigured` for a meter of another type, `BadCredentials` if the password is refused."""
        if self._password and (len(self._password) != PASSWORD_LENGTH or not self._password.isascii()):
            raise NotConfigured(f"the password of an {self._product} has 8 ASCII characters")
        identification, seed = await self.exchange.enter_programming(address)
        try:
            found = model(identification)
        except RemoteProtocolError as error:
            raise NotConfigured(str(error)) from error
        if found.product not in {"", self._product}:
            raise NotConfigured(f"the meter is an {found.product}, not an {self._product} ({identification})")
        if self._password:
            await self._authenticate(seed)
        return identification, found

    async def read(self, identity: str, octets: int) -> bytes:
        """Raises `IdentityUnread`."""
        packets = [await self.read_packet(command, size) for command, size in read_packets(identity, octets)]
        data = b"".join(packets)
        text = data.strip(b" \0")
        if text.isascii() and text.decode("ascii").isprintable() and len(text) > 1:
            self.exchange.line.note(f"{NAMES.get(identity, identity)}: {text.decode('ascii')}")
        return data

    async def read_packet(self, command: Command, octets: int) -> bytes:
        """One packet of `octets` octets; an answer of another length is asked for again."""
        failure = "no answer"
        for _ in range(ATTEMPTS):
            event = await self._ask(command)
            if not isinstance(event, DataMessage):
                raise FrameGarbled(f"{type(event).__name__} is no answer to {command.data}")
            try:
                return parse_packet(event.text, octets)
            except RemoteProtocolError as error:
                failure = str(error)
            await self.exchange.settle()
        raise IdentityUnread.of(command.data[:3], failure)

    async def write(self, identity: str, data: bytes) -> None:
        """Raises `IdentityUnread`."""
        command = write(identity, data)
        event = await self._ask(command)
        if not isinstance(event, Ack):
            raise FrameGarbled(f"{type(event).__name__} is no answer to {command.data}")

    async def _ask(self, command: Command) -> Event:
        """Access expires after some minutes (section 2): then the answer to the same seed is given once more."""
        what = NAMES.get(command.data[:3], "")
        event = await self.exchange.ask(command, what)
        if isinstance(event, ErrorMessage) and event.text == LOCKED and self._answer:
            await self.exchange.give_password(Password("P2", self._answer))
            event = await self.exchange.ask(command, what)
        if isinstance(event, ErrorMessage):
            raise IdentityUnread.of(command.data[:3], event.text)
        return event

    async def _authenticate(self, seed: str) -> None:
        line = self.exchange.line
        line.hide(self._password.encode("ascii"))
        try:
            computed = answer(self._password, seed)
        except RemoteProtocolError as error:
            raise FrameGarbled(str(error)) from error
        # Seed and answer together give the password away.
        line.hide(computed.encode("ascii"))
        await self.exchange.give_password(Password("P2", computed))
        self._answer = computed
