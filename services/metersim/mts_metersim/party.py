"""The meters of one protocol on a line: each party hears every byte, and takes those that are a message of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from mts_metersim.unit import Unit

CHARACTER_SECONDS = 3.0
IDLE_SECONDS = 600.0

SignedOn = Callable[[str, Unit | None], None]
Note = Callable[[str, bool], None]
Replies = list[tuple[Unit, bytes]]


class Party(ABC):
    """Sans-IO: bytes in, (meter, reply) out. `signed_on(address, meter or None)` and `note(what was asked, password
    was wrong)` are the log's."""

    @property
    @abstractmethod
    def unfinished(self) -> bool:
        """Whether part of a message is held."""

    @property
    @abstractmethod
    def open_seconds(self) -> float | None:
        """How long a dialogue that is under way waits for its next message; None = there is none."""

    @abstractmethod
    def forget(self) -> None:
        """Drops what is held of a message: the line fell quiet, or it was meant for another protocol."""

    @abstractmethod
    def end(self) -> None:
        """Ends any dialogue for inactivity."""

    @abstractmethod
    def receive(self, data: bytes) -> Replies | None:
        """The replies to the messages that these bytes complete; None = they complete none."""

    @property
    def patience(self) -> float:
        """Seconds without a byte after which `silence` is due."""
        if self.unfinished:
            return CHARACTER_SECONDS
        return IDLE_SECONDS if self.open_seconds is None else self.open_seconds

    def silence(self, seconds: float) -> bool:
        """The line was quiet for so long: what is overdue ends. Whether anything did."""
        if seconds < self.patience:
            return False
        if self.unfinished:
            self.forget()
            return True
        was_open = self.open_seconds is not None
        self.end()
        return was_open
