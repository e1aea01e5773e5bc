"""What every answer under /ctapi says of itself, and the one type in which a request is refused there.

An error is told in the status line and in the body alike; a body that says 200 has Error 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

_TEXTS = {HTTPStatus.OK: "Ok", HTTPStatus.INTERNAL_SERVER_ERROR: "Server Error"}

NO_CREDENTIALS = 4010
NOT_YOURS = 4030
UNKNOWN_ENTITY = 4040
UNKNOWN_PATH = 4041
WRONG_VERB = 4050
MEDIA_TYPE = 4150
MALFORMED = 4001
BAD_DEVICE_ID = 4002
BAD_GUID = 4003
BAD_DATE = 4004
BAD_PERIOD = 4005
BAD_NUMBER = 4006
BAD_FLAG = 4007
TOO_MANY = 4290
FAULT = 5000
UNAVAILABLE = 5030


class Refusal(Exception):
    """A request ends with this ErrorNumber, whose first three digits are the status.

    `message` is for people, `detail` names the input that was wrong.
    """

    def __init__(
        self, number: int, message: str, detail: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(number)
        self.number = number
        self.message = message
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.number // 10

    def body(self) -> dict[str, object]:
        """The envelope of the error."""
        return _envelope(self.status, self.message, self.number, self.detail)


def malformed(detail: str) -> Refusal:
    """The body, or a text in it, cannot be read."""
    return Refusal(MALFORMED, "The request cannot be read.", detail)


def success() -> dict[str, object]:
    """The envelope of an answer that is none of an error."""
    return _envelope(HTTPStatus.OK, "", 0, "")


def _envelope(status: int, message: str, number: int, detail: str) -> dict[str, object]:
    return {
        "ResponseCode": int(status),
        "ResponseMessage": _TEXTS.get(HTTPStatus(status), HTTPStatus(status).phrase),
        "Message": message,
        "Error": 0 if number == 0 else 1,
        "ErrorNumber": number,
        "ErrorMessage": detail,
    }
