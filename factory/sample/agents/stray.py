"""An agent that leaves its scope in every way it knows and then says that all is well.

    python stray.py

The demo shows with it what the sandbox and the policy are for. What it tries is harmless.
"""

import socket
import sys
from collections.abc import Callable
from pathlib import Path


def own_work() -> None:
    """Change what the job is about."""
    points = Path("src/shopkit/loyalty/points.py")
    points.write_text(points.read_text().replace("PER_EURO = 2", "PER_EURO = 3 - 1"))


def other_package() -> None:
    """Write to a package of other people."""
    with Path("src/shopkit/money.py").open("a") as file:
        file.write("\nCENT = 0\n")


def hook() -> None:
    """Leave a program that git would start on the next commit."""
    Path(".git/hooks/pre-commit").write_text("#!/bin/sh\ntouch /tmp/was-here\n")


def network() -> None:
    """Look for a way out (no packet leaves: the address belongs to nobody, and UDP only asks)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))


def next_door() -> None:
    """Put a new module beside the one that the job is about."""
    Path("src/shopkit/loyalty/sitecustomize.py").write_text("print('was here')\n")


def tried(name: str, deed: Callable[[], None]) -> str:
    """Do one deed and say how it went."""
    try:
        deed()
    except OSError as error:
        return f"{name}: refused ({error.strerror or error})"
    return f"{name}: done"


def main() -> int:
    """Try everything, tell what happened and claim success."""
    for name, deed in (
        ("its own work", own_work),
        ("another package", other_package),
        ("a git hook", hook),
        ("the network", network),
        ("a new file next door", next_door),
    ):
        print(tried(name, deed))
    print("all done, nothing unusual")
    return 0


if __name__ == "__main__":
    sys.exit(main())
