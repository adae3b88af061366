"""`factory config history` and `rollback`: the configurations that runs used, and one put back."""

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from factory.cli.app import emit, say
from factory.cli.finding import read_run, repository
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.ledger import Ledger
    from factory.views.schemas import VersionRow
    from worktrees.git import Repository
    from worktrees.names import RunId

FILE: Final = "factory.toml"
_HOUR: Final = 3600


def history(*, json: bool) -> None:
    """Print every configuration that a run used, and what its runs came to."""
    from factory.views import comparing, show

    document = comparing.versions_document(_rows(repository()))
    if json:
        emit(document)
    else:
        show.screen_on(sys.stdout).show(*comparing.versions_parts(document))


def _rows(where: "Repository") -> "list[VersionRow]":
    from factory import rehearsing
    from factory.events import Opened
    from factory.ledger import Ledger

    path = where.factory / "ledger.sqlite"
    if not path.exists():
        return []
    with Ledger(path, read_only=True) as ledger:
        used: dict[str, list[RunId]] = {}
        last: dict[str, float] = {}
        for record in ledger.of_kind("opened"):
            event = record.event
            # A rehearsal's oracles say nothing of who works the stations.
            if (
                isinstance(event, Opened)
                and event.config
                and rehearsing.OPTION not in event.options
            ):
                used.setdefault(event.config, []).append(record.run)
                last[event.config] = record.at
        order = sorted(used, key=lambda name: last[name])
        now = _now(where)
        return [_row(where, ledger, name, used[name], last[name], now=now) for name in order]


def _row(
    where: "Repository",
    ledger: "Ledger",
    name: str,
    runs: "list[RunId]",
    last: float,
    *,
    now: str,
) -> "VersionRow":
    from factory import versions
    from factory.meter import measured

    landed, seconds, passed, judged = 0, 0.0, 0.0, 0.0
    for run in runs:
        _, records = read_run(ledger, run)
        pace = measured((record.event, record.at) for record in records)
        landed += pace.landed
        seconds += pace.seconds
        passed += pace.passed
        judged += pace.judged
    return {
        "hash": name,
        "last": last,
        "runs": list(runs),
        "landed": landed,
        "first_pass": round(passed / judged, 4) if judged else None,
        "per_hour": round(landed / seconds * _HOUR, 3) if landed and seconds else None,
        "now": name == now,
        "kept": versions.text_of(where.factory, name) is not None,
    }


def _now(where: "Repository") -> str:
    """Give the hash of the factory.toml that stands in the checkout; empty without one."""
    from factory import versions

    path = None if where.checkout is None else where.checkout / FILE
    text = None if path is None else _text(path)
    return "" if text is None else versions.digest(text)


def _text(path: Path) -> str | None:
    """Give the text of a plain file; None without one. It need not be a good configuration."""
    if not path.is_file():
        return None
    return path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def rollback(beginning: str, *, dry_run: bool, force: bool, yes: bool, json: bool) -> None:
    """Put the version whose hash begins so back as factory.toml, after showing what changes."""
    from factory import versions
    from factory.wording import block, masked

    where = repository()
    name = versions.named(where.factory, beginning)
    text = versions.path_of(where.factory, name).read_bytes().decode()
    path = _place(where)
    old = _text(path)
    pair = (_lines(old or ""), _lines(text))
    diff = masked(
        "".join(difflib.unified_diff(*pair, f"{FILE} as it is", f"{FILE} of {name[:12]}"))
    )
    if not json:
        print(block(diff), end="")
    same = old == text
    written = not (dry_run or same)
    if written:
        _check_kept(where, path, old, force=force)
        if not (yes or json) and sys.stdin.isatty() and not typer.confirm("Write it?", err=True):
            say("nothing was written")
            return
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        versions.replaced(path, text, mode=mode)
    if json:
        document = {"hash": name, "path": str(path), "diff": diff, "written": written}
        emit({"schema": "factory.rollback/1", **document})
    elif same:
        say(f"{path} is that version already")
    elif written:
        say(f"{path} is version {name[:12]} again; `factory trust` looks at its commands")


def _lines(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


def _place(where: "Repository") -> Path:
    if where.checkout is None:
        raise Complaint("a bare repository has no place for a factory.toml")
    path = where.checkout / FILE
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise Complaint(f"{path} is no plain file", hint="make it one, then roll back")
    return path


def _check_kept(where: "Repository", path: Path, old: str | None, *, force: bool) -> None:
    """Complain of a factory.toml that would be lost: neither committed nor used by any run."""
    from factory import versions

    if old is None or force or versions.digest(old) in versions.known(where.factory):
        return
    head = where.git.resolve("HEAD")
    if head is not None:
        committed = where.git("cat-file", "blob", f"{head}:{FILE}", ok=(0, 128))
        if committed.code == 0 and committed.out == path.read_bytes():
            return
    raise Complaint(
        f"{path} has changes that are neither committed nor used by any run, and would be lost",
        hint="commit them, or --force",
    )
