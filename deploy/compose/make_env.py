"""Writes `.env` with new secrets for docker-compose.yml; leaves one that exists. Standard library only."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = (
    "POSTGRES_PASSWORD",
    "GATEWAY_DB_PASSWORD",
    "SCHEDULER_DB_PASSWORD",
    "RESULTS_DB_PASSWORD",
    "RABBITMQ_PASSWORD",
    "GRAFANA_PASSWORD",
)


def main() -> int:
    """0; the file exists afterwards, readable by its owner alone."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".env"
    if target.exists():
        print(f"{target} is there already and stays as it is")
        return 0
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in new_secrets().items())
    print(f"{target} written")
    return 0


def new_secrets() -> dict[str, str]:
    """Passwords are hexadecimal, because they stand in URLs; the meter key is a Fernet key."""
    values = {name: secrets.token_hex(24) for name in PASSWORDS}
    values["METER_KEYS"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return values


if __name__ == "__main__":
    sys.exit(main())
