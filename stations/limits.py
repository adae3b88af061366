"""What one program may use, and the launcher that sets it before the program starts."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# A launcher and no preexec_fn: a fork hook is not safe while other threads run, and limits that
# are set on the child from outside come too late for what it forks first. The keeper's pipe is seen
# to be open still after the word was written: so the keeper reads it before the end of the pipe.
_LAUNCHER: Final = """
core=0 file=$1 cpu=$2 open=$3 data=$4 keeper=$5 joined=$6; shift 6
ulimit -c "$core" && ulimit -f "$file" && ulimit -t "$cpu" || exit 125
ulimit -n "$open" && ulimit -d "$data" || exit 125
[ -z "$keeper" ] || { echo "+ $$" > "$keeper" && [ -e "$keeper" ]; } || exit 125
while [ "$joined" -gt 0 ]; do
  echo 0 > "$1" || exit 125
  shift; joined=$((joined - 1))
done
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may use; 0 means no limit of that kind.

    ``processes`` and ``memory_bytes`` hold for the whole program where a sandbox can count them,
    else ``memory_bytes`` holds for each process alone.
    """

    file_bytes: int = 512 * 1024 * 1024
    cpu_seconds: int = 3600
    open_files: int = 4096
    processes: int = 512
    memory_bytes: int = 4 * 1024 * 1024 * 1024
    groups: tuple[Path, ...] = field(default=())
    """Control groups that the program joins before it starts."""


def launched(argv: Sequence[str], limits: Limits, *, keeper: str = "") -> list[str]:
    """Give the argv that sets the limits on itself, joins its groups and becomes the program.

    With ``keeper``, the path of a pipe, it first says its process group there.
    """
    numbers = (
        _clamped(resource.RLIMIT_FSIZE, limits.file_bytes, 512),
        _clamped(resource.RLIMIT_CPU, limits.cpu_seconds, 1),
        _clamped(resource.RLIMIT_NOFILE, limits.open_files, 1),
        _clamped(resource.RLIMIT_DATA, limits.memory_bytes, 1024),
    )
    groups = [_entrance(group) for group in limits.groups]
    return ["/bin/sh", "-c", _LAUNCHER, "sh", *numbers, keeper, str(len(groups)), *groups, *argv]


def _entrance(group: Path) -> str:
    # A launcher is one thread, and one that moves itself takes no lock of the whole machine: where
    # the first version of control groups is in use that saves 5 to 30 ms in each start (measured).
    threads = group / "tasks"
    return str(threads if threads.exists() else group / "cgroup.procs")


def _clamped(which: int, wanted: int, unit: int) -> str:
    hard = resource.getrlimit(which)[1]
    allowed = [n for n in (wanted, 0 if hard == resource.RLIM_INFINITY else hard) if n]
    return str(max(1, min(allowed) // unit)) if allowed else "unlimited"
