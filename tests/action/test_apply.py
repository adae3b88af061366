"""The writing role: what it writes, and what it refuses by name, whatever the bundle claims."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from factory import repairing
from factory.action.bundle import BundleError, Evidence, read
from factory.action.marker import lease_of
from factory.forge.gatekeeping import Pins
from factory.forge.keeping import marked
from factory.forge.replies import ROUNDS
from factory.forge.texts import Asked, Claim
from tests.action.bench import Bench
from tests.action.workflow import TOY, comment, toy
from tests.forge.hub import Hub
from tests.worktrees.test_sealed import linked
from worktrees.names import JobId, Oid


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a run against a forge that has the toy."""
    with Hub(place=tmp_path / "hub", begins=datetime.now(UTC)) as hub:
        toy(hub)
        yield Bench(hub=hub, place=tmp_path)


@pytest.fixture
def pins(bench: Bench) -> Pins:
    """Give the pins of an open issue."""
    return bench.pins(bench.hub.act("octocat").open(TOY, "A bug", "It is bad"))


NEW = {"jobs/new.txt": "new\n"}


def test_a_sealed_change_becomes_one_pull_request_however_often(bench: Bench, pins: Pins) -> None:
    """Applied twice it is one branch, one draft, one comment and one check."""
    digest = bench.change(pins, NEW)

    first = bench.apply(pins, bundle_sha256=digest)
    second = bench.apply(pins, bundle_sha256=digest)

    assert (first.status, first.operation, first.code) == ("changed", "created", 0)
    assert (second.status, second.operation) == ("changed", "none")
    held = bench.hub.objects(TOY)
    assert (held.pulls, held.checks, held.comments, held.branches) == (1, 1, 1, 2)
    [(issue, pull)] = bench.hub.repo(TOY).pulls()
    assert (pull.draft, pull.base_ref, first.head) == (True, "main", pull.head)
    assert pull.head_ref.startswith(f"factory/pr/issue-{pins.number}-")
    assert "the job that opened this judged the commits again" in issue.body
    assert "no checks start by themselves" in bench.ours(pins.number)[0]


def symlink(bench: Bench, pins: Pins) -> Oid:
    """Commit a link to the outside."""
    return linked(bench.clone(), Oid(pins.base), "120000", "jobs/link", "/etc/passwd")


def submodule(bench: Bench, pins: Pins) -> Oid:
    """Commit a repository of its own."""
    return linked(bench.clone(), Oid(pins.base), "160000", "jobs/sub", "1" * 40)


def files(**named: str) -> Callable[[Bench, Pins], Oid]:
    """Give what commits these files."""

    def made(bench: Bench, pins: Pins) -> Oid:
        from tests.conftest import commit_files

        told = {name.replace("__", "/"): text for name, text in named.items()}
        return commit_files(bench.clone(), Oid(pins.base), told)

    return made


def many(bench: Bench, pins: Pins) -> Oid:
    """Commit ten thousand files of one content."""
    git = bench.clone().git.with_index(bench.clone().factory / "many-index")
    git("read-tree", pins.base)
    blob = git("hash-object", "-w", "--stdin", stdin=b"x").text
    lines = "".join(f"100644 {blob}\tjobs/{n}.txt\n" for n in range(10_000))
    git("update-index", "--index-info", stdin=lines.encode())
    tree = git("write-tree").text
    return Oid(git("commit-tree", tree, "-p", pins.base, "-m", "many").text)


def bomb(bench: Bench, pins: Pins) -> Oid:
    """Commit a file that is small only while it is packed."""
    return files(jobs__zeros="\0" * 30_000_000)(bench, pins)


def closing(bench: Bench, pins: Pins) -> Oid:
    """Commit with a message that would close another issue."""
    git = bench.clone().git
    head = files(jobs__new="new\n")(bench, pins)
    words = ("commit-tree", git.tree_of(head), "-p", pins.base, "-m", "Closes: octo/toy#1")
    return Oid(git(*words).text)


BAD: Mapping[str, tuple[Callable[[Bench, Pins], Oid], str]] = {
    "a symbolic link": (symlink, "mode"),
    "a submodule": (submodule, "mode"),
    "a workflow": (files(**{".github/workflows__ci.yml": "on: push\n"}), "protected"),
    "instructions for agents": (files(**{"AGENTS.md": "obey\n"}), "protected"),
    "the test runner's configuration": (files(**{"conftest.py": "evil\n"}), "protected"),
    "the line's configuration": (files(**{"factory.toml": "version = 1\n"}), "protected"),
    "ten thousand files": (many, "count"),
    "a bomb": (bomb, "size"),
    "a message that closes": (closing, "message"),
    "too many lines": (files(jobs__long="line\n" * 6000), "lines"),
}


def test_each_bad_change_is_refused_by_a_named_gate(bench: Bench, pins: Pins) -> None:
    """Nothing of it is pushed, the exit code is 5, and the one comment names the gate."""
    for what, (made, name) in BAD.items():
        digest = bench.sealed(pins, made(bench, pins))

        found = bench.apply(pins, bundle_sha256=digest, protected_paths="AGENTS.md\nCLAUDE.md")

        told = (found.status, found.code, found.why)
        assert told == ("blocked", 5, f"refused by the gate {name}"), what
        [said] = bench.ours(pins.number)
        assert f"the gate `{name}` refused" in said, what
        shutil.rmtree(bench.flow().temp / "factory-bundle")
    assert bench.branches() == []
    assert not list(bench.hub.repo(TOY).pulls())


LIES: tuple[dict[str, object], ...] = (
    {"number": 99},
    {"base": "1" * 40},
    {"tree": "1" * 40},
    {"run": "run\n::set-output"},
    {"line": "<img src=x>"},
    {"asked": ()},
)


@pytest.mark.soak
def test_a_manifest_that_lies_is_refused(bench: Bench, pins: Pins) -> None:
    """Another item, base or tree, and names that are none, are refused whoever sealed them."""
    for lie in LIES:
        digest = bench.change(pins, NEW, **lie)

        found = bench.apply(pins, bundle_sha256=digest)

        assert (found.code, found.why) == (5, "refused by the gate manifest"), lie
        shutil.rmtree(bench.flow().temp / "factory-bundle")
    assert not list(bench.hub.repo(TOY).pulls())
    assert bench.branches() == []


def test_a_folder_that_was_touched_is_refused(bench: Bench, pins: Pins) -> None:
    """Every file is held by the digest; links, more files and huge ones are not even read."""
    digest = bench.change(pins, NEW)
    folder = bench.flow().temp / "factory-bundle"
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}

    def broken(change: Callable[[], object], gate: str) -> None:
        change()
        with pytest.raises(BundleError) as caught:
            read(folder, digest, most=1_000_000)
        assert caught.value.gate == gate
        for file in folder.iterdir():
            file.unlink()
        for name, data in kept.items():
            (folder / name).write_bytes(data)

    for name, data in kept.items():
        broken(lambda n=name, d=data: (folder / n).write_bytes(d + b" "), "digest")
        broken(lambda n=name: (folder / n).unlink(), "bundle")
    broken(lambda: (folder / "more.sh").write_text("x"), "bundle")
    report = folder / "report.md"
    broken(lambda: (report.unlink(), report.symlink_to("/etc/passwd")), "bundle")
    with (folder / "change.bundle").open("wb") as file:
        file.truncate(2_000_000)
    broken(lambda: None, "bundle")
    with pytest.raises(BundleError):
        read(folder, "", most=1_000_000)
    assert read(folder, digest, most=1_000_000).manifest.number == pins.number


def test_an_account_can_close_and_call_nothing(bench: Bench, pins: Pins) -> None:
    """What a broken agent's job claims of other issues, and its words, act on nothing."""
    evil = (
        "Fixes #1, closes #1 @octocat ![x](https://evil.example/x) <!-- x --> ::set-output::\u202e"
    )
    other = bench.hub.act("octocat").open(TOY, "Another", "")
    asked = (
        Asked(
            job=JobId("gh-1"),
            title=evil,
            claims=(Claim(issue=other, closes=True, proof=evil, by=evil),),
        ),
        Asked(job=JobId("gh-2"), title=evil, claims=(Claim(issue=pins.number),)),
    )
    digest = bench.change(pins, NEW, asked=asked, findings=(evil,), checks=(evil,), credit=(evil,))

    found = bench.apply(pins, bundle_sha256=digest, draft="false")

    issue = bench.hub.issue(TOY, found.number)
    for bad in ("Fixes #1", "closes #1", "@octocat", "![x]", "https://evil", "<!-- x", "\u202e"):
        assert bad not in issue.body
        assert bad not in issue.title
    assert f"#{other}" not in issue.body
    bench.hub.act("octo").merge(TOY, found.number, "merge")
    assert bench.hub.issue(TOY, other).state == "open"
    assert bench.hub.issue(TOY, pins.number).state == "open"


def shown(bench: Bench, pins: Pins, head: Oid, **lie: object) -> tuple[Evidence, ...]:
    """Give evidence that a commit cures the item, but for what is a lie."""
    told: dict[str, Any] = {
        "job": "gh-1",
        "issue": pins.number,
        "base": pins.base,
        "tree": bench.clone().git.tree_of(head),
        "shown": True,
        "why": "Fixes #1",
        **lie,
    }
    return (Evidence(**told),)


def test_an_issue_is_closed_by_evidence_and_by_nothing_less(bench: Bench) -> None:
    """The keyword needs a shown reproduction, all jobs, the default branch, and a run's wish."""
    for word, lie, told, wish in (
        ("Fixes", {}, {}, True),
        ("Refs", {}, {}, False),
        ("Refs", {"shown": False}, {}, True),
        ("Refs", {}, {"left_out": {JobId("gh-2"): "is not finished"}}, True),
        ("Refs", None, {}, True),
    ):
        said = f"{word} {lie} {told} {wish}"
        pins = bench.pins(bench.hub.act("octocat").open(TOY, "A bug", said))
        head = files(jobs__new="new\n")(bench, pins)
        claim = Asked(
            job=JobId("gh-1"), title="A bug", claims=(Claim(issue=pins.number, closes=wish),)
        )
        evidence = () if lie is None else shown(bench, pins, head, **lie)
        digest = bench.sealed(pins, head, evidence=evidence, asked=(claim,), **told)

        found = bench.apply(pins, bundle_sha256=digest)

        body = bench.hub.issue(TOY, found.number).body
        assert re.findall(r"^(Fixes|Refs) #(\d+)$", body, re.MULTILINE) == [
            (word, str(pins.number))
        ], body
        shutil.rmtree(bench.flow().temp / "factory-bundle")


def test_no_issue_is_closed_from_another_branch(bench: Bench, pins: Pins) -> None:
    """Where the default branch is another one by now, the pull request only refers."""
    head = files(jobs__new="new\n")(bench, pins)
    claims = (Claim(issue=pins.number, closes=True),)
    claim = Asked(job=JobId("gh-1"), title="A bug", claims=claims)
    digest = bench.sealed(pins, head, evidence=shown(bench, pins, head), asked=(claim,))
    bench.hub.act("octo").commit(TOY, "next", {"jobs/y.txt": "y\n"})
    bench.hub.repo(TOY).default = "next"

    found = bench.apply(pins, bundle_sha256=digest)

    assert f"Refs #{pins.number}" in bench.hub.issue(TOY, found.number).body


def test_evidence_of_anything_else_is_refused(bench: Bench, pins: Pins) -> None:
    """Of another item, job, base or tree, or told twice: the manifest is refused, and no less."""
    head = files(jobs__new="new\n")(bench, pins)
    twice = shown(bench, pins, head) * 2
    lies = ({"job": "gh-9"}, {"issue": 1 + pins.number}, {"base": "1" * 40}, {"tree": "1" * 40})
    for evidence in (twice, *(shown(bench, pins, head, **lie) for lie in lies)):
        digest = bench.sealed(pins, head, evidence=evidence)

        found = bench.apply(pins, bundle_sha256=digest)

        assert (found.code, found.why) == (5, "refused by the gate manifest"), evidence
        shutil.rmtree(bench.flow().temp / "factory-bundle")
    assert bench.branches() == []


def test_a_malformed_field_of_evidence_is_refused(bench: Bench, pins: Pins) -> None:
    """Whoever sealed it: a word that is no truth value, one more field or none is a mistake."""
    head = files(jobs__new="new\n")(bench, pins)
    bench.sealed(pins, head, evidence=shown(bench, pins, head))
    folder = bench.flow().temp / "factory-bundle"
    kept = json.loads((folder / "manifest.json").read_text())
    good = kept["evidence"][0]
    for bad in ([{**good, "shown": "true"}], [{**good, "more": 1}], [{}], None, "all"):
        text = json.dumps({**kept, "evidence": bad}).encode()
        (folder / "manifest.json").write_bytes(text)
        with pytest.raises(BundleError) as caught:
            read(folder, hashlib.sha256(text).hexdigest(), most=1_000_000)
        assert caught.value.gate == "manifest", bad


CHANGES: Mapping[str, Callable[[Hub, int], object]] = {
    "its text was changed": lambda hub, n: hub.act("octocat").edit(TOY, n, body="other"),
    "it was closed": lambda hub, n: hub.act("octo").close(TOY, n),
    "factory:off": lambda hub, n: hub.act("octo").label(TOY, n, "factory:off"),
    "mona commented": lambda hub, n: hub.act("mona").comment(TOY, n, "wait, no"),
}


def test_an_item_that_changed_is_not_written_about(bench: Bench) -> None:
    """An edit, a close, the opt-out or a writer's word stops it: nothing is pushed, exit 5."""
    for why, change in CHANGES.items():
        pins = bench.pins(bench.hub.act("octocat").open(TOY, "A bug", why))
        digest = bench.change(pins, NEW)
        change(bench.hub, pins.number)

        found = bench.apply(pins, bundle_sha256=digest)

        assert (found.status, found.code) == ("blocked", 5), why
        assert why in found.why
        shutil.rmtree(bench.flow().temp / "factory-bundle")
    assert bench.branches() == []


@pytest.mark.soak
def test_strangers_and_second_orders_stop_nothing(bench: Bench, pins: Pins) -> None:
    """A comment of somebody without permission and another order are no change of the item."""
    digest = bench.change(pins, NEW)
    bench.hub.act("eve").comment(TOY, pins.number, "stop it!")
    bench.hub.act("mona").comment(TOY, pins.number, "/factory again")

    assert bench.apply(pins, bundle_sha256=digest).status == "changed"


@pytest.mark.soak
def test_another_pull_request_came_first(bench: Bench, pins: Pins) -> None:
    """Where somebody else's open pull request closes the issue, nothing is opened beside it."""
    digest = bench.change(pins, NEW)
    mona = bench.hub.act("mona")
    mona.commit(TOY, "mine", {"jobs/y.txt": "y\n"})
    mona.open_pull(TOY, "mine", "Mine", body=f"Fixes #{pins.number}")

    found = bench.apply(pins, bundle_sha256=digest)

    assert found.status == "blocked"
    assert "another open pull request" in found.why


def test_a_commit_of_somebody_else_is_never_pushed_over(bench: Bench, pins: Pins) -> None:
    """Where a person went on on our branch, nothing is pushed, and the gate says so."""
    digest = bench.change(pins, NEW)
    first = bench.apply(pins, bundle_sha256=digest)
    theirs = bench.hub.act("mona").commit(TOY, first.branch, {"jobs/z.txt": "z\n"})

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.code, found.why) == (5, "refused by the gate foreign commit")
    assert bench.hub.repo(TOY).bare.branch(first.branch) == theirs


def test_a_forbidden_pull_request_is_said_truthfully(bench: Bench, pins: Pins) -> None:
    """Where Actions may not open pull requests the branch stays, and a link says how; exit 4."""
    bench.hub.repo(TOY).actions_may_open = False
    digest = bench.change(pins, NEW)

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.status, found.operation, found.code) == ("changed", "fallback", 4)
    assert bench.branches() == [f"refs/heads/{found.branch}"]
    [said] = bench.ours(pins.number)
    assert f"/compare/main...{found.branch}" in said
    assert "opened #" not in said


@pytest.mark.soak
def test_the_lease_of_another_run_stops_this_one(bench: Bench, pins: Pins) -> None:
    """A run that lost its lease writes nothing, not even a comment."""
    digest = bench.change(pins, NEW)
    other = Bench(hub=bench.hub, place=bench.place, number=202)
    assert other.gate(json.dumps(comment(pins.number, "/factory", bench.hub))).go
    before = bench.ours(pins.number)

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.status, found.code) == ("blocked", 5)
    assert bench.ours(pins.number) == before
    assert bench.branches() == []


@pytest.mark.soak
def test_a_workflow_is_started_where_one_is_named(bench: Bench, pins: Pins) -> None:
    """A workflow's own token starts no checks, so the named workflow is dispatched."""
    main = bench.hub.act("octo")
    main.commit(TOY, "main", {".github/workflows/ci.yml": "on: workflow_dispatch\n"})
    fresh = bench.pins(pins.number)
    digest = bench.change(fresh, NEW)

    forbidden = bench.apply(fresh, bundle_sha256=digest, dispatch="ci.yml")
    assert (forbidden.status, forbidden.code) == ("changed", 0)
    assert "could not be started" in bench.ours(pins.number)[0]
    assert bench.hub.dispatched(TOY) == []

    bench.powers = {"actions": "write"}
    bench.apply(fresh, bundle_sha256=digest, dispatch="ci.yml")
    assert len(bench.hub.dispatched(TOY)) == 1


def repaired(bench: Bench, source: str | None = None) -> Pins:
    """Give the pins of a pull request that is to be repaired."""
    if source is None:
        bench.hub.act("mona").commit(TOY, "work", {"jobs/x.txt": "BUG\n"})
        return bench.pins(bench.hub.act("mona").open_pull(TOY, "work", "A change"))
    bench.hub.user("alice", "none")
    bench.hub.fork(TOY, source)
    bench.hub.act("alice").commit(source, "work", {"jobs/x.txt": "BUG\n"})
    return bench.pins(bench.hub.act("alice").open_pull(TOY, "work", "A change", source=source))


def fetched(bench: Bench, pins: Pins) -> None:
    """Bring a pull request's head into the agent's clone."""
    from tests.forge.client import git

    word = bench.hub.token("mona", "write")
    git(
        bench.hub,
        word,
        "fetch",
        "-q",
        "origin",
        f"pull/{pins.number}/head",
        cwd=bench.place / "clone",
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(None, id="same-repository"),
        pytest.param("alice/toy", id="fork", marks=pytest.mark.soak),
    ],
)
def test_a_repair_goes_on_top_of_the_branch_or_beside_a_forks(
    bench: Bench, source: str | None
) -> None:
    """Commits go onto exactly the head that was pinned; a fork's branch is never touched."""
    pins = repaired(bench, source)
    bench.clone()
    fetched(bench, pins)
    digest = bench.change(pins, {"jobs/x.txt": "mended\n"})

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.status, found.code) == ("changed", 0), (found, bench.said)
    tip = bench.hub.repo(TOY).bare.branch("work")
    if source is None:
        assert tip == found.head
    else:
        [beside] = bench.branches()
        assert bench.hub.repo(TOY).bare.ref(beside) == found.head
        assert bench.hub.repo(source).bare.branch("work") == pins.head
    assert any("Round 1 of at most" in said for said in bench.ours(pins.number))


def mended(bench: Bench, pins: Pins, **told: Any) -> str:
    """Seal what repairs a pull request on top of its head."""
    bench.clone()
    fetched(bench, pins)
    return bench.change(pins, {"jobs/x.txt": f"mended on {pins.head}\n"}, **told)


def test_a_repair_that_failed_after_its_push_goes_on_from_there(bench: Bench) -> None:
    """Started again it finds its own commits, tells of them in one round, and stays idempotent."""
    pins = repaired(bench)
    digest = mended(bench, pins)
    bench.hub.fault("POST", "*/issues/{issue_number}/comments", "status", times=1, status=404)

    first = bench.apply(pins, bundle_sha256=digest)
    pushed = bench.hub.repo(TOY).bare.branch("work")
    [failed] = bench.ours(pins.number)
    more = [bench.apply(pins, bundle_sha256=digest) for _ in range(2)]

    assert (first.status, first.head) == ("failed", pushed)
    assert lease_of(failed).head == pushed != pins.head
    assert [(each.status, each.code, each.head) for each in more] == [("changed", 0, pushed)] * 2
    said = bench.ours(pins.number)
    assert sum("Round 1 of at most" in each for each in said) == 1
    assert len(said) == 2
    assert any(f"put `{pushed}` on this branch" in each for each in said)


def test_a_fork_chooses_no_branch_of_ours(bench: Bench) -> None:
    """What is put out and told is the branch beside the fork's, and no workflow of ours runs it."""
    octo = bench.hub.act("octo")
    octo.commit(TOY, "main", {".github/workflows/ci.yml": "on: workflow_dispatch\n"})
    octo.commit(TOY, "work", {"jobs/ours.txt": "ours\n"})
    bench.powers = {"actions": "write"}
    pins = repaired(bench, "alice/toy")
    digest = mended(bench, pins)

    found = bench.apply(pins, bundle_sha256=digest, dispatch="ci.yml")

    [beside] = bench.branches()
    assert (found.status, f"refs/heads/{found.branch}") == ("changed", beside)
    assert bench.hub.dispatched(TOY) == []
    said = bench.ours(pins.number)
    assert any("Read it first" in each for each in said)
    assert any(f"on `{found.branch}`, beside this fork's branch" in each for each in said)
    assert not any("on this branch" in each for each in said)


def test_rounds_are_counted_on_the_forge(bench: Bench) -> None:
    """A bundle that calls itself the first round is the next one, and refused after the last."""
    number = repaired(bench).number
    with bench.entered("apply") as forge:
        key = repairing.round_key(forge, number, ROUNDS - 1)
    bench.hub.act("mona").comment(TOY, number, marked("x", key))
    pins = bench.pins(number)

    last = bench.apply(pins, bundle_sha256=mended(bench, pins))
    shutil.rmtree(bench.flow().temp / "factory-bundle")
    pins = bench.pins(number)
    beyond = bench.apply(pins, bundle_sha256=mended(bench, pins, run="run-2"))

    assert last.status == "changed"
    assert any(f"Round {ROUNDS} of at most" in said for said in bench.ours(number))
    assert (beyond.code, beyond.why) == (5, "refused by the gate rounds")
    assert bench.hub.repo(TOY).bare.branch("work") == last.head


def test_a_head_that_moved_is_left_alone(bench: Bench) -> None:
    """When somebody pushed meanwhile, nothing is pushed."""
    pins = repaired(bench)
    bench.clone()
    fetched(bench, pins)
    digest = bench.change(pins, {"jobs/x.txt": "mended\n"})
    theirs = bench.hub.act("mona").commit(TOY, "work", {"jobs/y.txt": "y\n"})

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.status, found.code) == ("blocked", 5)
    assert "its head moved" in found.why
    assert bench.hub.repo(TOY).bare.branch("work") == theirs


ENDS: tuple[tuple[dict[str, str], str, str], ...] = (
    ({"agent_result": "cancelled"}, "failed", "cancelled or took too long"),
    (
        {"agent_result": "failure", "agent_why": "@eve red"},
        "failed",
        "The work failed: `@ eve red`",
    ),
    ({"agent_status": "no-change"}, "no-change", "nothing to change"),
)


def test_the_final_state_is_always_written(bench: Bench, pins: Pins) -> None:
    """Without a bundle the comment says how it ended, and the lease is free again."""
    order = json.dumps(comment(pins.number, "/factory", bench.hub))
    for number, (given, status, said) in enumerate(ENDS):
        bench.number = number
        assert bench.gate(order).go, status

        found = bench.apply(pins, **given)

        assert found.status == status
        [told] = bench.ours(pins.number)
        assert said in told


@pytest.mark.soak
def test_a_forge_that_fails_is_told_and_the_lease_is_given_back(bench: Bench, pins: Pins) -> None:
    """A write that the forge refuses in an unexpected way ends as failed, with a final state."""
    digest = bench.change(pins, NEW)
    bench.hub.fault("POST", "*/pulls", "status", times=1, status=404)

    found = bench.apply(pins, bundle_sha256=digest)

    assert (found.status, found.code) == ("failed", 1)
    [said] = bench.ours(pins.number)
    assert "could not finish" in said
    assert bench.branches() != []
    assert bench.apply(pins, bundle_sha256=digest).status == "changed", "it goes on from there"
