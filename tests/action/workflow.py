"""A runner for the tests: it reads action.yml as GitHub does and lets bash run its own text.

Only the few expressions that the file uses are understood; any other one is an error. Each role
stands in directories of its own, and nothing but outputs and the folder goes from one to the next.
"""

import json
import re
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.forge.client import clone
from tests.forge.hub import Hub
from tests.run import ROOT, home, run
from tests.system.user import TESTS, station, table

TOY = "octo/toy"
ACTION = ROOT / "action.yml"
BOT = "github-actions[bot]"
KEY = "sk-ant-api03-canary-0123456789abcdef0123456789"
"""A provider's key that opens nothing."""
_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
EXAMPLES = ROOT / "examples" / "workflows"
AGENT = 'echo "made by $FACTORY_JOB" > jobs/new.txt\n'
CHECK = "test -e jobs/x.txt && ! grep -r BUG jobs\n"


@cache
def action() -> dict[str, Any]:
    """Give the tree of action.yml."""
    read: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    return read


def powers(workflow: str, role: str) -> dict[str, str]:
    """Give what the token of a role's job may, as an example workflow says."""
    jobs = yaml.safe_load((EXAMPLES / f"{workflow}.yml").read_text())["jobs"]
    return {area.replace("-", "_"): level for area, level in jobs[role]["permissions"].items()}


@cache
def interpreter() -> Path:
    """Give an interpreter that knows the project, as the installed one on GitHub does."""
    place = home() / "action-python"
    venv.create(place, with_pip=False, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (packages / "factory.pth").write_text(f"{ours}\n{ROOT}\n")
    return place / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a role did: its exit code, outputs, the page of the run and its whole log."""

    code: int
    outputs: Mapping[str, str]
    summary: str
    log: str

    def __getitem__(self, name: str) -> str:
        return self.outputs.get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs the roles of one workflow's run against the hub."""

    hub: Hub
    place: Path
    number: int = 101
    workflow: str = "factory-issue"
    repository: str = TOY
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, role: str) -> str:
        """Give the token of a role's job."""
        if role not in self.tokens:
            self.tokens[role] = self.hub.token(BOT, "write", areas=powers(self.workflow, role))
        return self.tokens[role]

    def role(
        self,
        role: str,
        *,
        event: str = "issue_comment",
        payload: Mapping[str, Any] | None = None,
        actor: str = "mona",
        prefix: Sequence[str] = (),
        **inputs: str,
    ) -> Done:
        """Run both steps of the action for one role, in directories of its own."""
        place = self.place / f"{self.number}-{role}"
        temp, files = place / "temp", place / "files"
        for each in (temp, files):
            each.mkdir(parents=True, exist_ok=True)
        told = files / "event.json"
        told.write_text(json.dumps(payload or {}))
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        defaults = {name: str(one.get("default", "")) for name, one in action()["inputs"].items()}
        assert set(given) <= set(defaults), given
        context = {f"inputs.{name}": value for name, value in {**defaults, **given}.items()}
        context |= {
            "inputs.mode": role,
            "inputs.token": self.token(role),
            "github.action_path": str(ROOT),
            "runner.temp": str(temp),
        }
        key = "inputs.mode == 'agent' && inputs.provider-key || ''"
        context[key] = context["inputs.provider-key"] if role == "agent" else ""
        world = {
            "FACTORY_ACTION_PYTHON": str(interpreter()),
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(told),
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_API_URL": self.hub.api_url,
            "GITHUB_SERVER_URL": self.hub.url,
            "GITHUB_RUN_ID": str(self.number),
            "GITHUB_TRIGGERING_ACTOR": actor,
            "GITHUB_WORKSPACE": str(place / "checkout"),
            "RUNNER_TEMP": str(temp),
        }
        log, code, outputs = "", 0, dict[str, str]()
        summary = files / "summary.md"
        for step in action()["runs"]["steps"]:
            told_to = files / f"output-{step['id']}"
            told_to.touch()
            summary.touch()
            script = files / f"{step['id']}.sh"
            script.write_text(step["run"])
            env = {name: _resolved(text, context) for name, text in step["env"].items()}
            files_of = {"GITHUB_OUTPUT": str(told_to), "GITHUB_STEP_SUMMARY": str(summary)}
            shell = [*prefix, *step["shell"].format(script).split()]
            where = Path(_resolved(step["working-directory"], context))
            ran = run(shell, cwd=where, env={**world, **env, **files_of}, timeout=280, check=False)
            log += (ran.out + ran.err).decode("utf-8", "backslashreplace")
            outputs = read_outputs(told_to)
            context |= {f"steps.{step['id']}.outputs.{k}": v for k, v in outputs.items()}
            code = ran.code
            if code:
                break
        return Done(code=code, outputs=outputs, summary=summary.read_text(), log=log)

    def check_out(self, base: str) -> Path:
        """Check out a commit as the agent's job does: by itself, with no credential kept."""
        place = self.place / f"{self.number}-agent" / "checkout"
        clone(self.hub, self.token("agent"), self.repository, place)
        run(["git", "checkout", "-q", "--detach", base], cwd=place)
        return place

    def carry(self) -> Path:
        """Bring the folder from the agent's job to the job that writes, as an artifact goes."""
        here = self.place / f"{self.number}-agent" / "temp" / "factory-bundle"
        there = self.place / f"{self.number}-apply" / "temp" / "factory-bundle"
        there.mkdir(parents=True)
        for file in here.iterdir():
            (there / file.name).write_bytes(file.read_bytes())
        return there


def _resolved(text: str, context: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: context[found[1]], text)


def read_outputs(path: Path) -> dict[str, str]:
    """Read outputs as the runner does: a name with a value, or a name with lines up to a word."""
    lines = path.read_text().split("\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(lines) and lines[at]:
        line = lines[at]
        name, mark, end = line.partition("<<")
        if not mark or "=" in name:
            name, _, value = line.partition("=")
            found[name] = value
            at += 1
            continue
        stop = lines.index(end, at + 1)
        found[name] = "\n".join(lines[at + 1 : stop])
        at = stop + 1
    return found


def toy(hub: Hub, *, agent: str = AGENT, **files: str) -> str:
    """Give the hub a repository whose agent and tests are shell scripts, and give its first commit.

    A double underscore in a file's name stands for a slash.
    """
    code = station(
        "code", scope=["jobs/**"], agent={"runtime": "command", "run": ["sh", "agent.sh"]}
    )
    config = "version = 1\n" + code + TESTS + table("[gate]", slots=1)
    made = {
        "factory.toml": config,
        "agent.sh": agent,
        "check.sh": CHECK,
        "jobs/x.txt": "one\n",
        **{name.replace("__", "/"): text for name, text in files.items()},
    }
    hub.repository(TOY, files=made)
    hub.user("mona", "write")
    hub.user("eve", "read")
    tip = hub.repo(TOY).bare.branch("main")
    assert tip is not None
    return tip


def comment(
    number: int, text: str, hub: Hub, login: str = "mona", full: str = TOY
) -> dict[str, Any]:
    """Give the event of a comment on an item of the hub, as it stands."""
    item = hub.issue(full, number)
    who = {"login": login, "type": "User"}
    return {
        "action": "created",
        "repository": {"full_name": full},
        "sender": who,
        "comment": {"body": text, "user": who},
        "issue": {
            "number": number,
            "title": item.title,
            "body": item.body,
            "state": item.state,
            "labels": [{"name": name} for name in item.labels],
            **({"pull_request": {}} if item.pull else {}),
        },
    }
