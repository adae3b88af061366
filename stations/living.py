"""Which process made something that outlives it, and whether that process still lives."""

import os
from pathlib import Path


def this_process() -> str:
    """Name this process so that no later one bears the same name."""
    began, _ = _process(os.getpid()) or ("", "")
    return f"{_namespace()}/{os.getpid()}/{began}"


def lives(name: str) -> bool:
    """Say whether the process of such a name still lives; one of another namespace may."""
    namespace, _, rest = name.partition("/")
    number, _, began = rest.partition("/")
    if namespace != _namespace() or not number.isdecimal():
        return True
    found = _process(int(number))
    return found is not None and found[0] == began and found[1] not in {"Z", "X"}


def _process(pid: int) -> tuple[str, str] | None:
    """Give when a process began, in the kernel's ticks, and its state."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[19], fields[0]


def _namespace() -> str:
    return Path("/proc/self/ns/pid").readlink().name
