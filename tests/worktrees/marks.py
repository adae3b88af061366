"""What tests of this package look at from outside: the user's files, and soundness."""

import hashlib
from pathlib import Path

from tests.run import Ran, run

OURS = ("factory", "objects", "worktrees", "refs", "logs", "packed-refs")


def fingerprint(checkout: Path) -> dict[str, str]:
    """Hash every file of the user: the checkout, and of the git dir index, config, hooks, HEAD."""
    found = {}
    for path in sorted(checkout.rglob("*")):
        inside = path.relative_to(checkout).parts
        if path.is_symlink() or not path.is_file():
            continue
        if inside[0] == ".git" and inside[1] in OURS:
            continue
        found["/".join(inside)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def sound(checkout: Path) -> None:
    """Require that fsck is clean and that worktree commands work."""
    run(["git", "fsck", "--full", "--strict"], cwd=checkout)
    run(["git", "worktree", "list"], cwd=checkout)


def evil_script(path: Path, proof: Path) -> Path:
    """Write a program that leaves ``proof`` behind when anybody executes it."""
    path.write_text(f"#!/bin/sh\necho run >> {proof}\ncat\n")
    path.chmod(0o755)
    return path


def status(tree: Path) -> Ran:
    """Ask git, as the user would, what differs in a worktree."""
    return run(["git", "status", "--porcelain"], cwd=tree)
