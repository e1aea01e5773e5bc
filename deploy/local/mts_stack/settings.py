"""What the caller's environment says about a local stack, and the settings that the stack makes itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mts_stack.paths import ROOT


def local_directory() -> Path:
    """Where the stack lives: MTS_LOCAL_DIR, else `.local` in the repository."""
    return Path(os.environ.get("MTS_LOCAL_DIR") or ROOT / ".local")


def caller_settings() -> dict[str, str]:
    """The MTS_… settings of the caller's environment, which go over the stack's own."""
    return {name: value for name, value in os.environ.items() if name.startswith("MTS_") and value}


def run_window(opens: datetime, length: timedelta) -> str:
    """MTS_RUN_WINDOWS for one window a day."""
    begin, end = opens.astimezone(UTC), (opens + length).astimezone(UTC)
    return json.dumps([{"opens": f"{begin:%H:%M:%S}", "closes": f"{end:%H:%M:%S}", "zone": "UTC"}])
