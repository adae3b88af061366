"""Outputs: what a step gives to later ones, and the summary of its page. Values are hostile."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SUMMARY: Final = 900_000
"""Bytes of a summary: GitHub shows none that is larger than a megabyte."""


def put(path: Path, values: Mapping[str, str]) -> None:
    """Add outputs to the step's file, each between lines that no value can know."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for name, value in values.items():
            end = f"end-{secrets.token_hex(16)}"
            file.write(f"{name}<<{end}\n{_printable(value)}\n{end}\n")


def summarise(path: Path, text: str) -> None:
    """Add Markdown to the page of the run; whatever is foreign in it was escaped before."""
    data = text.encode("utf-8", "replace")
    kept = data[:SUMMARY].decode("utf-8", "ignore")
    cut = "" if len(data) <= SUMMARY else "\n\nThe rest is too long for this page.\n"
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{kept}{cut}\n")


def _printable(value: str) -> str:
    """Give a value of one line: nothing that a later step prints can look like a command."""
    return "".join(char if char.isprintable() else " " for char in value)
