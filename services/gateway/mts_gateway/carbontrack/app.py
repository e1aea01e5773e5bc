"""The application behind the paths of this API."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import ASGIApp


def application() -> ASGIApp:
    """The ASGI application."""
    return Starlette()
