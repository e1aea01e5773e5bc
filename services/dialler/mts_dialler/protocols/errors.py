"""Whose fault it is that a protocol was broken, as types."""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of both; refuses direct use."""

    def __init__(self, text: str) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(text)


class LocalProtocolError(ProtocolError):
    """We asked for what the protocol does not allow here. Nothing was changed or sent; a bug, or a bad argument."""


class RemoteProtocolError(ProtocolError):
    """The meter sent what the protocol does not allow here. Those bytes are consumed; the state is as before."""
