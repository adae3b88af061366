"""Git dirs written by hand: private ones, without an object, that read those of others.

Made by files and not by ``git init``: it is faster, and nothing can be in them but what is here.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from worktrees.names import Oid

ATTRIBUTES: Final = "* -text -eol -ident -filter -working-tree-encoding\n"
"""What keeps bytes as they are: the tree's own attributes would convert them on the way."""


def write_git_dir(
    git_dir: Path,
    *,
    object_format: str,
    work_tree: Path,
    head: str,
    refs: Mapping[str, Oid],
    objects: Sequence[str],
    excludes: Sequence[str],
) -> Path:
    """Write a git dir with these refs that finds every object in ``objects``, and give its path.

    ``head`` is what the file HEAD says; ``excludes`` are paths that are never added.
    """
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git_dir / name).mkdir(parents=True)
    version, extension = 0, ""
    if object_format != "sha1":
        version, extension = 1, f"[extensions]\n\tobjectformat = {object_format}\n"
    (git_dir / "config").write_text(
        f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n"
        f"\tworktree = {_quoted(str(work_tree))}\n\tlogallrefupdates = true\n"
        f"\tfsmonitor = false\n\texcludesFile = /dev/null\n{extension}"
    )
    (git_dir / "HEAD").write_text(f"{head}\n")
    lines = "".join(f"{oid} {name}\n" for name, oid in sorted(refs.items()))
    (git_dir / "packed-refs").write_text(f"# pack-refs with: sorted \n{lines}")
    (git_dir / "info/attributes").write_text(ATTRIBUTES)
    (git_dir / "info/exclude").write_text("".join(f"{_anchored(path)}\n" for path in excludes))
    (git_dir / "objects/info/alternates").write_text("".join(f"{one}\n" for one in objects))
    return git_dir


def alternates(objects: Path) -> tuple[Path, ...]:
    """Give an object directory and all that it borrows from, each once, itself first."""
    return tuple(_chain(objects))


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _anchored(path: str) -> str:
    """Write a path as a pattern of git's exclude files that matches it and nothing else."""
    special = str.maketrans({char: f"\\{char}" for char in "\\*?[ "} | {"\n": "?"})
    return f"/{path.strip('/').translate(special)}"


def _chain(objects: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    todo = [objects]
    while todo:
        here = todo.pop(0)
        if here in seen or not here.is_dir():
            continue
        seen.add(here)
        yield here
        with suppress(FileNotFoundError):
            listed = (here / "info/alternates").read_text(errors="surrogateescape")
            lines = [line for line in listed.splitlines() if line and not line.startswith("#")]
            todo += [Path(os.path.normpath(here / line)) for line in lines]
