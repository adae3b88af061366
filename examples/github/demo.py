"""An issue becomes a pull request, is merged by a person, and is closed by that: all on 127.0.0.1.

    PYTHONPATH=. python examples/github/demo.py

A GitHub of the tests' own (real HTTP, real git, GitHub's own API descriptions) stands for GitHub,
and a script for a coding agent. The factory, its line, its tests and its pull request are real.
Whatever is not as it must be is named at the end, and the exit code is 1.
"""

import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from factory.demo import build
from tests.forge.client import clone, github
from tests.forge.hub import Hub
from tests.run import Child, Ran, end, run, start

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHOP = "octo/shop"
LIMIT = 60.0
"""Seconds that the whole may take."""
TITLE = "Taking a negative number of mugs fills the shelf"
BODY = """\
`Shelf({"MUG-1": 3}).take("MUG-1", -2)` gives -2, and afterwards 5 mugs are on the shelf.

A return is another thing and has its own form. Whoever takes less than nothing should get nothing.
"""


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
    print(f"  $ factory {' '.join(words)}", flush=True)
    child = start([sys.executable, "-m", "factory", *words], cwd=place, env=env)
    try:
        return followed(child)
    finally:
        end(child)


def shop(at: Path) -> Path:
    """Make the sample shop with the example's line and agent in it."""
    line = (HERE / "factory.toml").read_text().replace('"python3"', json.dumps(sys.executable))
    build(at, line)
    shutil.copy(HERE / "mend_shelf.py", at)
    for words in (("add", "--all"), ("commit", "--quiet", "--message=Add an agent")):
        run(["git", *words], cwd=at)
    return at


def played(scratch: Path, hub: Hub) -> list[str]:
    """Play all of it; give what was not as it must be."""
    demo = Demo()
    head("a repository on the forge, and an issue in it")
    hub.repository(SHOP, seed=shop(scratch / "seed"))
    token = hub.token("mona", "write")
    number = hub.act("octocat").open(SHOP, TITLE, BODY)
    place = clone(hub, token, SHOP, scratch / "clone")
    print(f"  {hub.url}/{SHOP}/issues/{number}, by octocat: {TITLE}")
    shown(BODY)
    env = {
        "HOME": str(scratch / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "GITHUB_TOKEN": token,
        "GITHUB_API_URL": hub.api_url,
    }

    head(f"factory run gh:{number} --deliver pr, by mona in a clone")
    words = ("run", f"gh:{number}", "--deliver", "pr", "--trust")
    ran = factory(place, env, *words)
    shown(ran.out.decode())
    demo.see(ran.code == 0, "the run ended with 0")
    pulls = list(hub.repo(SHOP).pulls())
    demo.see(len(pulls) == 1, f"there is one pull request ({len(pulls)})")
    if demo.wrong:
        return demo.wrong
    [(issue, pull)] = pulls
    tested = hub.repo(SHOP).bare.git("log", "-1", "--format=%T %B", pull.head).text
    tree, _, message = tested.partition(" ")

    head(f"pull request #{issue.number}: {issue.title}")
    print(f"  {pull.head_ref} -> {pull.base_ref}, {'a draft' if pull.draft else 'no draft'}")
    shown(re.sub(r"\n*<!--.*-->\s*$", "", issue.body or ""))
    demo.see(pull.draft, "it is a draft: a person calls it ready")
    demo.see(f"Factory-Tested-Tree: {tree}" in message, f"its head holds the tested tree {tree}")
    demo.see(
        f"Fixes #{number}" in (issue.body or ""),
        "it closes the issue, as its test was red before the change and green with it",
    )

    head("octocat reads it, calls it ready and merges it")
    theirs = github(hub, hub.token("octocat", "write")).get_repo(SHOP).get_pull(issue.number)
    theirs.mark_ready_for_review()
    merged = theirs.merge(sha=theirs.head.sha)
    demo.see(merged.merged, f"merged as {merged.sha[:12]}")
    demo.see(hub.issue(SHOP, number).state == "closed", f"issue #{number} was closed by the merge")

    head("the factory looks again")
    writes = len(hub.writes())
    again = factory(place, env, "resume", "--trust", "--json")
    found = json.loads(again.out) if again.out else {"jobs": []}
    states = {job["id"]: job["state"] for job in found["jobs"]}
    demo.see(states == {f"gh-{number}": "landed"}, f"it knows that the work landed: {states}")
    demo.see(len(hub.writes()) == writes, "and wrote nothing to the forge")
    demo.see(not holding(scratch, token), "the token is in no file of the clone")
    print(f"\n{len(hub.log)} requests in all, {len(hub.writes())} of them writes")
    return demo.wrong


def holding(scratch: Path, token: str) -> list[Path]:
    """Give the files of the clone and the home that hold the token."""
    files = (path for name in ("clone", "home") for path in (scratch / name).rglob("*"))
    return [path for path in files if path.is_file() and token.encode() in path.read_bytes()]


def main() -> int:
    """Play it in a directory that is gone afterwards."""
    began = time.monotonic()
    print(
        "no model, no network, no key: a GitHub of its own on this machine, and a script as agent"
    )
    scratch = Path(tempfile.mkdtemp(prefix="factory-github-"))
    try:
        with Hub(place=scratch / "hub", begins=datetime.now(UTC)) as hub:
            wrong = played(scratch, hub)
    finally:
        shutil.rmtree(scratch)
    seconds = time.monotonic() - began
    if seconds > LIMIT:
        wrong.append(f"it took {seconds:.0f} s, more than {LIMIT:.0f}")
    for text in wrong:
        print(f"not as it must be: {text}", file=sys.stderr)
    print(f"{seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
