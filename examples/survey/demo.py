"""Forty issues are read, twelve are about proxies, and one pull request mends them: on 127.0.0.1.

    PYTHONPATH=. python examples/survey/demo.py

A GitHub of the tests' own (real HTTP, real git, GitHub's own API descriptions) stands for GitHub.
The model is scripted: what it answers stands in answers.toml. All else is real: the survey, the
plan, the agents' sandboxes and commits, the line, the evidence and the pull request. Whatever is
not as it must be is named at the end, and the exit code is 1.
"""

import json
import re
import sys
from pathlib import Path

from examples.stage import Demo, factory, head, holding, shell, shown, staged
from examples.survey import judging, model, world
from examples.survey.judging import Kept
from examples.survey.world import FERRY
from tests.forge.client import clone
from tests.forge.hub import Hub
from tests.run import Ran
from tests.scripted.messages import KEY, MessagesServer

LIMIT = 180.0
"""Seconds that the whole may take where others work beside it; alone it takes a tenth."""
QUERY = "proxy handling"
WIDE = "150"
"""Columns of the tables that are shown."""


def played(scratch: Path, hub: Hub) -> list[str]:
    """Play all of it; give what was not as it must be."""
    demo = Demo()
    head("a repository on the forge, and what people say about it")
    world.opened(hub, scratch / "seed", config())
    token = hub.token("mona", "write")
    place = clone(hub, token, FERRY, scratch / "clone")
    print(f"  {hub.url}/{FERRY}: {len(world.read('items.toml')['item'])} issues and pull requests")
    with MessagesServer(model.script, key=KEY) as server:
        env = {**shell(scratch, hub, token), **provided(scratch / "home", server), "COLUMNS": WIDE}

        head(f'factory survey "{QUERY}", by mona in a clone')
        ran = factory(place, env, "survey", QUERY, "--max", "18", "--trust")
        demo.see(ran.code == 0, "the survey ended with 0")
        if ran.code:
            return demo.wrong
        shown(without((place / "survey.md").read_text(), "## Left out"))
        judged(demo, judging.of_survey(json.loads((place / "survey.json").read_text()), hub))

        head("factory fix survey.json --plan-only: one strategy, to look at and to edit")
        ran = factory(place, env, "fix", "survey.json", "--plan-only", "--trust")
        shown(ran.out.decode())
        demo.see(ran.code == 0, "the plan was made")
        if ran.code:
            return demo.wrong

        head("factory fix plan.json: the plan on the line")
        ran = factory(place, env, "fix", "plan.json", "--yes", "--trust")
        shown(ended(ran.out.decode()))
        demo.see(ran.code == 0, "the fix ended with 0")
        proposal(demo, hub, ran)
        asked = len(server.requests)
    demo.see(not holding(scratch, token), "the token is in no file of the clone")
    demo.see(not holding(scratch, KEY), "nor is the model's key")
    print(
        f"\n{len(hub.log)} requests to the forge in all, {len(hub.writes())} of them writes;"
        f" {asked} to the scripted model"
    )
    return demo.wrong


def without(page: str, title: str) -> str:
    """Give a page without one of its sections, whose lines are counted instead."""
    before, found, rest = page.partition(f"{title}\n")
    section, _, after = rest.partition("\n## ")
    lines = sum(line.startswith("- ") for line in section.splitlines())
    return f"{before}{title}: {lines} items, each with its score and why\n\n## {after}" * bool(
        found
    )


def ended(said: str) -> str:
    """Give the report of a run, without the plan that was shown before it."""
    return re.sub(r"\A.*?^(?=run )", "", said, flags=re.DOTALL | re.MULTILINE)


def config() -> str:
    """Give the sample's factory.toml with the interpreter that has pytest."""
    text = (world.HERE / "ferry" / "factory.toml").read_text("utf-8")
    return text.replace('"python3"', json.dumps(sys.executable))


def provided(home: Path, server: MessagesServer) -> dict[str, str]:
    """Let a user's own file name the server of the model; give what the shell says of its key."""
    place = home / ".config" / "coding-agent-factory"
    place.mkdir(parents=True, exist_ok=True)
    (place / "factory.toml").write_text(
        f'[provider.anthropic]\nbase_url = "{server.url}"\nkey_env = "DEMO_KEY"\n'
    )
    return {"DEMO_KEY": KEY}


def judged(demo: Demo, kept: Kept) -> None:
    """See what is kept."""
    for promise, held in kept.items():
        demo.see(held, promise)


def proposal(demo: Demo, hub: Hub, ran: Ran) -> None:
    """Show the pull request and see what it claims."""
    ours = judging.proposed(hub)
    demo.see(len(ours) == 1, f"there is one pull request ({len(ours)})")
    if len(ours) != 1:
        return
    [one] = ours
    head(f"pull request #{one.issue.number}: {one.issue.title}")
    draft = "a draft" if one.pull.draft else "no draft"
    print(f"  {one.pull.head_ref} -> {one.pull.base_ref}, {draft}")
    shown(one.body)
    judged(demo, judging.of_pull(hub, one, (ran.out.decode(), ran.err.decode())))


def main() -> int:
    """Play it in a directory that is gone afterwards."""
    print(
        "no network, no key: a GitHub of its own on this machine, and a scripted model.\n"
        "What the model says was written down before; nothing here is a real model's work."
    )
    return staged(played, limit=LIMIT)


if __name__ == "__main__":
    sys.exit(main())
