"""What all benchmarks share: a run watched from outside, medians, figures as text and JSON."""

import argparse
import json
import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "out"
sys.path.insert(0, str(ROOT))

from tests.run import run as program  # noqa: E402  the one door through which programs are started
from tests.run import start  # noqa: E402

PYTHON = sys.executable
EVERY = 0.05
"""Seconds between two looks at a running factory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the orchestrator from outside saw."""

    seconds: float
    rss: int
    descriptors: int
    children: int
    worktrees: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the factory: the wall of the whole command, what it said, what was seen."""

    wall: float
    code: int
    document: Mapping[str, object]
    errors: str
    looks: tuple[Look, ...]
    load: float

    @property
    def states(self) -> Mapping[str, str]:
        """Give what the factory said of each job."""
        jobs = self.document.get("jobs", [])
        assert isinstance(jobs, list)
        return {job["id"]: job["state"] for job in jobs}

    @property
    def peak(self) -> int:
        """Give the largest resident set of the orchestrator, in bytes."""
        return max((look.rss for look in self.looks), default=0)


@dataclass(slots=True, kw_only=True)
class Report:
    """The figures of one benchmark, printed as they come and kept as JSON."""

    name: str
    machine: Mapping[str, object]
    figures: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Say on which machine and when."""
        print(
            f"# {self.name}: " + ", ".join(f"{key} {value}" for key, value in self.machine.items())
        )

    def add(self, key: str, value: object, text: str = "") -> None:
        """Keep a figure and print it."""
        self.figures[key] = value
        print(f"{key:42} {text or shown(value)}", flush=True)

    def write(self) -> Path:
        """Write the figures to ``benchmarks/out`` and give the file."""
        OUT.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        file = OUT / f"{self.name}-{stamp}.json"
        file.write_text(json.dumps(asdict(self), indent=1, default=str) + "\n")
        print(f"written: {file}")
        return file


def machine() -> dict[str, object]:
    """Give what a figure depends on: when, which machine, which programs, how busy."""
    git = program(["git", "version"]).text.removeprefix("git version ")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "git": git,
        "load": round(os.getloadavg()[0], 1),
    }


def arguments(about: str, **defaults: int) -> argparse.Namespace:
    """Read the options: ``--code`` measures another checkout, the rest are the given numbers."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--code", type=Path, default=ROOT, help="the checkout that is measured")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory that is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="factory-bench-"))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def repository(place: Path, files: Mapping[str, str]) -> Path:
    """Make a repository with these files in one commit on main."""
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "init")
    return place


def git(place: Path, *words: str) -> str:
    """Run git in a checkout and give what it said."""
    return program(["git", *words], cwd=place, timeout=600).text


def factory(place: Path, code: Path, *words: str, timeout: float = 3600) -> Run:
    """Run the whole command in a checkout and watch its process from outside."""
    load = os.getloadavg()[0]
    began = time.monotonic()
    child = start(
        [PYTHON, "-m", "factory", "run", "--yes", "--trust", "--json", *words],
        cwd=place,
        env={"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"},
    )
    looks: list[Look] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            look = _look(child.pid, place, time.monotonic() - began)
            if look is not None:
                looks.append(look)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        out, err = child.communicate(timeout=timeout)
    finally:
        over.set()
        watcher.join()
        child.kill()
    wall = time.monotonic() - began
    document = json.loads(out) if out.strip() else {}
    said = err.decode(errors="replace")
    return Run(
        wall=wall,
        code=child.returncode,
        document=document,
        errors=said,
        looks=tuple(looks),
        load=load,
    )


def leftovers(place: Path) -> list[str]:
    """Give what a run left behind that it should not: worktrees, refs, processes, changes."""
    found = git(place, "worktree", "list", "--porcelain").split("\n\n")[1:]
    refs = git(place, "for-each-ref", "--format=%(refname)").splitlines()
    found += [ref for ref in refs if "factory" in ref]
    found += git(place, "status", "--porcelain").splitlines()
    trees = place / ".git/factory"
    found += [str(path) for name in ("trees", "trash", "new") for path in (trees / name).glob("*")]
    return [text for text in found if text]


def events(place: Path) -> list[tuple[float, dict[str, object]]]:
    """Read the ledger of a repository: when each event was recorded, and the event."""
    with sqlite3.connect(place / ".git/factory/ledger.sqlite") as ledger:
        rows = ledger.execute("SELECT at, body FROM events ORDER BY seq").fetchall()
    return [(at, json.loads(body)) for at, body in rows]


def timed(work: Callable[..., object], *given: object) -> float:
    """Give how many seconds something takes."""
    began = time.monotonic()
    work(*given)
    return time.monotonic() - began


def middle(values: Sequence[float]) -> float:
    """Give the median, rounded for people."""
    return round(median(values), 4)


def high(values: Sequence[float]) -> float:
    """Give the 95th percentile."""
    return round(quantiles(values, n=20)[-1] if len(values) > 1 else values[0], 4)


def shown(value: object) -> str:
    """Give a figure as people read it."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def size(place: Path) -> int:
    """Give the bytes that the files below a directory take on disk."""
    return sum(path.lstat().st_blocks * 512 for path in place.rglob("*"))


def _look(pid: int, place: Path, seconds: float) -> Look | None:
    proc = Path("/proc", str(pid))
    try:
        status = (proc / "status").read_text()
        children = (proc / f"task/{pid}/children").read_text().split()
        descriptors = len(os.listdir(proc / "fd"))  # noqa: PTH208  only the number counts
    except OSError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    if found is None:
        return None
    trees = place / ".git/worktrees"
    standing = len(os.listdir(trees)) if trees.is_dir() else 0  # noqa: PTH208
    return Look(
        seconds=seconds,
        rss=int(found[1]) * 1024,
        descriptors=descriptors,
        children=len(children),
        worktrees=standing,
    )


if __name__ == "__main__":
    print(json.dumps(machine()))
