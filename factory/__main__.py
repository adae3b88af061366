"""The program: every command is known to the app, then the one edge runs it."""

import sys

from factory.cli import (
    acting,
    actions,
    balancing,
    fixing,
    forging,
    history,
    looking,
    reading,
    rehearsing,
    running,
    serving,
    setting_up,
    splitting,
    surveying,
    watching,
)
from factory.cli.app import run

COMMANDS = (
    setting_up,
    history,
    rehearsing,
    running,
    forging,
    splitting,
    surveying,
    fixing,
    looking,
    reading,
    acting,
    balancing,
    watching,
    serving,
    actions,
)
"""The modules whose import gives the app its commands, in the order of the help."""


def main() -> None:
    """Run the command of this process's arguments and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
