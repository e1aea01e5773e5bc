"""What a meter sent, made fit to be stored and shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` as it may be stored and shown: a hostile meter's NULs and control characters replaced."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
