"""The Action from the event to the pull request: the real text of action.yml, run by bash."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.action.workflow import BOT, KEY, TOY, Done, Runner, comment, toy
from tests.forge.ci import Verdict
from tests.forge.hub import Hub

pytestmark = pytest.mark.timeout(300)
"""Each starts a dozen programs, which takes its time on a loaded machine."""

HOSTILE = r"""
set +e
exec 2>&1
said=$(mktemp)
{
  env
  cat /proc/*/environ
  cat .git/config "$HOME/.git-credentials"
  git config --list --show-origin
} | tr '\0' '\n' > "$said"
echo '::set-output name=status::changed'
echo '::add-mask::a'
printf '\033]0;owned\007\n##[command]x\n'
git config core.hooksPath . ; git config core.fsmonitor "touch owned"
printf 'import os; os.system("touch owned")\n' > jobs/sitecustomize.py
timeout 5 sh -c 'cat < /dev/tcp/127.0.0.1/1' ; curl -m 2 http://127.0.0.1:1/
grep -c . "$said" > jobs/new.txt
cat "$said" >> jobs/new.txt
rm jobs/sitecustomize.py
echo "made by $FACTORY_JOB" >> jobs/new.txt
echo 'test -e jobs/new.txt' > jobs/test_new.sh
exit 0
"""
"""An agent that looks for secrets wherever one could be, and carries out all that it finds.

It also does what it was asked, with a test of it.
"""
SHOWS = "set -e\nfor each in jobs/test_*.sh; do if [ -e $each ]; then sh $each; fi; done\n"
"""Runs the tests of the jobs."""
STARTED = re.compile(rb'execve\("([^"]+)", \["([^"]*)"(?:, "([^"]*)")?')


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Give a forge whose clock is this machine's."""
    with Hub(place=tmp_path / "hub", begins=datetime.now(UTC)) as found:
        yield found


@pytest.fixture
def runner(hub: Hub, tmp_path: Path) -> Runner:
    """Give the runner of one workflow's run."""
    return Runner(hub=hub, place=tmp_path)


def ours(hub: Hub, number: int) -> list[str]:
    """Give what the Action said on an item."""
    return [each.body for each in hub.comments(TOY, number) if each.author == BOT]


def worked(runner: Runner, gate: Done) -> Done:
    """Let the agent's role work on what the gate admitted."""
    runner.check_out(gate["base-sha"])
    return runner.role("agent", pins=gate["pins"], provider_key=KEY)


def given(gate: Done, agent: Done) -> dict[str, str]:
    """Give what the workflow hands on to the role that writes."""
    return {
        "pins": gate["pins"],
        "bundle_sha256": agent["bundle-sha256"],
        "agent_status": agent["status"],
    }


def quiet(log: str) -> list[str]:
    """Give the lines of a log that the runner would take as commands."""
    word = ""
    found = []
    for line in log.splitlines():
        if word:
            word = "" if line == f"::{word}::" else word
        elif line.startswith("::stop-commands::"):
            word = line.removeprefix("::stop-commands::")
        elif line.startswith(("::", "##[")):
            found.append(line)
    return found


def test_a_comment_becomes_a_pull_request(hub: Hub, runner: Runner, tmp_path: Path) -> None:
    """Three roles in three directories, and an agent that steals: nothing of a secret gets out.

    A bundle that was touched on the way is refused first. The writing role starts git and nothing
    else, and speaks with the forge and nobody else. Its keyword is of the issue that the agent's
    job reproduced, and not of the one that the text names.
    """
    base = toy(hub, agent=HOSTILE, **{"check.sh": SHOWS})
    hub.act("octocat").open(TOY, "Another", "")
    title = 'Add "a" `file` $(touch owned) %0A::set-output name=x::y \u202e'
    number = hub.act("octocat").open(TOY, title, "Please @mona, Fixes #1\n::set-output name=a::b")

    gate = runner.role("gate", payload=comment(number, "/factory please", hub))
    assert (gate.code, gate["status"], gate["base-sha"]) == (0, "go", base), gate.log
    agent = worked(runner, gate)
    assert (agent.code, agent["status"]) == (0, "changed"), agent.log
    folder = runner.carry()
    kept = (folder / "change.bundle").read_bytes()
    (folder / "change.bundle").write_bytes(kept + b"more")
    tampered = runner.role("apply", **given(gate, agent))
    assert (tampered.code, tampered["status"]) == (5, "blocked"), tampered.log
    assert "digest" in tampered["why"]
    assert not list(hub.repo(TOY).pulls())
    (folder / "change.bundle").write_bytes(kept)
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "--seccomp-bpf", "-e", "trace=execve,connect", "-o", str(trace))
    done = runner.role("apply", prefix=strace, **given(gate, agent))

    told = (done.code, done["status"], done["pull-request-operation"])
    assert told == (0, "changed", "created"), done.log
    [(issue, pull)] = hub.repo(TOY).pulls()
    assert (done["pull-request-number"], done["branch"]) == (str(issue.number), pull.head_ref)
    assert pull.draft
    made = hub.repo(TOY).bare.file(pull.head, "jobs/new.txt")
    assert made is not None
    assert b"FACTORY_JOB=" in made[1], "the agent looked, and found only what it was given"
    assert made[1].endswith(f"made by gh-{number}\n".encode())
    assert f"\nFixes #{number}\n" in issue.body
    [shown] = json.loads((folder / "manifest.json").read_text())["evidence"]
    assert (shown["shown"], shown["base"], shown["issue"]) == (True, base, number)
    for bad in ("Fixes #1", "@mona", "\u202e"):
        assert bad not in issue.body + issue.title
    [said] = ours(hub, number)
    assert f"opened #{issue.number}" in said
    roles = (gate, agent, tampered, done)
    shown = "".join(one.log + one.summary + json.dumps(dict(one.outputs)) for one in roles)
    bundle = b"".join(file.read_bytes() for file in folder.iterdir())
    for secret in (KEY, *runner.tokens.values()):
        assert secret not in shown + said + issue.body
        assert secret.encode() not in bundle + made[1]
    for one in roles:
        assert quiet(one.log) == []
        assert "\x1b" not in one.summary
        assert "owned" not in [file.name for file in tmp_path.rglob("owned")]
    _only_git_and_the_forge(trace.read_bytes(), hub)


def _only_git_and_the_forge(trace: bytes, hub: Hub) -> None:
    """See what programs were started and whom they spoke with."""
    started = {Path(found[1].decode()).name for found in STARTED.finditer(trace)}
    shell = {"bash", "od", "tr", "env", "python"}
    git = {"git", "git-remote-http", "git-remote-https"}
    assert started <= shell | git | {"python3", "python3.11"}, started
    spoken = set(
        re.findall(rb"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\)", trace)
    )
    assert spoken == {hub.url.rpartition(":")[2].encode()}, spoken


MENDS = """
sed -i s/wrong/right/ jobs/x.txt
echo 'grep -q right jobs/x.txt' > jobs/test_x.sh
"""
"""An agent that cures what an issue tells of, with a test of it."""


@pytest.mark.soak
def test_an_issue_is_closed_by_what_the_agents_job_reproduced(hub: Hub, runner: Runner) -> None:
    """A test that is red on the base and green on the landing makes the keyword that closes."""
    toy(hub, agent=MENDS, **{"check.sh": SHOWS, "jobs/x.txt": "wrong\n"})
    number = hub.act("octocat").open(TOY, "It is wrong", "Please mend it")

    gate = runner.role("gate", payload=comment(number, "/factory", hub))
    agent = worked(runner, gate)
    assert (agent.code, agent["status"]) == (0, "changed"), agent.log
    [shown] = json.loads((runner.carry() / "manifest.json").read_text())["evidence"]
    done = runner.role("apply", draft="false", **given(gate, agent))

    assert (shown["shown"], shown["base"]) == (True, gate["base-sha"]), shown
    pull = int(done["pull-request-number"])
    assert f"\nFixes #{number}\n" in hub.issue(TOY, pull).body
    hub.act("octo").merge(TOY, pull, "merge")
    assert hub.issue(TOY, number).state == "closed"


@pytest.mark.soak
def test_a_red_pull_request_is_repaired(hub: Hub, tmp_path: Path) -> None:
    """A comment on a pull request whose check is red puts a commit on top of its branch."""
    runner = Runner(hub=hub, place=tmp_path, workflow="factory-pr-fix")
    toy(hub, agent="sed -i s/BUG/mended/ jobs/x.txt\n")
    hub.ci(checks={"unit": lambda _: Verdict(conclusion="failure", log="FAILED jobs/x.txt: BUG")})
    hub.act("mona").commit(TOY, "work", {"jobs/x.txt": "BUG\n"})
    number = hub.act("mona").open_pull(TOY, "work", "A change")
    hub.idle()

    gate = runner.role("gate", payload=comment(number, "/factory", hub))
    agent = worked(runner, gate)
    assert (agent.code, agent["status"]) == (0, "changed"), agent.log
    runner.carry()
    done = runner.role("apply", **given(gate, agent))

    assert (done.code, done["status"]) == (0, "changed"), done.log
    tip = hub.repo(TOY).bare.branch("work")
    assert tip is not None
    made = hub.repo(TOY).bare.file(tip, "jobs/x.txt")
    assert made is not None
    assert made[1] == b"mended\n"


@pytest.mark.soak
def test_a_run_that_lands_nothing_says_so(hub: Hub, runner: Runner) -> None:
    """Red tests end the agent's job with 1, no bundle crosses, and the comment tells the end."""
    toy(hub, agent="echo BUG > jobs/new.txt\n")
    number = hub.act("octocat").open(TOY, "A bug", "")
    gate = runner.role("gate", payload=comment(number, "/factory", hub))

    agent = worked(runner, gate)
    done = runner.role("apply", pins=gate["pins"], agent_result="failure")

    assert (agent.code, agent["status"], agent["bundle-sha256"]) == (1, "failed", ""), agent.log
    assert done["status"] == "failed"
    assert "The work failed" in ours(hub, number)[0]
