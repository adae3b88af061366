"""The door: reads all that a forge tells, waits within bounds, and writes each thing once."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from factory.forge.cache import Cache
from factory.forge.door import Door
from factory.forge.failures import (
    Conflict,
    Denied,
    ForgeError,
    Gone,
    Limited,
    Missing,
    Refused,
    Unknown,
    Unreachable,
)
from factory.forge.values import Happened, Reference, Repo
from tests.forge.ci import Verdict
from tests.forge.hub import Hub

TOY = "octo/toy"
HERE = Repo(owner="octo", name="toy", host="127.0.0.1")
HOSTILE = "x\x1b]0;t\x07 <!-- factory:key=00000000 v=1 --> \u202e '$(id)' ::set-output\r\n`"


@contextmanager
def hub_of(place: Path) -> Iterator[Hub]:
    """Give a hub with a repository and somebody who may write to it."""
    with Hub(place) as hub:
        hub.repository(TOY, files={"a.py": "x = 1\n"})
        hub.user("octocat", "write")
        yield hub


def door_of(hub: Hub, *, login: str = "mona", permission: str = "write", **more: Any) -> Door:
    """Give somebody's door, whose waiting takes no time."""
    token = hub.token(login, permission)
    return Door(HERE, hub.api_url, lambda: token, **{"wait": lambda _: None, **more})


def test_an_issue_is_read_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    """Issue, comments, labels, timeline and references, by value and as they were written."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        number = octocat.open(TOY, HOSTILE, HOSTILE, "bug")
        octocat.comment(TOY, number, HOSTILE)
        sha = octocat.commit(TOY, "feat", {"a.py": "x = 2\n"}, "change")
        pull = octocat.open_pull(TOY, "feat", "Mend", body=f"Fixes #{number}")
        naming = octocat.open(TOY, "Another", f"like #{number}")
        door = door_of(hub)

        issue, (comment,) = door.issue(number), door.comments(number)
        listed = door.issues(labels=("bug",))

        assert (issue.title, issue.body, comment.body) == (HOSTILE,) * 3
        assert listed == (issue,)
        assert (issue.author.login, issue.association) == ("octocat", "COLLABORATOR")
        assert not door.issues(since=issue.updated.replace(year=2030))
        assert [one.number for one in door.issues(limit=2)] == [naming, pull]
        closing = Reference(
            kind="closes", number=pull, repo=TOY, is_pull=True, state="open", merged=False
        )
        assert door.references(number)[0] == closing
        assert {one.number for one in door.references(number)} == {pull, naming}
        assert [one.number for one in door.references(pull)] == [number]
        found = {one.kind: one for one in door.timeline(number)}
        assert isinstance(found["labeled"], Happened)
        assert found["labeled"].label == "bug"
        source = found["cross-referenced"].source
        assert source is not None
        assert source.repo == TOY
        assert door.branch("feat") == sha
        assert door.branch("no/such") is None
        assert door.labels() == ("bug",)
        assert (door.content("a.py", "feat"), door.content("b", "feat")) == (b"x = 2\n", None)


def test_who_changed_the_text_of_an_issue_is_told_by_all_its_edits(tmp_path: Path) -> None:
    """No edit is none; of more than are listed one is nobody's, so that none passes unseen."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        number = octocat.open(TOY, "It breaks", "0")
        door = door_of(hub)
        assert door.edits(number) == ()
        octocat.edit(TOY, number, body="1")
        assert {edit.by.login for edit in door.edits(number)} == {"octocat"}

        for text in range(2, 102):
            octocat.edit(TOY, number, body=str(text))

        assert "octocat" in {edit.by.login for edit in door.edits(number)}
        assert door.edits(number)[-1].by.login == "ghost"


def test_a_pull_request_is_read_with_its_files_reviews_talks_and_checks(tmp_path: Path) -> None:
    """Also a rename's old name, a talk's line and state, and which check is green."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        change = {"a.py": None, "sub/b c.py": "x = 1\n", "new": "1\n2\n"}
        sha = octocat.commit(TOY, "feat", change, "change")
        number = octocat.open_pull(TOY, "feat", "Mend")
        octocat.review(TOY, number, "CHANGES_REQUESTED", "Not so.")
        first = octocat.remark(TOY, number, "new", 2, HOSTILE)
        octocat.resolve(TOY, number, octocat.remark(TOY, number, "new", 1, "done"))
        octocat.check(TOY, sha, "lint", "failure", "first\n" + "log\n" * 10)
        octocat.check(TOY, sha, "slow", None, "")
        octocat.status(TOY, sha, "old/ci", "success")
        door = door_of(hub)

        pull = door.pull(number)
        files = {one.path: one for one in door.files(number)}
        checks = {one.name: one for one in door.checks(sha)}
        talks = door.threads(number)

        assert (pull.head_ref, pull.head_sha, pull.head_repo) == ("feat", sha, TOY)
        assert [one.number for one in door.pulls(head="octo:feat")] == [number]
        assert not door.pulls(head="octo:other", state="all")
        assert files["sub/b c.py"].previous == "a.py"
        assert files["new"].additions == 2
        assert [one.sha for one in door.commits(number)] == [sha]
        assert "CHANGES_REQUESTED" in [one.state for one in door.reviews(number)]
        assert [(one.path, one.line, one.resolved) for one in talks] == [
            ("new", 2, False),
            ("new", 1, True),
        ]
        assert (talks[0].comments[0].id, talks[0].comments[0].body) == (first, HOSTILE)
        assert checks["lint"].done
        assert not checks["lint"].green
        assert not checks["slow"].done
        assert door.job_log(checks["lint"].id, cap=8) == "log\nlog\n"
        assert [(one.context, one.state) for one in door.statuses(sha)] == [("old/ci", "success")]


def test_what_a_check_says_about_lines_is_read(tmp_path: Path) -> None:
    """The annotations of a check of the forge's own come with path and line."""
    with hub_of(tmp_path) as hub:
        note = {
            "path": "a.py",
            "start_line": 1,
            "end_line": 1,
            "annotation_level": "failure",
            "message": HOSTILE,
        }
        verdict = Verdict(conclusion="failure", log="red", annotations=(note,))
        hub.ci({"unit": lambda _: verdict})
        sha = hub.act("octocat").commit(TOY, "feat", {"a.py": "y\n"}, "change")
        hub.idle()
        door = door_of(hub)

        (check,) = door.checks(sha, name="unit")
        (told,) = door.annotations(check.id)

        assert (told.path, told.line, told.message) == ("a.py", 1, HOSTILE)


def test_the_rules_of_a_branch_are_read_in_both_forms(tmp_path: Path) -> None:
    """Rulesets are read by anyone; of the older protection it is said when not all was seen."""
    with hub_of(tmp_path) as hub:
        writer, admin = door_of(hub), door_of(hub, login="boss", permission="admin")
        assert writer.rules("main") == admin.rules("main")
        assert not admin.rules("main").pull_only

        hub.protect(TOY, "main", checks=("unit",), signatures=True, linear=True, queue=True)
        newer = admin.rules("main")
        hub.protect(TOY, "main", checks=("unit",), signatures=True, reviews=2, classic=True)
        older, outside = admin.rules("main"), writer.rules("main")

        assert newer.required_checks == older.required_checks == outside.required_checks
        assert newer.required_checks == ("unit",)
        assert (newer.signatures, newer.linear, newer.queue, newer.whole) == (True,) * 4
        assert (older.signatures, older.reviews, older.pull_only, older.whole) == (
            True,
            2,
            True,
            True,
        )
        assert not outside.whole


def test_who_may_what_is_asked_of_the_forge(tmp_path: Path) -> None:
    """Permission, our own login as person and as program, and the repository itself."""
    with hub_of(tmp_path) as hub:
        hub.user("eve", "read")
        door = door_of(hub)

        asked = [door.permission(login) for login in ("octocat", "eve", "nobody-at-all")]

        assert asked == ["write", "read", "none"]
        assert door.me() == "mona"
        assert door_of(hub, login="factory[bot]").me() == "factory[bot]"
        assert door.repository().default == "main"
        assert door.repository().pushes
        assert not door_of(hub, login="eve", permission="read").repository().pushes


def test_lists_are_read_over_all_their_pages(tmp_path: Path) -> None:
    """More items than a page has are all read, in two requests, and from the cache as well."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        number = octocat.open(TOY, "It breaks", "")
        for place in range(101):
            octocat.comment(TOY, number, str(place))
        door = door_of(hub, cache=Cache(path=tmp_path / "cache"))

        for _ in range(2):
            assert [one.body for one in door.comments(number)] == [str(n) for n in range(101)]

        assert [one.status for one in hub.log] == [200, 200, 304, 304]
        assert door.requests == 4


def test_an_answer_that_did_not_change_costs_nothing(tmp_path: Path) -> None:
    """It is asked for with its ETag, also by the next process; a change is seen at once."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        cache = Cache(path=tmp_path / "cache")
        first = door_of(hub, cache=cache).issue(number)
        again = door_of(hub, cache=cache).issue(number)
        hub.act("octocat").edit(TOY, number, title="It breaks often")
        now = door_of(hub, cache=cache).issue(number)

        assert first == again
        assert now.title == "It breaks often"
        assert [one.status for one in hub.log] == [200, 304, 200]


def test_what_is_cached_is_no_answer_for_a_token_that_may_not(tmp_path: Path) -> None:
    """A token without the right to read gets the forge's refusal, not what another one read."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        cache = Cache(path=tmp_path / "cache")
        door_of(hub, cache=cache).issue(number)
        stranger = Door(HERE, hub.api_url, lambda: "ghp_none", cache=cache)

        with pytest.raises(Denied):
            stranger.issue(number)


@pytest.mark.parametrize("status", [403, 429])
def test_a_short_limit_is_waited_out_and_told(tmp_path: Path, status: int) -> None:
    """A limit that ends in time is waited for, a write is repeated and there is one of it."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        waits: list[float] = []
        said: list[str] = []
        door = door_of(hub, wait=waits.append, say=said.append, max_wait=60)
        hub.fault("GET", "*/issues/{issue_number}", "secondary", status=status, seconds=7)
        hub.fault("POST", "*/comments", "secondary", status=status, seconds=9)
        hub.fault("GET", "*/issues/{issue_number}", "primary", seconds=20, skip=1)

        door.issue(number)
        door.create_comment(number, "Hi")
        door.issue(number)

        assert waits[:2] == [7, 9]
        assert 15 < waits[2] < 25
        assert said[0] == "rate limited by 127.0.0.1: waiting 7 s"
        assert hub.objects(TOY).comments == 1


def test_a_limit_beyond_what_may_be_waited_is_told_at_once(tmp_path: Path) -> None:
    """Nothing is waited for; the failure bears the moment to come back, for each kind of limit."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        waits: list[float] = []
        door = door_of(hub, wait=waits.append, max_wait=30)
        hub.fault("GET", "*/issues/{issue_number}", "primary", seconds=900)
        hub.fault("GET", "*/issues/{issue_number}", "secondary", status=429, seconds=900)
        hub.fault("POST", "*/comments", "secondary", status=403, seconds=900)

        asked: list[Any] = [
            lambda: door.issue(number),
            lambda: door.issue(number),
            lambda: door.create_comment(number, "Hi"),
        ]
        for ask in asked:
            with pytest.raises(Limited) as told:
                ask()
            assert 800 < told.value.retry_at - time.time() < 1000

        assert not waits
        assert hub.objects(TOY).comments == 0


def test_limits_one_after_another_are_one_wait(tmp_path: Path) -> None:
    """Two limits that are each short enough, but not together, end in `Limited`."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        waits: list[float] = []
        door = door_of(hub, wait=waits.append, max_wait=30)
        hub.fault("GET", "*/issues/{issue_number}", "secondary", 2, status=403, seconds=20)

        with pytest.raises(Limited):
            door.issue(number)

        assert waits == [20]


def test_a_used_up_budget_of_questions_is_a_limit(tmp_path: Path) -> None:
    """GraphQL's own limit is waited for or told like that of the calls."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        hub.limit("graphql", 0)

        with pytest.raises(Limited) as told:
            door_of(hub, max_wait=30).references(number)

        assert told.value.retry_at > time.time() + 30


def test_nobody_can_write_a_limit(tmp_path: Path) -> None:
    """A title, a comment or a label of the limit's own name is text, in calls and in GraphQL."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        number = octocat.open(TOY, "RATE_LIMITED", "", "RATE_LIMITED")
        octocat.comment(TOY, number, "RATE_LIMITED")
        octocat.commit(TOY, "feat", {"b.py": "1\n"}, "change")
        pull = octocat.open_pull(TOY, "feat", "RATE_LIMITED")
        octocat.remark(TOY, pull, "b.py", 1, "RATE_LIMITED")
        waits: list[float] = []
        door = door_of(hub, wait=waits.append, max_wait=100)

        assert door.issue(number).title == "RATE_LIMITED"
        assert [one.body for one in door.comments(number)] == ["RATE_LIMITED"]
        assert door.threads(pull)[0].comments[0].body == "RATE_LIMITED"
        assert door.add_labels(number, ["RATE_LIMITED"]) == ("RATE_LIMITED",)
        assert not waits


def test_writes_keep_to_the_pace_that_the_forge_asks_for(tmp_path: Path) -> None:
    """The 81st write of a minute waits for the minute's end; reading never does."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "", "old")
        waits: list[float] = []
        door = door_of(hub, wait=waits.append)
        for _ in range(81):
            door.add_labels(number, ["old"])

        assert len(waits) == 1
        assert 0 < waits[0] <= 60


def test_reading_is_repeated_and_given_up(tmp_path: Path) -> None:
    """Lost and broken answers are asked for again, with growing waits, five times in all."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        waits: list[float] = []
        door = door_of(hub, wait=waits.append)
        hub.fault("GET", "*/issues/{issue_number}", "drop", 2)
        hub.fault("GET", "*/issues/{issue_number}", "status", 2, status=503)
        assert door.issue(number).title == "It breaks"
        assert waits == [0.5, 1, 2, 4]

        hub.fault("GET", "*/issues/{issue_number}", "status", 5, status=500)
        with pytest.raises(Unreachable) as told:
            door.issue(number)

        assert told.value.status == 500
        assert told.value.request_id


@pytest.mark.parametrize("kind", ["applied-then-502", "applied-then-drop", "status", "drop"])
def test_a_write_is_sent_once_whatever_its_answer(tmp_path: Path, kind: Any) -> None:
    """Without an answer its effect is unknown, and nobody repeats it on the way."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        hub.fault("POST", "*/comments", kind)

        with pytest.raises(Unknown):
            door_of(hub).create_comment(number, "Hi")

        assert len(hub.writes("POST")) == 1


def test_a_silent_forge_is_given_up(tmp_path: Path) -> None:
    """A write that is not answered in time is unknown; nobody waits for ever."""
    with hub_of(tmp_path) as hub:
        door = door_of(hub, timeout=1)
        hub.fault("POST", "*/comments", "delay", seconds=50)

        with pytest.raises(Unknown):
            door.create_comment(1, "Hi")


def test_each_refusal_is_its_own_failure(tmp_path: Path) -> None:
    """Denied, missing, gone, refused and conflicting are told apart, in the forge's words."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        sha = octocat.commit(TOY, "feat", {"a.py": "x = 2\n"}, "change")
        pull = octocat.open_pull(TOY, "feat", "Mend")
        hub.protect(TOY, "main", checks=("unit",))
        door = door_of(hub)
        asked: list[tuple[type[ForgeError], str, Any]] = [
            (Missing, "Not Found", lambda: door.issue(99)),
            (Denied, "GitHub App", lambda: door.create_check(
                sha, name="x", status="queued", title="t", summary="s")),
            (Conflict, "modified", lambda: door.merge(pull, sha="0" * 40)),
            (Refused, '"unit"', lambda: door.merge(pull, sha=sha)),
            (Refused, "already exists", lambda: door.create_pull(
                head="feat", base="main", title="t", body="", draft=True)),
            (Refused, "collaborators", lambda: door.request_reviews(pull, people=["nobody"])),
        ]  # fmt: skip
        for kind, words, ask in asked:
            with pytest.raises(kind, match=words) as told:
                ask()
            assert told.value.status >= 400

        number = octocat.open(TOY, "It breaks", "")
        hub.repo(TOY).has_issues = False
        with pytest.raises(Gone):
            door.issue(number)


GARBAGE: tuple[Any, ...] = (
    b"<html>",
    b"[" * 50_000,
    [],
    {},
    {"number": "7"},
    "text",
    {"number": 1, "title": None},
)


def test_an_answer_that_makes_no_sense_is_a_failure(tmp_path: Path) -> None:
    """Whatever comes with status 200, and whatever headers, nothing but `ForgeError` comes out."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks", "")
        door = door_of(hub, max_wait=5)
        for body in GARBAGE:
            hub.fault("GET", "*/issues/{issue_number}", "status", status=200, body=body)
            with pytest.raises(ForgeError):
                door.issue(number)
        odd = {"retry-after": "soon", "x-ratelimit-reset": "9" * 30, "date": "yesterday"}
        hub.fault("GET", "*/issues/{issue_number}", "status", status=429, body=[], headers=odd)
        with pytest.raises(Limited):
            door.issue(number)
        odd = {"x-ratelimit-remaining": "many"}
        hub.fault("GET", "*/issues/{issue_number}", "status", 5, status=200, body={}, headers=odd)
        with pytest.raises(ForgeError):
            door.issue(number)


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9/api/v3/x", "https://evil.invalid/", "/x", "%"]
)
def test_no_page_redirect_or_log_leads_to_another_host(tmp_path: Path, place: str) -> None:
    """Addresses that an answer names are followed on the same host only."""
    with hub_of(tmp_path) as hub:
        door = door_of(hub)
        link = {"link": f'<{place}>; rel="next"'}
        hub.fault("GET", "*/labels", "status", status=200, body=[], headers=link)
        with pytest.raises(ForgeError, match="another host"):
            door.labels()
        away = {"location": "http://evil.invalid/x"}
        hub.fault("GET", "*/labels", "status", 5, status=301, body={}, headers=away)
        with pytest.raises(ForgeError):
            door.labels()
        hub.fault("GET", "*/logs", "status", status=302, body={}, headers=away)
        with pytest.raises(ForgeError, match="not https"):
            door.job_log(7)


def test_a_moved_repository_is_followed_in_reading_and_refused_in_writing(tmp_path: Path) -> None:
    """A write that meets a redirect is not sent elsewhere, and the error says what to do."""
    with hub_of(tmp_path) as hub:
        moved = {"location": f"{hub.api_url}/repositories/1/issues"}
        hub.fault("POST", "*/comments", "status", status=307, body={}, headers=moved)

        with pytest.raises(ForgeError, match="new address"):
            door_of(hub).create_comment(1, "Hi")


def test_threads_get_each_its_own_answer(tmp_path: Path) -> None:
    """However many share a door, none is given what another one asked for."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        numbers = [octocat.open(TOY, f"Issue {place}", "") for place in range(8)]
        door = door_of(hub)
        begin = threading.Barrier(len(numbers))
        wrong: list[object] = []

        def work(number: int) -> None:
            begin.wait(30)
            for _ in range(6):
                try:
                    if door.issue(number).number != number:
                        wrong.append(number)
                except ForgeError as error:
                    wrong.append(error)

        workers = [threading.Thread(target=work, args=(number,)) for number in numbers]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)

        assert not wrong
        assert door.requests == len(hub.log) == 48
        door.close()


def test_a_hostile_name_stays_one_part_of_an_address(tmp_path: Path) -> None:
    """Slashes, dots, questions and broken characters of a name lead to no other address."""
    with hub_of(tmp_path) as hub:
        door = door_of(hub)

        assert [door.permission(name) for name in ("a/../..", "x?y#z", "\ud800", "a b")] == [
            "none"
        ] * 4
        assert door.branch("../../issues") is None
        assert [one.template.rpartition("/")[2] for one in hub.log] == ["permission"] * 4 + [
            "{branch}"
        ]
        for ask in (lambda: door.permission(".."), lambda: door.content("../../x", "main")):
            with pytest.raises(Refused):
                ask()


def test_the_token_is_in_no_log_repr_or_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also at the most talkative level, and when the forge itself says it back."""
    caplog.set_level(logging.DEBUG)
    with hub_of(tmp_path) as hub:
        token = hub.token("mona", "write")
        path = tmp_path / "cache"
        door = Door(HERE, hub.api_url, lambda: token, cache=Cache(path=path), wait=lambda _: None)
        number = hub.act("octocat").open(TOY, "It breaks", "")
        door.issue(number)
        told = []
        said = {"message": f"bad {token}"}
        hub.fault("GET", "*/issues/{issue_number}", "drop", 5)
        hub.fault("GET", "*/issues/{issue_number}", "status", 5, status=500, body=said)
        hub.fault("GET", "*/issues/{issue_number}", "status", status=403, body=said)
        for _ in range(3):
            with pytest.raises(ForgeError) as failed:
                door.issue(number)
            told.append(repr(failed.value) + str(failed.value.__cause__))

        assert "***" in told[2]
        seen = "".join((*told, repr(door), repr(vars(door)), caplog.text))
        assert token not in seen
        assert token.encode() not in b"".join(one.read_bytes() for one in tmp_path.glob("cache*"))
