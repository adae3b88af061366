"""Boxes for tests of the sandboxes: a small tree of which one directory may be written."""

from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from stations.box import Box
from stations.bubblewrap import Bubblewrap
from worktrees.shadow import Mount

PLACE = "/somewhere/checkout"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnImage(Bubblewrap):
    """A sandbox whose programs are said to run on an image."""

    image: str

    @property
    @override
    def stamp(self) -> str:
        """Give the image."""
        return self.image


def plant(place: Path) -> Path:
    """Make a tree with one directory in scope and one outside, and give it."""
    for name in ("in/a.txt", "out/b.txt"):
        (place / name).parent.mkdir(parents=True)
        (place / name).write_text("text\n")
    return place


def box(tree: Path, script: str, *more: Mount, **fields: object) -> Box:
    """Give a box in which a shell script runs with only ``in`` writable."""
    mounts = (
        Mount(source=tree / "in", target=f"{PLACE}/in", writable=True),
        Mount(source=tree, target=PLACE),
        *more,
    )
    return Box(argv=("/bin/sh", "-c", script), checkout=PLACE, mounts=mounts, **fields)  # type: ignore[arg-type]  # fields by name
