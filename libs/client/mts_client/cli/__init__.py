"""The `mts` command line: `main` is its entry point, `app` the typer application."""

from mts_client.cli.app import app, main

__all__ = ["app", "main"]
