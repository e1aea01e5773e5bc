"""The wrapper that carries COSEM APDUs over TCP (IEC 62056-47): version 0001, source port, destination port, length."""

from __future__ import annotations

from collections.abc import Iterator

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.receive_buffer import ReceiveBuffer

_VERSION = b"\x00\x01"
_HEADER = 8
_MAX_NUMBER = 0xFFFF


class Wrapper:
    """Both directions between wrapper ports `client` and `server`, sans-IO."""

    def __init__(self, client: int, server: int) -> None:
        """Raises `LocalProtocolError` for what are no ports."""
        if not (0 <= client <= _MAX_NUMBER and 0 <= server <= _MAX_NUMBER):
            raise LocalProtocolError(f"wrapper ports are 0 to {_MAX_NUMBER}")
        self._client = client.to_bytes(2, "big")
        self._server = server.to_bytes(2, "big")
        self._buffer = ReceiveBuffer(_HEADER + _MAX_NUMBER)

    def encode(self, apdu: bytes) -> bytes:
        """The message to write. Raises `LocalProtocolError` if the APDU is too long."""
        if len(apdu) > _MAX_NUMBER:
            raise LocalProtocolError(f"an APDU of {len(apdu)} octets")
        return _VERSION + self._client + self._server + len(apdu).to_bytes(2, "big") + apdu

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The meter's APDUs that `data` completes; those between other ports are dropped.

        Raises `RemoteProtocolError` for what is no wrapper; all that came is dropped then, as the next message cannot
        be found.
        """
        self._buffer.append(data)
        while (header := self._buffer.peek(_HEADER)) is not None:
            if header[:2] != _VERSION:
                self._buffer.clear()
                raise RemoteProtocolError(f"not a wrapper of version 1 ({header.hex()})")
            message = self._buffer.take(_HEADER + int.from_bytes(header[6:], "big"))
            if message is None:
                return
            if header[2:6] == self._server + self._client:
                yield message[_HEADER:]

    def clear(self) -> None:
        """What has come and is not whole is dropped."""
        self._buffer.clear()
