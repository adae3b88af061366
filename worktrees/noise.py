"""Noise: files whose change says nothing about what belongs together. Pure.

Lockfiles follow from manifests, changelogs follow from everything, generated files from their
sources, and vendored ones come from elsewhere.
"""

from functools import lru_cache
from typing import Final

from worktrees.protection import LOCKS
from worktrees.scope import allows

_LISTS: Final = (
    *("changelog", "changes", "history", "news", "releases", "release-notes", "release_notes"),
    *("whatsnew", "authors", "contributors"),
)
_TEXTS: Final = ("", ".md", ".rst", ".txt", ".adoc")
GENERATED: Final = (
    *("*.min.js", "*.min.css", "*.map", "*.snap", "*.pb.go", "*_pb2.py", "*_pb2_grpc.py"),
    *("*_pb2.pyi", "*.generated.*", "*_generated.*", "zz_generated*", "*.g.dart", "*.designer.cs"),
    *("*.po", "*.pot", "*.mo"),
)
DIRECTORIES: Final = (
    *(".changes/", ".changeset/", "changelog.d/", "newsfragments/", "__snapshots__/"),
    *("**/changes/*.rst", "**/changes/*.md", "**/changelog/*.rst", "**/changelog/*.md"),
    *("__generated__/", "dist/", "vendor/", "vendored/", "_vendor/", "third_party/"),
    *("third-party/", "thirdparty/", "node_modules/", "bower_components/"),
)
_FILES: Final = (*LOCKS, *(f"{each}{end}" for each in _LISTS for end in _TEXTS), *GENERATED)


@lru_cache(maxsize=65_536)
def is_noise(path: str) -> bool:
    """Say whether this is a lockfile, a changelog, a generated or a vendored file."""
    low = path.lower()
    # A directory may have the name of a file that is noise, and hold code.
    return allows(_FILES, low.rpartition("/")[2]) or allows(DIRECTORIES, low)
