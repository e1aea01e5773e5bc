"""Makes the gateway's certificate in the folder /tls, for the images' user, unless one is there."""

from __future__ import annotations

import os
from pathlib import Path

from mts_stack.tls import make_tls

FOLDER = Path("/tls")
USER = 65532


def main() -> None:
    """One that is there stays, because clients trust its authority: delete the volume for a new one."""
    if (FOLDER / "server.key").exists():
        return
    made = make_tls(FOLDER)
    for file in (FOLDER, made.ca, made.certificate, made.key):
        os.chown(file, USER, USER)


if __name__ == "__main__":
    main()
