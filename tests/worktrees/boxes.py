"""A minimal sandbox for the tests of this package: bubblewrap with given mounts, nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.run import Ran, run
from worktrees.shadow import ExportPlan, Mount

HOME = "/home"
SYSTEM = [
    *("bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
    *("--die-with-parent", "--new-session", "--clearenv", "--ro-bind", "/usr", "/usr"),
    *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"),
    *("--perms", "1777", "--tmpfs", HOME),
    *("--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", HOME),
    *("--setenv", "GIT_CONFIG_GLOBAL", "/dev/null"),
    *("--setenv", "GIT_AUTHOR_NAME", "Agent", "--setenv", "GIT_AUTHOR_EMAIL", "a@example.org"),
    *("--setenv", "GIT_COMMITTER_NAME", "Agent", "--setenv", "GIT_COMMITTER_EMAIL", "a@e.org"),
]


def box(
    mounts: Sequence[Mount],
    argv: Sequence[str],
    *,
    checkout: Path | str,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 30,
) -> Ran:
    """Run a command in a fresh sandbox that shows exactly these mounts."""
    line = list(SYSTEM)
    for mount in mounts:
        line += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    for name, value in (env or {}).items():
        line += ["--setenv", name, value]
    line += ["--remount-ro", "/", "--chdir", str(checkout), "--", *argv]
    return run(line, check=check, timeout=timeout)


def carry_out(plan: ExportPlan, *, check: bool = True, timeout: float = 30) -> Ran:
    """Run a plan of `worktrees.shadow` as a seat would."""
    return box(
        plan.mounts, plan.argv, checkout=plan.checkout, env=plan.env, check=check, timeout=timeout
    )
