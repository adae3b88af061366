"""What others wrote and the page loads: pinned, with its licence, light, and asking for nothing."""

import gzip
import hashlib
import re
import tomllib

import pytest

from factory.show.assets import TYPES, read
from tests.run import ROOT

STATIC = ROOT / "factory" / "show" / "static"
LIGHT = 60_000


def test_vendored_files_are_exactly_the_pinned_ones() -> None:
    """Each file of others is named in the manifest with its package, licence and checksum."""
    rows = tomllib.loads((STATIC / "manifest.toml").read_text())["file"]

    for row in rows:
        assert hashlib.sha256((STATIC / row["name"]).read_bytes()).hexdigest() == row["sha256"]
        assert (STATIC / row["licence"]).read_text().strip()
        assert re.fullmatch(r"\d+\.\d+\.\d+", row["version"])
    ours = {"page.css", "page.js", "icon.svg", "manifest.toml"}
    licences = {row["licence"] for row in rows}
    assert {path.name for path in STATIC.iterdir()} == ours | licences | {r["name"] for r in rows}


def test_all_a_page_loads_is_light() -> None:
    """Scripts and styles together are under 60 kB as they are sent compressed."""
    sent = [name for name in TYPES if name.endswith((".js", ".css"))]

    assert sum(len(gzip.compress(read(name))) for name in sent) < LIGHT


def test_nothing_else_is_given_out() -> None:
    """A name that is not on the list is no file of the page, whatever lies in the directory."""
    for name in ("manifest.toml", "../pages.py", "", "htmx.LICENSE"):
        with pytest.raises(KeyError):
            read(name)


def test_our_own_files_name_no_other_host() -> None:
    """Style and script of the page hold no address at all."""
    for name in ("page.css", "page.js"):
        assert b"://" not in read(name)
