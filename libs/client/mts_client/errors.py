"""What can go wrong between a client and MTS; each leaf is one cause.

`Refused` leaves follow the status codes of the MTS API ("Response codes"); `Unreachable` leaves say how far the request
got, because that decides whether it may be sent again.
"""

from __future__ import annotations

from collections.abc import Sequence


class MtsError(Exception):
    """Everything this package raises on purpose."""


class NotConfigured(MtsError):
    """The address, a token or the CA file is missing or unusable; nothing was sent."""


class WaitExpired(MtsError):
    """The deadline of a wait passed and the test or batch is still pending."""


class UnexpectedAnswer(MtsError):
    """What answered did not answer as the MTS API does: other status, not JSON, or a mandatory property missing."""


class Refused(MtsError):
    """The server answered with an error status and its `details`, one per fault."""

    status = 0

    def __init__(self, details: Sequence[str]) -> None:
        super().__init__("; ".join(details) or type(self).__name__)
        self.details = tuple(details)


class BadRequest(Refused):
    """400: a bad value, or an id that is unknown, another client's, or of a cancelled test."""

    status = 400


class Unauthorized(Refused):
    """401: the token is missing, malformed, unknown, expired or deleted."""

    status = 401


class Forbidden(Refused):
    """403: the token is valid but has not the scope."""

    status = 403


class NotFound(Refused):
    """404: the URL does not exist (never an unknown id)."""

    status = 404


class Modified(Refused):
    """412: somebody has changed the item since it was read."""

    status = 412


class RateLimited(Refused):
    """429: too many calls; `retry_after` is the server's suggestion in whole seconds."""

    status = 429

    def __init__(self, details: Sequence[str], retry_after: int) -> None:
        super().__init__(details)
        self.retry_after = retry_after


class ServerError(Refused):
    """500: a fault on the server."""

    status = 500


class ServiceUnavailable(Refused):
    """503, or a proxy's 502 or 504: the outcome is unknown, the call may be repeated if it is repeatable."""

    status = 503


class Unreachable(MtsError):
    """No answer came from the server."""


class ConnectFailed(Unreachable):
    """The server was never reached: nothing was sent, TLS verification included."""


class TimedOut(Unreachable):
    """The request was, or may have been, sent and no whole answer came in time."""


class ConnectionBroken(Unreachable):
    """The connection failed after the request was, or may have been, sent."""
