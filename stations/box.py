"""What a sandbox is asked to run, and the protocol that every kind of sandbox satisfies."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Unpack

from stations.contract import Argv
from stations.limits import Limits
from stations.ran import Ran
from stations.shell import Options, Running
from worktrees.git import FACTORY_IDENTITY
from worktrees.shadow import INSIDE, Mount

TEMPORARY: Final = "/tmp"  # noqa: S108 - the sandbox's own tmpfs, not the host's
"""Where HOME and TMPDIR of a sandbox are: its own, empty, thrown away."""
BRIEF_INSIDE: Final = f"{INSIDE}/brief.json"
OUT_INSIDE: Final = f"{INSIDE}/out"
MB: Final = 1024 * 1024
SHARED_MEMORY_BYTES: Final = 256 * MB
"""How large `/dev/shm` of a sandbox may grow."""
SYSTEM_LINKS: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""What lies directly below / and belongs to `/usr`, as a link or as a directory."""
ETC: Final = (
    *("alternatives", "passwd", "group", "hosts", "nsswitch.conf"),
    *("ld.so.cache", "localtime", "ssl/certs"),
)
"""What a sandbox sees of the host's `/etc`."""


class SandboxError(Exception):
    """A sandbox did not do what it must; the machine is at fault, never the work."""


class NotStarted(SandboxError):  # noqa: N818 - reads as what is the matter
    """A sandbox did not start, so that nothing of its program ran."""


class NoSandbox(SandboxError):  # noqa: N818 - reads as what is the matter
    """No sandbox of the wanted kind works here; the message says the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One program with all it may see: nothing else of the host is there.

    ``checkout`` is the absolute path at which the tree stands and the working directory; mounts
    may come in any order, a parent is always shown before what lies in it. ``scratch`` are
    absolute paths that are writable and thrown away.
    """

    argv: Argv
    checkout: str
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    tmpfs_bytes: int = 1024 * MB
    network: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment of the program: nothing is inherited."""
        return {
            "PATH": ":".join(self.path or ("/usr/bin", "/bin")),
            "HOME": TEMPORARY,
            "TMPDIR": TEMPORARY,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": FACTORY_IDENTITY.name,
            "GIT_AUTHOR_EMAIL": FACTORY_IDENTITY.email,
            "GIT_COMMITTER_NAME": FACTORY_IDENTITY.name,
            "GIT_COMMITTER_EMAIL": FACTORY_IDENTITY.email,
            **self.env,
        }


class Sandbox(Protocol):
    """Runs boxes; when a call is back, nothing that it started lives any more."""

    @property
    def name(self) -> str:
        """Say which kind it is: ``bubblewrap``, ``docker`` or ``none``."""
        ...

    @property
    def contains(self) -> bool:
        """Say whether files, network, secrets and processes are really kept in."""
        ...

    @property
    def stamp(self) -> str:
        """Say what else than the host's own system programs run on; empty where there is none."""
        return ""

    @property
    def remedy(self) -> str:
        """Say what a person can do when it does not hold on this machine."""
        return ""

    def place(self, tree: Path, checkout: Path) -> Path:
        """Say at which path a tree of the host stands inside."""
        ...

    def of_run(self, run: str) -> "Sandbox":  # noqa: ARG002 - only some kinds bear names
        """Give the same sandbox with a run's name on all that it starts."""
        return self

    def open(
        self,
        box: Box,
        *,
        stdin: bytes | None = None,
        **options: Unpack[Options],
    ) -> AbstractContextManager[Running]:
        """Start a box that is talked to; leaving the context ends it and waits until it is empty.

        The calling thread must stay alive meanwhile: a sandbox dies with it.
        """
        ...

    def run(self, box: Box, *, stdin: bytes = b"", **options: Unpack[Options]) -> Ran:
        """Run a box to its end and give how it ended."""
        with self.open(box, stdin=stdin, **options) as running:
            return running.wait()
