"""Keeping: each write leaves exactly one thing, whatever became of its answer."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from factory.forge.door import Door
from factory.forge.failures import Conflict, Refused, Unknown
from factory.forge.keeping import LONGEST, Keeper, bears, key_of, marked, marker
from factory.forge.values import Repo
from tests.forge.hub import Hub

TOY = "octo/toy"
KEY = key_of("octo/toy", "the plan")
FLOW = "on: workflow_dispatch\n"
FAULTS = ("applied-then-502", "applied-then-drop", "status")


@dataclass(slots=True, kw_only=True)
class Scene:
    """A repository with an issue, a branch and an app that writes; waiting takes no time."""

    hub: Hub
    door: Door
    keep: Keeper
    issue: int
    sha: str
    waits: list[float]
    pull: int = 0

    def pr(self) -> Any:
        """Give the hub's record of the pull request."""
        return self.hub.issue(TOY, self.pull)


def entered(hub: Hub, login: str, waits: list[float]) -> tuple[Door, Keeper]:
    """Give door and keeper of somebody."""
    token = hub.token(login, "write")
    repo = Repo(owner="octo", name="toy", host="127.0.0.1")
    door = Door(repo, hub.api_url, lambda: token, wait=waits.append)
    return door, Keeper(door, wait=waits.append)


@contextmanager
def scene(place: Path) -> Iterator[Scene]:
    """Give a fresh scene."""
    with Hub(place) as hub:
        hub.repository(TOY, files={"a.py": "x = 1\n", ".github/workflows/ci.yml": FLOW})
        hub.user("octocat", "write")
        octocat = hub.act("octocat")
        issue = octocat.open(TOY, "It breaks", "Always.", "old")
        sha = octocat.commit(TOY, "factory/pr/x-1", {"a.py": "x = 2\n"}, "change")
        hub.ci({"unit": lambda _: "success"}, pattern="refs/heads/factory/pr/x-1")
        waits: list[float] = []
        door, keep = entered(hub, "factory[bot]", waits)
        found = Scene(hub=hub, door=door, keep=keep, issue=issue, sha=sha, waits=waits)
        found.pull = found.keep.pull(KEY, **PULL).value.number
        yield found
        door.close()


PULL: dict[str, Any] = {
    "head": "factory/pr/x-1",
    "base": "main",
    "title": "Mend it",
    "body": "What was asked.",
    "draft": True,
}
CHECK: dict[str, Any] = {"name": "factory", "title": "Line", "summary": "All green."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write: what meets the fault, what is done, and what must be there afterwards."""

    name: str
    method: str
    pattern: str
    does: Callable[[Scene], object]
    left: Callable[[Scene], object]
    want: object
    before: Callable[[Scene], object] | None = None
    skip: int = 0
    again: bool = False
    """Whether it may be repeated without a look, as it has the same effect any number of times."""

    def sent(self, hub: Hub) -> int:
        """Count how often it was written."""
        names = (one.template for one in hub.writes(self.method))
        return sum(fnmatchcase(name, self.pattern) for name in names)


def _second_pull(at: Scene) -> object:
    at.hub.act("octocat").commit(TOY, "factory/pr/y-2", {"b.py": "y = 2\n"}, "another")
    return None


def _pulls_of(at: Scene, head: str) -> list[str]:
    found = [issue for issue in at.hub.pulls(TOY) if issue.pull and issue.pull.head_ref == head]
    return [issue.title for issue in found]


def _texts(at: Scene) -> list[str]:
    return [comment.body.partition("\n")[0] for comment in at.hub.comments(TOY, at.issue)]


def _runs(at: Scene) -> list[tuple[str | None, str | None]]:
    return [(run.external, run.conclusion) for run in at.hub.repo(TOY).runs.values()
            if run.name == "factory"]  # fmt: skip


def _thread(at: Scene) -> str:
    return at.door.threads(at.pull)[0].id


def _pr(at: Scene) -> Any:
    return at.door.pull(at.pull)


GRAPH = "/api/graphql"
WRITES = (
    Write(
        name="open a pull request",
        method="POST",
        pattern="*/pulls",
        before=_second_pull,
        does=lambda at: at.keep.pull(KEY, **{**PULL, "head": "factory/pr/y-2"}),
        left=lambda at: _pulls_of(at, "factory/pr/y-2"),
        want=["Mend it"],
    ),
    Write(
        name="edit a pull request",
        again=True,
        method="PATCH",
        pattern="*/pulls/{pull_number}",
        does=lambda at: at.keep.pull(KEY, **{**PULL, "title": "Mend it well"}),
        left=lambda at: _pulls_of(at, "factory/pr/x-1"),
        want=["Mend it well"],
    ),
    Write(
        name="comment",
        method="POST",
        pattern="*/issues/{issue_number}/comments",
        does=lambda at: at.keep.comment(at.issue, KEY, "Working."),
        left=_texts,
        want=["Working."],
    ),
    Write(
        name="edit a comment",
        again=True,
        method="PATCH",
        pattern="*/issues/comments/{comment_id}",
        does=lambda at: at.keep.comment(at.issue, KEY, "Done."),
        left=_texts,
        want=["Done."],
    ),
    Write(
        name="remove the later comment of two",
        again=True,
        method="DELETE",
        pattern="*/issues/comments/{comment_id}",
        before=lambda at: at.door.create_comment(at.issue, marked("Later.", KEY)),
        does=lambda at: at.keep.comment(at.issue, KEY, "Done."),
        left=_texts,
        want=["Done."],
    ),
    Write(
        name="add labels",
        again=True,
        method="POST",
        pattern="*/issues/{issue_number}/labels",
        does=lambda at: at.keep.label(at.issue, ["Old", "factory"]),
        left=lambda at: sorted(at.hub.issue(TOY, at.issue).labels),
        want=["factory", "old"],
    ),
    Write(
        name="remove a label",
        again=True,
        method="DELETE",
        pattern="*/issues/{issue_number}/labels/{name}",
        does=lambda at: at.keep.unlabel(at.issue, "old"),
        left=lambda at: sorted(at.hub.issue(TOY, at.issue).labels),
        want=["factory"],
    ),
    Write(
        name="report a check",
        method="POST",
        pattern="*/check-runs",
        does=lambda at: at.keep.check(at.sha, KEY, status="in_progress", **CHECK),
        left=_runs,
        want=[(f"factory:{KEY}", None)],
    ),
    Write(
        name="end a check",
        again=True,
        method="PATCH",
        pattern="*/check-runs/{check_run_id}",
        does=lambda at: at.keep.check(
            at.sha, KEY, status="completed", conclusion="success", **CHECK
        ),
        left=_runs,
        want=[(f"factory:{KEY}", "success")],
    ),
    Write(
        name="ask for reviews",
        again=True,
        method="POST",
        pattern="*/requested_reviewers",
        does=lambda at: at.keep.reviewers(at.pull, people=["octocat"]),
        left=lambda at: list(at.pr().pull.reviewers),
        want=["octocat"],
    ),
    Write(
        name="make a branch",
        method="POST",
        pattern="*/git/refs",
        does=lambda at: at.keep.branch("factory/proof/1", at.sha),
        left=lambda at: at.hub.repo(TOY).bare.branch("factory/proof/1") is not None,
        want=True,
    ),
    Write(
        name="remove a branch",
        again=True,
        method="DELETE",
        pattern="*/git/refs/{ref}",
        does=lambda at: at.keep.unbranch("factory/proof/1"),
        left=lambda at: at.hub.repo(TOY).bare.branch("factory/proof/1"),
        want=None,
    ),
    Write(
        name="start a workflow",
        method="POST",
        pattern="*/dispatches",
        does=lambda at: at.keep.dispatch("ci.yml", ref="factory/pr/x-1", sha=at.sha),
        left=lambda at: len(at.hub.dispatched(TOY)),
        want=1,
    ),
    Write(
        name="answer in a talk",
        method="POST",
        pattern=GRAPH,
        skip=2,
        before=lambda at: at.hub.act("octocat").remark(TOY, at.pull, "a.py", 1, "Why?"),
        does=lambda at: at.keep.answer(at.pull, _thread(at), KEY, "Because."),
        left=lambda at: [r.body.partition("\n")[0] for r in at.pr().pull.remarks],
        want=["Why?", "Because."],
    ),
    Write(
        name="settle a talk",
        again=True,
        method="POST",
        pattern=GRAPH,
        skip=1,
        does=lambda at: at.keep.resolve(_thread(at)),
        left=lambda at: list(at.pr().pull.resolved.values()),
        want=["factory[bot]"],
    ),
    Write(
        name="call it ready",
        method="POST",
        pattern=GRAPH,
        does=lambda at: at.keep.ready(_pr(at)),
        left=lambda at: at.pr().pull.draft,
        want=False,
    ),
    Write(
        name="let it merge by itself",
        method="POST",
        pattern=GRAPH,
        before=lambda at: at.hub.protect(TOY, "main", checks=("late",)),
        does=lambda at: at.keep.auto_merge(_pr(at), how="squash"),
        left=lambda at: at.pr().pull.auto_merge["method"],
        want="squash",
    ),
    Write(
        name="merge",
        method="PUT",
        pattern="*/pulls/{pull_number}/merge",
        before=lambda at: at.hub.protect(TOY, "main"),
        does=lambda at: at.keep.merge(_pr(at)),
        left=lambda at: (at.pr().state, at.hub.repo(TOY).bare.branch("main") is not None),
        want=("closed", True),
    ),
)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_write_leaves_exactly_one_thing_whatever_its_answer(
    tmp_path: Path, fault: Any
) -> None:
    """All kinds of writes, applied or not, answered by 502 or not at all, end as if answered."""
    with scene(tmp_path) as at:
        for write in WRITES:
            if write.before is not None:
                write.before(at)
            at.hub.fault(write.method, write.pattern, fault, skip=write.skip)
            before = write.sent(at.hub)
            write.does(at)

            assert write.left(at) == write.want, write.name
            # What was applied is seen by looking, and not by writing it a second time.
            expected = 2 if write.again or fault == "status" else 1
            assert write.sent(at.hub) - before == expected, write.name
            # And asked once more, nothing is written at all.
            if write.name not in {"settle a talk", "ask for reviews"}:
                written = len(at.hub.writes())
                write.does(at)
                assert len(at.hub.writes()) == written, write.name
            assert write.left(at) == write.want, write.name
        at.hub.idle()


def test_a_queued_pull_request_is_queued_once(tmp_path: Path) -> None:
    """Joining the merge queue survives a lost answer, and is not asked for again."""
    with scene(tmp_path) as at:
        at.keep.ready(_pr(at))
        hold = threading.Event()
        at.hub.ci({"late": lambda _: "success"}, pattern="refs/heads/gh-readonly-*", hold=hold)
        at.hub.protect(TOY, "main", queue=True, checks=("late",))
        at.hub.act("octocat").check(TOY, at.sha, "late", "success", "")
        at.hub.fault("POST", GRAPH, "applied-then-502", skip=1)

        first = at.keep.enqueue(_pr(at))
        again = at.keep.enqueue(_pr(at))

        hold.set()
        at.hub.idle()
        assert (first.operation, again.operation) == ("updated", "none")


def test_the_same_run_ten_times_is_one_pull_request(tmp_path: Path) -> None:
    """Ten times asked, there is one pull request, one comment, and no write after the first."""
    with scene(tmp_path) as at:
        told = [
            (at.keep.pull(KEY, **PULL).operation, at.keep.comment(at.issue, KEY, "Hi").operation)
            for _ in range(10)
        ]

        assert told == [("none", "created")] + [("none", "none")] * 9
        counted = at.hub.objects(TOY)
        assert (counted.pulls, counted.comments) == (1, 1)
        assert len(at.hub.writes()) == 2


def test_two_processes_at_once_leave_one_comment_and_one_pull_request(tmp_path: Path) -> None:
    """Whatever the order of two keepers' requests, one of each stays."""
    with scene(tmp_path) as at:
        _second_pull(at)
        begin = threading.Barrier(2)
        wrong: list[BaseException] = []

        def work() -> None:
            door, keep = entered(at.hub, "factory[bot]", [])
            try:
                begin.wait(30)
                keep.comment(at.issue, KEY, "Mine.")
                keep.pull(KEY, **{**PULL, "head": "factory/pr/y-2"})
            except BaseException as error:  # noqa: BLE001 - shown by the assertion below
                wrong.append(error)
            finally:
                door.close()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)

        assert not wrong
        assert _texts(at) == ["Mine."]
        assert _pulls_of(at, "factory/pr/y-2") == ["Mend it"]


def test_somebody_elses_marker_is_not_ours(tmp_path: Path) -> None:
    """A marker that another account wrote, or that our text quotes, hides nothing from us."""
    with scene(tmp_path) as at:
        octocat = at.hub.act("octocat")
        octocat.comment(TOY, at.issue, marked("I was first.", KEY))
        octocat.comment(TOY, at.issue, f"{marker(KEY)} and more")

        kept = at.keep.comment(at.issue, KEY, "Ours.")

        assert kept.operation == "created"
        assert kept.value.author.login == "factory[bot]"
        assert len(at.hub.comments(TOY, at.issue)) == 3


def test_a_pull_request_that_a_person_wrote_or_closed_is_left_as_it_is(tmp_path: Path) -> None:
    """Without our marker in its text, or once closed, nothing of it is changed or doubled."""
    with scene(tmp_path) as at:
        at.hub.act("octocat").edit(TOY, at.pull, body="I explain it myself.")
        other = {**PULL, "title": "Again"}
        written = len(at.hub.writes())

        assert at.keep.pull(KEY, **other).operation == "none"
        at.hub.act("octocat").close(TOY, at.pull)
        kept = at.keep.pull(KEY, **other)

        assert (kept.operation, kept.value.state) == ("none", "closed")
        assert kept.value.title == "Mend it"
        assert len(at.hub.writes()) == written
        assert at.hub.objects(TOY).pulls == 1


def test_a_branch_that_is_elsewhere_is_not_moved(tmp_path: Path) -> None:
    """A branch of that name at another commit is a conflict and stays."""
    with scene(tmp_path) as at:
        main = at.hub.repo(TOY).bare.branch("main")

        with pytest.raises(Conflict, match="and not at"):
            at.keep.branch("main", at.sha)

        assert at.hub.repo(TOY).bare.branch("main") == main


def test_only_the_head_that_was_looked_at_is_merged(tmp_path: Path) -> None:
    """A head that moved is a conflict, a draft is refused, and nothing is merged."""
    with scene(tmp_path) as at:
        seen = at.door.pull(at.pull)
        with pytest.raises(Refused):
            at.keep.merge(seen)
        at.keep.ready(seen)
        at.hub.act("octocat").commit(TOY, "factory/pr/x-1", {"a.py": "evil\n"}, "more")

        with pytest.raises(Conflict):
            at.keep.merge(seen)

        assert not at.door.pull(at.pull).merged
        assert at.keep.merge(replace(seen, head_sha=at.door.pull(at.pull).head_sha)).value


def test_a_forge_that_stays_silent_is_told_as_unknown(tmp_path: Path) -> None:
    """When also looking fails, the effect of the write is called unknown and not a failure."""
    with scene(tmp_path) as at:
        at.hub.fault("POST", "*/comments", "applied-then-502")
        at.hub.fault("GET", "*/comments", "status", 5, skip=1)

        with pytest.raises(Unknown):
            at.keep.comment(at.issue, KEY, "Hi")

        assert at.keep.comment(at.issue, KEY, "Hi").operation == "none"
        assert len(at.hub.comments(TOY, at.issue)) == 1


@given(some.text(max_size=200), some.integers(0, 3))
def test_a_marked_text_bears_its_key_and_fits(text: str, times: int) -> None:
    """Whatever is said, the text ends in its marker and is no longer than the forge takes."""
    made = marked(text + "x" * 40_000 * times, KEY)

    assert len(made) <= LONGEST
    assert bears(made, KEY)
    assert not bears(made, key_of("another"))
    assert not bears(f"{made} and more", KEY)


def test_a_key_is_eight_digits_and_knows_where_its_words_end() -> None:
    """Words that join to the same text make different keys."""
    assert re.fullmatch(r"[0-9a-f]{8}", KEY)
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("\ud800")
