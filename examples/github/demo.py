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
from pathlib import Path

from examples.stage import Demo, factory, head, holding, shell, shown, staged
from factory.demo import build
from tests.forge.client import clone, github
from tests.forge.hub import Hub
from tests.run import run

HERE = Path(__file__).resolve().parent
SHOP = "octo/shop"
LIMIT = 60.0
"""Seconds that the whole may take."""
TITLE = "Taking a negative number of mugs fills the shelf"
BODY = """\
`Shelf({"MUG-1": 3}).take("MUG-1", -2)` gives -2, and afterwards 5 mugs are on the shelf.

A return is another thing and has its own form. Whoever takes less than nothing should get nothing.
"""


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
    env = shell(scratch, hub, token)

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


def main() -> int:
    """Play it in a directory that is gone afterwards."""
    print(
        "no model, no network, no key: a GitHub of its own on this machine, and a script as agent"
    )
    return staged(played, limit=LIMIT)


if __name__ == "__main__":
    sys.exit(main())
