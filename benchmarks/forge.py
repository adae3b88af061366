"""The forge: writes whose answer is lost, kills of a run that delivers, the gate, the Action.

Everything speaks to the tests' own GitHub on 127.0.0.1; no figure here is about github.com.
"""

import copy
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from github import Auth, Github, GithubException
from measure import ROOT, Report, arguments, machine, program, scratch
from requests import RequestException

from factory.forge.gatekeeping import Decision, Wishes, asked, decide
from tests.action.hostile import ATTACKS, attacked
from tests.action.workflow import KEY, TOY, Runner, comment, toy
from tests.action.workflow import action as action_file
from tests.conftest import make_repository
from tests.forge.hub import Hub
from tests.forge.test_keeping import FAULTS, WRITES, scene
from tests.forge.webhooks import examples
from tests.scripted import messages as scripted
from tests.scripted.messages import MessagesServer
from tests.system.conftest import settle
from tests.system.forges import works
from tests.system.user import FILES, TESTS, station, table

LOST: Final = ("applied-then-502", "applied-then-drop")
STACK: Final = {"pulls": "job"}


def matrix(report: Report) -> None:
    """Let every kind of write meet every fault, and count what is there afterwards."""
    wrong: list[str] = []
    for fault in FAULTS:
        with scratch() as place, scene(place) as at:
            for write in WRITES:
                if write.before is not None:
                    write.before(at)
                at.hub.fault(write.method, write.pattern, fault, skip=write.skip)
                write.does(at)
                if write.left(at) != write.want:
                    wrong.append(f"{write.name} ({fault})")
            at.hub.idle()
    report.add("writes: kinds", len(WRITES))
    report.add("writes: faults", ", ".join(FAULTS))
    report.add("writes: cells with exactly one object", len(WRITES) * len(FAULTS) - len(wrong))
    report.add("writes: cells wrong", wrong or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A write as one writes it with PyGithub alone, and how many things there should be."""

    name: str
    method: str
    pattern: str
    does: Callable[[Any, Any], object]
    """Given the repository by PyGithub and the scene."""
    left: Callable[[Any], int]


def _runs(at: Any) -> int:
    return sum(run.name == "plain" for run in at.hub.repo(TOY).runs.values())


PLAIN: Final = (
    Plain(
        name="open a pull request",
        method="POST",
        pattern="*/pulls",
        does=lambda repo, _: repo.create_pull(base="main", head="side", title="t", body="b"),
        left=lambda at: sum(p.head_ref == "side" for _, p in at.hub.repo(TOY).pulls()),
    ),
    Plain(
        name="comment",
        method="POST",
        pattern="*/issues/{issue_number}/comments",
        does=lambda repo, at: repo.get_issue(at.issue).create_comment("hello"),
        left=lambda at: len(at.hub.comments(TOY, at.issue)),
    ),
    Plain(
        name="report a check",
        method="POST",
        pattern="*/check-runs",
        does=lambda repo, at: repo.create_check_run("plain", at.sha, status="in_progress"),
        left=_runs,
    ),
    Plain(
        name="make a branch",
        method="POST",
        pattern="*/git/refs",
        does=lambda repo, at: repo.create_git_ref("refs/heads/made", at.sha),
        left=lambda at: int(at.hub.repo(TOY).bare.branch("made") is not None),
    ),
    Plain(
        name="start a workflow",
        method="POST",
        pattern="*/dispatches",
        does=lambda repo, _: repo.requester.requestJsonAndCheck(
            "POST", f"{repo.url}/actions/workflows/ci.yml/dispatches", input={"ref": "side"}
        ),
        left=lambda at: len(at.hub.dispatched(TOY)),
    ),
    Plain(
        name="answer in a talk",
        method="POST",
        pattern="*/comments/{comment_id}/replies",
        does=lambda repo, at: repo.get_pull(at.pull).create_review_comment_reply(
            next(iter(repo.get_pull(at.pull).get_review_comments())).id, "because"
        ),
        left=lambda at: sum(r.body == "because" for r in at.pr().pull.remarks),
    ),
    Plain(
        name="merge",
        method="PUT",
        pattern="*/pulls/{pull_number}/merge",
        does=lambda repo, at: repo.get_pull(at.pull).merge(),
        left=lambda at: int(at.pr().pull.merged is not None),
    ),
)


def baseline(report: Report) -> None:
    """Let PyGithub alone, as it comes, meet the same lost answers."""
    for fault in LOST:
        more, lied, told = 0, 0, dict[str, str]()
        with scratch() as place, scene(place) as at:
            octocat = at.hub.act("octocat")
            octocat.commit(TOY, "side", {"c.py": "z = 3\n"}, "a side")
            octocat.remark(TOY, at.pull, "a.py", 1, "Why?")
            at.keep.ready(at.door.pull(at.pull))
            token = at.hub.token("factory[bot]", "write")
            plain = Github(auth=Auth.Token(token), base_url=at.hub.api_url)
            repo = plain.get_repo(TOY)
            for write in PLAIN:
                at.hub.fault(write.method, write.pattern, fault)
                try:
                    write.does(repo, at)
                    failed = False
                except (GithubException, RequestException):
                    failed = True
                count = write.left(at)
                more += count - 1
                lied += failed and count > 0
                told[write.name] = f"{count}{', told as failed' if failed else ''}"
            plain.close()
            at.hub.idle()
        report.add(f"plain PyGithub, {fault}: duplicates", more)
        report.add(f"plain PyGithub, {fault}: done, told as failed", lied)
        report.add(f"plain PyGithub, {fault}: objects", told)


def storm(report: Report, kills: int, seed: int) -> None:
    """Kill a run that opens pull requests over and over; count what is there twice."""
    dice = random.Random(seed)  # noqa: S311  it picks what to kill
    done, more, worlds, leaks = Counter[str](), Counter[str](), 0, 0
    began = time.monotonic()
    with scratch() as room:
        small = make_repository(room / "small", FILES)
        while done.total() < kills:
            worlds += 1
            place = room / str(worlds)
            place.mkdir()
            user = settle(small, place)
            with works(user, place / "hub", issues=2, forge=STACK) as world:
                wanted = min(4, kills - done.total())
                while len(world.kills) < wanted and world.kill(dice, most=60):
                    pass
                states = {job["state"] for job in world.finish()["jobs"]}
                assert states == {"proposed"}, states
                held = world.hub.objects(TOY)
                assert (held.pulls, held.comments, held.branches) == (2, 2, 3), held
                done.update("in delivery" if kill.delivering else "before" for kill in world.kills)
                more.update(world.duplicates())
                leaks += len(world.leaks())
    report.add("kills -9", done.total(), f"{done.total()} in {worlds} worlds: {dict(done)}")
    report.add("kills: duplicates", dict(more))
    report.add("kills: places that held the token", leaks)
    report.add("kills: wall s", time.monotonic() - began)


def requests(report: Report) -> None:
    """Count what one issue costs until its pull request stands and the issue says so."""
    with scratch() as room:
        (room / "one").mkdir()
        user = settle(make_repository(room / "small", FILES), room / "one")
        with works(user, room / "hub", issues=1, forge={}) as world:
            began = time.monotonic()
            world.finish()
            report.add("issue to pull request: s", time.monotonic() - began)
            log = world.hub.log
            report.add("issue to pull request: requests", len(log))
            git = sum(".git/" in one.path for one in log)
            graph = sum("graphql" in one.path for one in log)
            kinds = {"rest": len(log) - graph - git, "graphql": graph, "git": git}
            report.add("issue to pull request: of which", kinds)
            report.add("issue to pull request: answered 304", sum(x.status == 304 for x in log))
            report.add("issue to pull request: writes", len(world.hub.writes()))
            before = len(world.hub.log)
            world.finish()
            report.add("asked again: requests", len(world.hub.log) - before)


FULL: Final = "Codertocat/Hello-World"
WHO: Final[Mapping[str, tuple[str, str]]] = {
    "owner": ("User", "admin"),
    "writer": ("User", "write"),
    "reader": ("User", "read"),
    "stranger": ("User", "none"),
    "bot": ("Bot", "admin"),
    "ghost": ("", "admin"),
}


def order(kind: str, who: str) -> dict[str, Any]:
    """Give the event of a comment on an issue."""
    told: dict[str, Any] = {
        "action": "created",
        "repository": {"full_name": FULL},
        "sender": {"login": "someone", "type": WHO[who][0]} if WHO[who][0] else None,
        "comment": {"body": "/factory", "user": {"login": "someone"}},
        "issue": {"number": 1, "title": "t", "body": "b", "state": "open", "labels": []},
    }
    match kind:
        case "edited comment":
            told["action"] = "edited"
        case "phrase in the text":
            told["comment"]["body"] = "please /factory"
        case "own marker":
            told["comment"]["body"] = "/factory <!-- factory:key=01234567 v=1 -->"
        case "comment on a fork's pull request":
            told["issue"]["pull_request"] = {}
        case "opted out":
            told["issue"]["labels"] = [{"name": "factory:off"}]
        case "closed":
            told["issue"]["state"] = "closed"
    return told


KINDS: Final = (
    *("comment", "comment on a fork's pull request", "edited comment", "phrase in the text"),
    *("own marker", "opted out", "closed"),
)


def verdict(event: str, told: object, permission: str, full: str = FULL) -> Decision:
    """Decide as the gate does."""
    wishes = Wishes(repository=full)
    found = asked(event, told, wishes)
    return found if isinstance(found, Decision) else decide(found, wishes, permission)


def gate(report: Report) -> None:
    """Let the gate decide on every example of GitHub's, and on orders of everybody."""
    plain, ordered, crashes = Counter[bool](), Counter[bool](), 0
    for example in examples():
        full = example.payload.get("repository", {}).get("full_name", FULL)
        told = copy.deepcopy(example.payload)
        match told:
            case {"comment": {"body": _}}:
                told["comment"]["body"] = "/factory"
            case {"label": {"name": _}}:
                told["label"]["name"] = "factory"
        try:
            plain[verdict(example.event, example.payload, "admin", full).go] += 1
            ordered[verdict(example.event, told, "write", full).go] += 1
        except Exception as error:  # noqa: BLE001  a crash is what is counted
            print(f"{example.event}: {error!r}")
            crashes += 1
    events = len({example.event for example in examples()})
    report.add("gate: examples of GitHub", f"{len(examples())} of {events} events")
    report.add("gate: crashes", crashes)
    report.add("gate: go, as they are", plain[True])
    report.add("gate: go, with the order written in", ordered[True])
    for kind in KINDS:
        row = {
            who: "go" if verdict("issue_comment", order(kind, who), level).go else "skip"
            for who, (_, level) in WHO.items()
        }
        report.add(f"gate: {kind}", row, ", ".join(f"{who} {say}" for who, say in row.items()))


def hostile(report: Report) -> None:
    """Let hostile agents into the agent's role, and say what refused each."""
    out = 0
    for attack in ATTACKS:
        with scratch() as place:
            seen = attacked(attack, place)
        out += len(seen.leaks) + seen.calls
        report.add(f"hostile: {attack.name}", seen.ended)
    report.add("hostile: canaries out", out)


def action(report: Report) -> None:
    """Measure from the start of the agent's role to its first call of a model."""
    first = threading.Event()
    at = [0.0]

    def answer(_: scripted.Asked) -> scripted.Step:
        if not first.is_set():
            at[0] = time.monotonic()
            first.set()
        return scripted.finish("done", "nothing to do", files=[])

    with (
        MessagesServer(answer) as server,
        scratch() as place,
        Hub(place / "hub", begins=datetime.now(UTC)) as hub,
    ):
        config = (
            "version = 1\n"
            + station("code", scope=["jobs/**"], agent="sdk:small")
            + TESTS
            + table("[provider.anthropic]", base_url=server.url)
        )
        toy(hub, **{"factory.toml": config})
        runner = Runner(hub=hub, place=place)
        number = hub.act("octocat").open(TOY, "Add a file", "Please.")
        began = time.monotonic()
        told = runner.role("gate", payload=comment(number, "/factory", hub))
        report.add("action: gate, s", time.monotonic() - began)
        runner.check_out(told["base-sha"])
        began = time.monotonic()
        done = runner.role("agent", pins=told["pins"], provider_key=KEY)
        assert first.is_set(), done.log
        report.add("action: agent's role to its first model call, s", at[0] - began)


def install(report: Report) -> None:
    """Run the Action's own step that installs it: a new environment, each package by its hash."""
    [step] = [each for each in action_file()["runs"]["steps"] if each["id"] == "install"]
    with scratch() as place:
        script, told = place / "install.sh", place / "output"
        script.write_text(step["run"])
        env = {"PLACE": str(place / "env"), "GITHUB_OUTPUT": str(told), "HOME": str(place)}
        began = time.monotonic()
        ran = program(["bash", str(script)], cwd=ROOT, env=env, timeout=600, check=False)
        wall = time.monotonic() - began
        reason = ran.err.decode(errors="replace").strip()[-200:]
        value = f"not measured, pip failed: {reason}" if ran.code else round(wall, 1)
        report.add("action: install step, s", value)


def main() -> None:
    """Measure all, from the quick to the slow."""
    options = arguments(__doc__ or "", kills=20, seed=20261121)
    report = Report(name="forge", machine=machine())
    gate(report)
    requests(report)
    matrix(report)
    baseline(report)
    action(report)
    install(report)
    hostile(report)
    storm(report, options.kills, options.seed)
    report.write()


if __name__ == "__main__":
    main()
