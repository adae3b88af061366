"""What the demos on a GitHub of this machine share: a place, a user who types, and what is seen."""

import shlex
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.forge.hub import Hub
from tests.run import Child, Ran, end, start

ROOT = Path(__file__).resolve().parents[1]


@dataclass(slots=True, kw_only=True)
class Demo:
    """What is checked on the way: each wrong thing is kept until the end."""

    wrong: list[str] = field(default_factory=list)

    def see(self, right: object, what: str) -> None:
        """Say whether something is as it must be."""
        print(f"  {'ok ' if right else 'NO '} {what}", flush=True)
        if not right:
            self.wrong.append(what)


def head(text: str) -> None:
    """Begin the next part."""
    print(f"\n== {text}", flush=True)


def shown(text: str) -> None:
    """Show a text of somebody's, set off from ours."""
    print("\n".join(f"  | {line}".rstrip() for line in text.rstrip().splitlines()), flush=True)


def followed(child: Child) -> Ran:
    """Show what a program says on standard error while it works, and give how it ended."""
    assert child.stdout is not None
    assert child.stderr is not None
    out: list[bytes] = []
    reader = threading.Thread(target=lambda pipe: out.append(pipe.read()), args=(child.stdout,))
    reader.start()
    said: list[bytes] = []
    for line in child.stderr:
        said.append(line)
        print(f"  {line.decode('utf-8', 'replace').rstrip()}", flush=True)
    reader.join()
    return Ran(code=child.wait(), out=b"".join(out), err=b"".join(said))


def factory(place: Path, env: Mapping[str, str], *words: str) -> Ran:
    """Type a command of the factory in a clone, and show what it says."""
    print(f"  $ {shlex.join(['factory', *words])}", flush=True)
    child = start([sys.executable, "-m", "factory", *words], cwd=place, env=env)
    try:
        return followed(child)
    finally:
        end(child)


def shell(scratch: Path, hub: Hub, token: str) -> dict[str, str]:
    """Give what the shell of somebody with a token says."""
    return {
        "HOME": str(scratch / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "GITHUB_TOKEN": token,
        "GITHUB_API_URL": hub.api_url,
    }


def holding(scratch: Path, secret: str) -> list[Path]:
    """Give the files of the clone and the home that hold a secret."""
    files = (path for name in ("clone", "home") for path in (scratch / name).rglob("*"))
    return [path for path in files if path.is_file() and secret.encode() in path.read_bytes()]


def staged(play: Callable[[Path, Hub], list[str]], *, limit: float) -> int:
    """Play it in a directory that is gone afterwards; give the exit code."""
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="factory-stage-"))
    try:
        with Hub(place=scratch / "hub", begins=datetime.now(UTC)) as hub:
            wrong = play(scratch, hub)
    except KeyboardInterrupt:
        print("interrupted: nothing is left of it", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(scratch)
    seconds = time.monotonic() - began
    if seconds > limit:
        wrong.append(f"it took {seconds:.0f} s, more than {limit:.0f}")
    for text in wrong:
        print(f"not as it must be: {text}", file=sys.stderr)
    print(f"{seconds:.0f} s")
    return 1 if wrong else 0
