"""The files that a page loads, all of them from here: our own and those that others wrote."""

from functools import cache
from importlib.resources import files
from typing import Final

TYPES: Final = {
    "page.css": "text/css",
    "uplot.min.css": "text/css",
    "htmx.min.js": "text/javascript",
    "hx-sse.min.js": "text/javascript",
    "uplot.min.js": "text/javascript",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""What the server gives, and as what; nothing else of the directory leaves it."""


@cache
def read(name: str) -> bytes:
    """Give one of these files; KeyError for any other name."""
    if name not in TYPES:
        raise KeyError(name)
    return (files("factory.show") / "static" / name).read_bytes()
