"""Survey and fix through the real text of action.yml, on the sample of forty items.

The model is the sample's script; GitHub is the tests' own.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.survey import demo, judging, model, world
from examples.survey.world import FERRY
from tests.action.workflow import BOT, KEY, Done, Runner, comment
from tests.forge.hub import Hub
from tests.scripted.messages import MessagesServer

pytestmark = [pytest.mark.timeout(900), pytest.mark.soak]
DISPATCH = {"repository": {"full_name": FERRY}, "sender": {"login": "mona", "type": "User"}}


@contextmanager
def flowing(place: Path, workflow: str) -> Iterator[tuple[Runner, MessagesServer]]:
    """Give the runner of one workflow's run on the sample, and its model's server."""
    with (
        Hub(place=place / "hub", begins=datetime.now(UTC)) as hub,
        MessagesServer(model.script, key=KEY) as server,
    ):
        provider = f'\n[provider.anthropic]\nbase_url = "{server.url}"\n'
        world.opened(hub, place / "seed", demo.config() + provider)
        hub.user("mona", "write")
        yield Runner(hub=hub, place=place, workflow=workflow, repository=FERRY), server


def worked(runner: Runner, gate: Done, **given: str) -> Done:
    """Let the agent's role work on what the gate admitted."""
    runner.check_out(gate["base-sha"])
    return runner.role("agent", pins=gate["pins"], provider_key=KEY, **given)


def applied(runner: Runner, gate: Done, agent: Done, **given: str) -> Done:
    """Carry what was sealed to the role that writes."""
    runner.carry()
    return runner.role(
        "apply",
        pins=gate["pins"],
        bundle_sha256=agent["bundle-sha256"],
        agent_status=agent["status"],
        **given,
    )


def test_a_comment_becomes_a_survey(tmp_path: Path) -> None:
    """The reading job writes nothing; the writing job leaves one comment, made anew from the data.

    Neither says a word of the security report, and neither obeys an issue. A survey that somebody
    changed on the way is told nowhere.
    """
    with flowing(tmp_path, "factory-survey") as (runner, server):
        hub = runner.hub
        told = comment(7, f"/factory survey {demo.QUERY}", hub, full=FERRY)
        gate = runner.role("gate", payload=told, command="survey")
        assert gate["status"] == "go", gate.log
        writes = len(hub.writes())

        agent = worked(runner, gate, max_items="18")

        assert (agent.code, agent["status"]) == (0, "changed"), agent.log
        assert len(hub.writes()) == writes
        assert "5 root causes" in agent["why"]
        folder = tmp_path / "101-agent" / "temp" / "factory-bundle"
        kept = judging.of_survey(json.loads((folder / "survey.json").read_text()), hub)
        wrong = [promise for promise, held in kept.items() if not held]
        assert wrong == ["and the forge was not written to"], "the gate wrote its comment"
        asked = "\n".join(each.seen.raw.decode() for each in server.requests)
        assert world.CANARIES[0] not in asked + agent.summary + agent.log

        done = applied(runner, gate, agent)

        assert (done.code, done["status"]) == (0, "changed"), done.log
        [said] = [each.body for each in hub.comments(FERRY, 7) if each.author == BOT]
        assert "## Root causes" in said
        assert not any(word in said for word in world.CANARIES)
        (tmp_path / "101-apply/temp/factory-bundle/survey.json").write_text("{}")
        forged = runner.role("apply", pins=gate["pins"], bundle_sha256=agent["bundle-sha256"])
        assert (forged.code, forged["status"]) == (5, "blocked")
        assert "is not the survey that was made" in forged["why"]


def test_a_theme_becomes_one_pull_request(tmp_path: Path) -> None:
    """Started by hand with a theme: eleven issues closed by one draft, with the key nowhere."""
    with flowing(tmp_path, "factory-survey-fix") as (runner, _):
        hub = runner.hub
        gate = runner.role(
            "gate", event="workflow_dispatch", payload=DISPATCH, command="fix", query=demo.QUERY
        )
        assert gate["status"] == "go", gate.log
        agent = worked(runner, gate, max_items="18")
        assert (agent.code, agent["status"]) == (0, "changed"), agent.log
        assert not hub.writes()

        done = applied(runner, gate, agent)

        assert (done.code, done["status"]) == (0, "changed"), done.log
        [one] = judging.proposed(hub)
        kept = judging.of_pull(hub, one, (agent.summary, agent.log, done.summary, done.log))
        assert all(kept.values()), [promise for promise, held in kept.items() if not held]
        assert one.pull.head_ref.startswith("factory/pr/fix-proxy-handling-")
        assert KEY not in agent.log + agent.summary + one.body
        assert hub.objects(FERRY).comments == len(world.read("items.toml")["comment"])
