"""A load of HTTP requests over kept connections, from a process of its own so that it does not slow what it measures.

`python -m benchmarks.load URL TOKEN BODY_FILE CONNECTIONS SECONDS [CA]` prints one JSON object: requests answered,
seconds, statuses by number, and latency percentiles in milliseconds. Loopback only.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

PERCENTILES = (50, 95, 99)
MAX_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What a run came to."""

    requests: int
    seconds: float
    statuses: dict[str, int]
    milliseconds: dict[str, float]

    @property
    def rate(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds


async def load(url: str, token: str, body: bytes, connections: int, seconds: float, trust: str | None = None) -> Load:
    """POST `body` over and over from `connections` connections for `seconds`."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise ValueError("a load goes to this machine alone")
    context = ssl.create_default_context(cafile=trust) if parts.scheme == "https" else None
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nX-Forwarded-Proto: https\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    request = head + body
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    start = time.monotonic()
    end = start + min(seconds, MAX_SECONDS)

    async def hammer() -> None:
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            while time.monotonic() < end:
                sent = time.monotonic()
                writer.write(request)
                async with asyncio.timeout(30):
                    status = await _response(reader)
                latencies.append(time.monotonic() - sent)
                statuses[status] += 1
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(hammer(), name=f"hammer {number}")
    return Load(len(latencies), time.monotonic() - start, dict(statuses), percentiles(latencies))


async def _response(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode()
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
    return status


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds by percentile, from latencies in seconds."""
    ranked = sorted(seconds)
    if not ranked:
        return {}
    return {f"p{p}": round(1000 * ranked[min(len(ranked) - 1, len(ranked) * p // 100)], 1) for p in PERCENTILES}


def main(arguments: list[str]) -> None:
    """The command line."""
    url, token, body, connections, seconds, *trust = arguments
    done = asyncio.run(
        load(url, token, Path(body).read_bytes(), int(connections), float(seconds), trust[0] if trust else None)
    )
    print(json.dumps(asdict(done)))


if __name__ == "__main__":
    main(sys.argv[1:])
