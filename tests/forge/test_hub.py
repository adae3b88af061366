"""The loopback GitHub, driven by the real PyGithub and the real git: it answers as GitHub does."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, GithubException, GithubIntegration

from tests.forge import graph_cutting, oracle
from tests.forge.ci import Verdict
from tests.forge.client import call, clone, commit, git, github, requester
from tests.forge.hub import Hub
from tests.forge.routes import ROUTES
from tests.forge.webhooks import examples
from tests.forge.world import Pull, closed_by, mentioned
from tests.scripted.transport import UnscriptedError

TOY = "octo/toy"
REPO = f"/repos/{TOY}"
FILES = {"a.txt": "1\n2\n3\n", "src/b.txt": "x\n", "CODEOWNERS": "src/ @mona @nobody\n"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Give a hub with one small repository."""
    with Hub() as hub:
        hub.repository(TOY, files=FILES)
        yield hub


def test_every_route_answers_as_github_does(hub: Hub, tmp_path: Path) -> None:
    """Each operation is asked at least once, and nothing in or out breaks GitHub's schemas."""
    token = hub.token("mona", "admin")
    _tour_issues(hub, token)
    _tour_pulls(hub, token)
    _tour_git(hub, token)
    _tour_checks(hub, token)
    _tour_rules(hub, token)
    _tour_people(hub, token)
    clone(hub, token, TOY, tmp_path / "clone")

    asked = {(one.method, one.template) for one in hub.log}
    assert {(route.method, route.template) for route in ROUTES} <= asked


def _tour_issues(hub: Hub, token: str) -> None:
    gh = github(hub, token)
    repo = gh.get_repo(TOY)
    issue = repo.create_issue("One", "a body", labels=["bug"])
    issue.edit(title="Two", body="other", state="closed")
    issue.edit(state="open")
    assert [one.number for one in repo.get_issues(labels=["bug"])] == [1]
    comment = issue.create_comment("see #1")
    comment.edit("said")
    assert [one.body for one in issue.get_comments()] == ["said"]
    assert issue.get_comment(comment.id).body == "said"
    assert repo.get_issues_comments().totalCount == 1
    comment.delete()
    issue.add_to_labels("x", "y")
    issue.remove_from_labels("x")
    assert {one.name for one in issue.get_labels()} == {"bug", "y"}
    issue.set_labels("z")
    issue.delete_labels()
    label = repo.create_label("new", "ff0000", "a label")
    label.edit("newer", "00ff00")
    assert repo.get_label("newer").color == "00ff00"
    label.delete()
    assert "bug" in {one.name for one in repo.get_labels()}
    assert "renamed" in {entry.event for entry in issue.get_timeline()}
    assert repo.get_issue(1).title == "Two"
    assert gh.search_issues(f"repo:{TOY} is:issue two in:title")[0].number == 1


def _tour_pulls(hub: Hub, token: str) -> None:
    repo = github(hub, token).get_repo(TOY)
    ben = hub.act("ben")
    ben.commit(TOY, "feat", {"a.txt": "1\n2\n3\n4\n"})
    pull = repo.create_pull(base="main", head="feat", title="T", body="Fixes #1", draft=False)
    assert pull.mergeable_state == "unknown"
    pull.edit(title="Title", body="Fixes #1.")
    assert [one.number for one in repo.get_pulls(head="octo:feat")] == [pull.number]
    pull = repo.get_pull(pull.number)
    assert (pull.mergeable, pull.mergeable_state, pull.changed_files) == (True, "clean", 1)
    (file,) = pull.get_files()
    assert (file.filename, file.additions, file.patch) == (
        "a.txt",
        1,
        "@@ -1,3 +1,4 @@\n 1\n 2\n 3\n+4",
    )
    (head,) = pull.get_commits()
    review = pull.create_review(body="hm", event="COMMENT")
    assert pull.get_review(review.id).state == "COMMENTED"
    assert pull.get_reviews().totalCount == 1
    remark = pull.create_review_comment("why?", head, "a.txt", line=4)
    pull.create_review_comment_reply(remark.id, "because")
    pull.get_review_comment(remark.id).edit("why 4?")
    assert [one.body for one in pull.get_review_comments()] == ["why 4?", "because"]
    hub.user("eve", "write")
    pull.create_review_request(reviewers=["eve"])
    assert [one.login for one in pull.get_review_requests()[0]] == ["eve"]
    pull.delete_review_request(reviewers=["eve"])
    ben.commit(TOY, "main", {"new.txt": "on main\n"})
    pull.update_branch()
    assert not pull.is_merged()
    pull = repo.get_pull(pull.number)
    pull.get_review_comment(remark.id).delete()
    done = pull.merge(sha=pull.head.sha, merge_method="squash")
    assert done.merged
    assert pull.is_merged()
    assert repo.get_issue(1).state == "closed"
    assert [one.number for one in repo.get_commit(done.sha).get_pulls()] == [pull.number]


def _tour_git(hub: Hub, token: str) -> None:
    repo = github(hub, token).get_repo(TOY)
    tip = repo.get_branch("main").commit
    assert repo.get_commits()[0].sha == tip.sha
    assert repo.get_commit(tip.sha).files[0].filename
    first = hub.act("ben").commit(TOY, "side", {"s.txt": "s\n"})
    assert repo.compare("main", "side").ahead_by == 1
    assert {"main", "side"} <= {one.name for one in repo.get_branches()}
    made = repo.create_git_ref("refs/heads/made", tip.sha)
    made.edit(first)
    assert repo.get_git_ref("heads/made").object.sha == first
    assert [one.ref for one in repo.get_git_matching_refs("heads/ma")] == [
        "refs/heads/made",
        "refs/heads/main",
    ]
    made.delete()
    assert repo.get_git_commit(tip.sha).message
    file = repo.get_contents("src/b.txt")
    assert not isinstance(file, list)
    assert file.decoded_content == b"x\n"
    assert isinstance(repo.get_contents("src"), list)
    repo.update_file("src/b.txt", "change it", "y\n", file.sha)
    made_file = repo.create_file("c.txt", "make it", "c\n")["content"]
    repo.delete_file("c.txt", "drop it", made_file.sha)


def _tour_checks(hub: Hub, token: str) -> None:
    bot = hub.token("factory[bot]", "write")
    mine = github(hub, bot).get_repo(TOY)
    repo = github(hub, token).get_repo(TOY)
    sha = hub.repo(TOY).bare.branch("main")
    assert sha is not None
    run = mine.create_check_run("factory", sha, status="in_progress", external_id="k1")
    note = {
        "path": "a.txt",
        "start_line": 1,
        "end_line": 1,
        "annotation_level": "failure",
        "message": "no",
    }
    run.edit(conclusion="failure", output={"title": "t", "summary": "s", "annotations": [note]})
    assert repo.get_check_run(run.id).conclusion == "failure"
    assert [one.message for one in run.get_annotations()] == ["no"]
    suite = mine.create_check_suite(sha)
    assert repo.get_check_suite(suite.id).get_check_runs()[0].name == "factory"
    found = repo.get_commit(sha)
    assert [one.external_id for one in found.get_check_runs(check_name="factory")] == ["k1"]
    assert found.get_check_suites().totalCount >= 1
    found.create_status("success", description="fine", context="ci/old")
    assert found.get_combined_status().state == "success"
    assert found.get_statuses()[0].context == "ci/old"
    job = hub.act("ben").check(TOY, sha, "ci / unit", "failure", "line one\nFAILED\n")
    (flow,) = repo.get_workflow_runs(head_sha=sha)
    assert repo.get_workflow_run(flow.id).conclusion == "failure"
    assert [one.id for one in flow.jobs()] == [job]
    assert call(hub, token, "GET", f"{REPO}/actions/jobs/{job}")["name"] == "ci / unit"
    at = f"{REPO}/actions"
    call(hub, token, "POST", f"{at}/jobs/{job}/rerun", {})
    (again,) = (run for run in hub.repo(TOY).runs.values() if run.status == "queued")
    hub.act("ben").finish(TOY, again.id, "failure")
    call(hub, token, "POST", f"{at}/runs/{flow.id}/rerun-failed-jobs", {})
    call(hub, bot, "POST", f"{REPO}/check-runs/{job}/rerequest")
    assert sum(one.name == "ci / unit" for one in hub.repo(TOY).runs.values()) == 4
    log = requests.get(
        f"{hub.api_url}{REPO}/actions/jobs/{job}/logs",
        headers={"authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert log.text == "line one\nFAILED\n"
    hub.act("ben").commit(
        TOY, "main", {".github/workflows/go.yml": "on: {workflow_dispatch: {}}\n"}
    )
    call(
        hub,
        token,
        "POST",
        f"{REPO}/actions/workflows/go.yml/dispatches",
        {"ref": "main", "inputs": {"n": "1"}},
    )
    assert [one.inputs for one in hub.dispatched(TOY)] == [{"n": "1"}]


def _tour_rules(hub: Hub, token: str) -> None:
    repo = github(hub, token).get_repo(TOY)
    everything = {"checks": ("ci / unit",), "reviews": 1, "code_owners": True, "signatures": True}
    hub.protect(TOY, "main", **everything, linear=True, queue=True, paths=("ci/*",), pushers=())
    kinds = {rule["type"] for rule in call(hub, token, "GET", f"{REPO}/rules/branches/main")}
    assert {"required_status_checks", "merge_queue", "required_signatures"} <= kinds
    hub.protect(TOY, "main", **everything, classic=True)
    protection = repo.get_branch("main").get_protection()
    assert protection.required_status_checks.contexts == ["ci / unit"]
    (wrong,) = call(hub, token, "GET", f"{REPO}/codeowners/errors")["errors"]
    assert "@nobody" in wrong["message"]


def _tour_people(hub: Hub, token: str) -> None:
    gh = github(hub, token)
    assert gh.get_user().login == "mona"
    assert gh.get_user("ben").type == "User"
    hub.user("tri", "triage")
    repo = gh.get_repo(TOY)
    assert repo.get_collaborator_permission("mona") == "admin"
    assert repo.get_collaborator_role_name("tri") == "triage"
    assert gh.get_rate_limit().rate.remaining < 5000
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    app = hub.app("factory", pem.decode(), {"contents": "write", "issues": "read"})
    door = GithubIntegration(
        auth=Auth.AppAuth(app.id, secret.decode()),
        base_url=hub.api_url,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    assert door.get_app().slug == "factory"
    installed = door.get_repo_installation("octo", "toy")
    assert door.get_app_installation(installed.id).id == installed.id
    word = door.get_access_token(installed.id).token
    assert github(hub, word).get_repo(TOY).full_name == TOY
    with pytest.raises(GithubException, match="not accessible by integration"):
        github(hub, word).get_repo(TOY).create_issue("no")
    bad = jwt.encode({"iss": str(app.id), "iat": 0, "exp": 9_999_999_999}, secret, "RS256")
    assert _status(hub, bad, "/app") == 401


def _pull(hub: Hub, number: int) -> Pull:
    pull = hub.issue(TOY, number).pull
    assert pull is not None
    return pull


def _status(hub: Hub, token: str, path: str, **more: str) -> int:
    headers = {"authorization": f"Bearer {token}", **more}
    return requests.get(f"{hub.api_url}{path}", headers=headers, timeout=10).status_code


def _ask_once(method: str, path: str, body: dict[str, object] | None = None) -> None:
    with Hub() as hub:
        hub.repository(TOY)
        url = hub.url + path
        headers = {"authorization": f"Bearer {hub.token('mona')}"}
        requests.request(method, url, headers=headers, data=json.dumps(body), timeout=10)


def test_an_unknown_route_fails_the_test() -> None:
    """Asking what nothing serves raises when the hub is left."""
    with pytest.raises(UnscriptedError, match="nothing serves GET"):
        _ask_once("GET", f"/api/v3{REPO}/stargazers")


def test_a_request_that_is_not_githubs_fails_the_test() -> None:
    """A body, a query parameter or a GraphQL query against the schemas raises at the end."""
    with pytest.raises(UnscriptedError, match="title"):
        _ask_once("POST", f"/api/v3{REPO}/issues", {"title": {"no": "text"}})
    with pytest.raises(UnscriptedError, match="query parameter"):
        _ask_once("GET", f"/api/v3{REPO}/issues?state=new")
    with pytest.raises(UnscriptedError, match="shoeSize"):
        _ask_once("POST", "/api/graphql", {"query": "{viewer {shoeSize}}"})


def test_git_asks_for_a_token_and_takes_one(hub: Hub, tmp_path: Path) -> None:
    """Without a token 401, with a reader's token a clone but no push, with a writer's both."""
    reader, writer = hub.token("eve", "read"), hub.token("mona", "write")
    assert requests.get(f"{hub.git_url(TOY)}/info/refs", timeout=10).status_code == 401
    place = clone(hub, reader, TOY, tmp_path / "clone")
    head = commit(place, a="a\n")

    refused = git(hub, reader, "push", "-q", "origin", "HEAD:x", cwd=place, check=False)
    git(hub, writer, "push", "-q", "origin", "HEAD:x", cwd=place)

    assert b"403" in refused.err
    assert hub.repo(TOY).bare.branch("x") == head
    assert _status(hub, "ghp_wrong", "/user") == 401


def test_a_push_moves_the_head_of_a_pull_request(hub: Hub, tmp_path: Path) -> None:
    """The next look sees the new commit, and a merge of the old one is refused by 409."""
    token = hub.token("mona")
    place = clone(hub, token, TOY, tmp_path / "clone")
    old = commit(place, a="a\n")
    git(hub, token, "push", "-q", "origin", "HEAD:feat", cwd=place)
    repo = github(hub, token).get_repo(TOY)
    pull = repo.create_pull(base="main", head="feat", title="T")
    updated = hub.issue(TOY, pull.number).updated
    new = commit(place, a="b\n")
    git(hub, token, "push", "-q", "origin", "HEAD:feat", cwd=place)

    with pytest.raises(GithubException, match="409"):
        pull.merge(sha=old)

    pull.update()
    assert pull.head.sha == new
    assert hub.issue(TOY, pull.number).updated > updated
    assert hub.repo(TOY).bare.ref(f"refs/pull/{pull.number}/head") == new


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_merge_really_moves_the_branch(hub: Hub, how: str) -> None:
    """Each way of merging gives the tree of both sides, and closes what the body says it closes."""
    ben = hub.act("ben")
    first, second = ben.open(TOY, "one"), ben.open(TOY, "two")
    ben.commit(TOY, "feat", {"f.txt": "f\n"}, "add f")
    ben.commit(TOY, "main", {"m.txt": "m\n"})
    number = ben.open_pull(TOY, "feat", body=f"Fixes #{first}, and `fixes #{second}` is code")

    sha = ben.merge(TOY, number, how)

    bare = hub.repo(TOY).bare
    assert bare.branch("main") == sha
    assert bare.file(sha, "f.txt")
    assert bare.file(sha, "m.txt")
    assert len(bare.commit(sha).parents) == (2 if how == "merge" else 1)
    assert hub.issue(TOY, first).state == "closed"
    assert hub.issue(TOY, second).state == "open"


def test_a_pull_request_is_refused_as_github_refuses_it(hub: Hub) -> None:
    """A second one for a head, one without commits and one for a missing head are 422s."""
    repo = github(hub, hub.token("mona")).get_repo(TOY)
    ben = hub.act("ben")
    ben.commit(TOY, "feat", {"f.txt": "f\n"})
    ben.reset(TOY, "empty", hub.repo(TOY).bare.branch("main") or "")
    repo.create_pull(base="main", head="feat", title="T")

    for head, said in (("feat", "already exists"), ("empty", "No commits"), ("gone", "head")):
        with pytest.raises(GithubException, match=f"422.*{said}"):
            repo.create_pull(base="main", head=head, title="T")


def test_conflicts_drafts_and_missing_checks_stop_a_merge(hub: Hub) -> None:
    """Each of them is 405, and says what is missing."""
    repo = github(hub, hub.token("mona")).get_repo(TOY)
    ben = hub.act("ben")
    ben.commit(TOY, "conflict", {"a.txt": "mine\n"})
    ben.commit(TOY, "feat", {"f.txt": "f\n"})
    ben.commit(TOY, "main", {"a.txt": "theirs\n"})
    hub.protect(TOY, checks=("ci / unit",))
    numbers = (ben.open_pull(TOY, "conflict"), ben.open_pull(TOY, "feat", draft=True))
    states = [repo.get_pull(number).mergeable_state for number in numbers]
    assert states == ["dirty", "draft"]
    for number, said in zip(numbers, ("not mergeable", "draft"), strict=True):
        with pytest.raises(GithubException, match=f"405.*{said}"):
            repo.get_pull(number).merge()

    pull = repo.get_pull(numbers[1])
    pull.mark_ready_for_review()
    with pytest.raises(GithubException, match=r"405.*ci / unit"):
        pull.merge()
    ben.check(TOY, pull.head.sha, "ci / unit", "success")

    assert pull.merge(sha=pull.head.sha).merged


def test_ci_judges_what_was_pushed_when_it_gets_to_it(hub: Hub, tmp_path: Path) -> None:
    """A check waits in the queue until the workers come, then tells of the pushed files."""
    hold = threading.Event()

    def judge(folder: Path) -> Verdict:
        text = (folder / "a.txt").read_text()
        return Verdict(conclusion="failure" if "bug" in text else "success", log=f"read {text}")

    hub.ci({"ci / unit": judge}, hold=hold)
    token, bot = hub.token("mona"), hub.token("github-actions[bot]")
    place = clone(hub, token, TOY, tmp_path / "clone")
    bad = commit(place, "bad", a="x")
    (place / "a.txt").write_text("bug\n")
    bad = commit(place, "worse", b="y")
    git(hub, token, "push", "-q", "origin", "HEAD:feat", cwd=place)
    found = github(hub, token).get_repo(TOY).get_commit(bad)
    assert [run.status for run in found.get_check_runs()] == ["queued"]

    hold.set()
    hub.idle()
    git(hub, bot, "push", "-q", "origin", "HEAD:quiet", cwd=place)

    assert [run.conclusion for run in found.get_check_runs()] == ["failure"]
    assert [run.log for run in hub.repo(TOY).runs.values()] == ["read bug\n"]


def test_a_job_is_judged_anew_when_it_is_asked_for(hub: Hub) -> None:
    """Running a failed job again gives a new check run, which counts instead of the old one."""
    said = iter(["cancelled", "success"])
    hub.ci({"ci / unit": lambda _: next(said)})
    sha = hub.act("ben").commit(TOY, "feat", {"f.txt": "f\n"})
    hub.idle()
    token = hub.token("mona")
    found = github(hub, token).get_repo(TOY).get_commit(sha)
    (first,) = found.get_check_runs()

    call(hub, token, "POST", f"{REPO}/actions/jobs/{first.id}/rerun", {})
    hub.idle()

    (last,) = found.get_check_runs()
    assert (first.conclusion, last.conclusion) == ("cancelled", "success")
    assert last.id > first.id


def test_auto_merge_waits_for_the_checks(hub: Hub) -> None:
    """The pull request is merged by the forge when the last required check turns green."""
    hub.protect(TOY, checks=("ci / unit",))
    ben = hub.act("ben")
    sha = ben.commit(TOY, "feat", {"f.txt": "f\n"})
    pull = github(hub, hub.token("mona")).get_repo(TOY).get_pull(ben.open_pull(TOY, "feat"))
    pull.enable_automerge("SQUASH", expected_head_oid=sha)
    assert hub.issue(TOY, pull.number).state == "open"

    ben.check(TOY, sha, "ci / unit", "success")

    assert _pull(hub, pull.number).merged
    assert hub.repo(TOY).bare.file("refs/heads/main", "f.txt")


def test_the_merge_queue_judges_the_merge_itself(hub: Hub) -> None:
    """A queued merge has a branch of its own, and lands when that commit's checks are green."""
    hub.protect(TOY, checks=("ci / unit",), queue=True)
    ben = hub.act("ben")
    sha = ben.commit(TOY, "feat", {"f.txt": "f\n"})
    ben.check(TOY, sha, "ci / unit", "success")
    token = hub.token("mona")
    pull = github(hub, token).get_repo(TOY).get_pull(ben.open_pull(TOY, "feat"))
    with pytest.raises(GithubException, match=r"405.*merge queue"):
        pull.merge()
    query = """mutation($id: ID!) {
      enqueuePullRequest(input: {pullRequestId: $id}) {mergeQueueEntry {headCommit {oid}}}}"""
    _, said = requester(hub, token).graphql_query(query, {"id": pull.node_id})
    queued = said["data"]["enqueuePullRequest"]["mergeQueueEntry"]["headCommit"]["oid"]
    assert hub.repo(TOY).bare.branch(f"gh-readonly-queue/main/pr-{pull.number}-{queued}") == queued

    ben.check(TOY, queued, "ci / unit", "success")

    assert hub.repo(TOY).bare.branch("main") == queued
    assert _pull(hub, pull.number).merge_commit == queued


def test_graphql_tells_of_threads_and_closing_references(hub: Hub) -> None:
    """Threads with their state, what a pull request closes, and the timeline come in one query."""
    ben = hub.act("ben")
    number = ben.open(TOY, "broken")
    sha = ben.commit(TOY, "feat", {"a.txt": "1\n2\n3\n4\n"})
    pull = ben.open_pull(TOY, "feat", body=f"Closes #{number}")
    threads = [ben.remark(TOY, pull, "a.txt", line, "why?") for line in (1, 4)]
    ben.answer(TOY, pull, threads[0], "so")
    ben.resolve(TOY, pull, threads[1])
    query = """query($n: Int!, $i: Int!) {repository(owner: "octo", name: "toy") {
      pullRequest(number: $n) {headRefOid mergeStateStatus
        closingIssuesReferences(first: 10) {nodes {number}}
        reviewThreads(first: 100) {pageInfo {hasNextPage endCursor}
          nodes {id isResolved isOutdated path line
            comments(first: 50) {nodes {body author {login}}}}}}
      issue(number: $i) {timelineItems(first: 5, itemTypes: [CROSS_REFERENCED_EVENT]) {nodes {
        ... on CrossReferencedEvent {willCloseTarget source {... on PullRequest {number}}}}}}}}"""
    token = hub.token("mona")

    _, said = requester(hub, token).graphql_query(query, {"n": pull, "i": number})

    found = said["data"]["repository"]
    assert found["pullRequest"]["headRefOid"] == sha
    assert found["pullRequest"]["closingIssuesReferences"]["nodes"] == [{"number": number}]
    nodes = found["pullRequest"]["reviewThreads"]["nodes"]
    assert [one["isResolved"] for one in nodes] == [False, True]
    assert [one["body"] for one in nodes[0]["comments"]["nodes"]] == ["why?", "so"]
    assert found["issue"]["timelineItems"]["nodes"] == [
        {"willCloseTarget": True, "source": {"number": pull}}
    ]


def test_every_mutation_does_what_it_says(hub: Hub) -> None:
    """Draft and ready, auto-merge on and off, the queue, and threads: each mutation once."""
    ben = hub.act("ben")
    sha = ben.commit(TOY, "feat", {"a.txt": "1\n"})
    ben.check(TOY, sha, "ci / unit", "success")
    hub.protect(TOY, checks=("ci / unit",), queue=True)
    number = ben.open_pull(TOY, "feat")
    thread = ben.remark(TOY, number, "a.txt", 1, "why?")
    pull = github(hub, hub.token("mona")).get_repo(TOY).get_pull(number)
    speaker = requester(hub, hub.token("mona"))

    def change(name: str, payload: str, **given: str) -> None:
        speaker.graphql_named_mutation(name, given, payload)

    pull.convert_to_draft()
    assert _pull(hub, number).draft
    pull.mark_ready_for_review()
    hub.protect(TOY, checks=("ci / unit", "late"))
    pull.enable_automerge()
    pull.disable_automerge()
    assert _pull(hub, number).auto_merge is None
    hub.protect(TOY, checks=("ci / unit",), queue=True)
    change("enqueuePullRequest", "mergeQueueEntry {id}", pullRequestId=pull.node_id)
    change("dequeuePullRequest", "mergeQueueEntry {id}", id=pull.node_id)
    assert _pull(hub, number).queued is None
    change("resolveReviewThread", "thread {isResolved}", threadId=f"PRRT_{thread}")
    assert _pull(hub, number).resolved
    change("unresolveReviewThread", "thread {isResolved}", threadId=f"PRRT_{thread}")
    assert not _pull(hub, number).resolved
    reply = {"pullRequestReviewThreadId": f"PRRT_{thread}", "body": "so"}
    change("addPullRequestReviewThreadReply", "comment {body}", **reply)
    assert hub.objects(TOY).remarks == 2


def test_lists_come_in_pages(hub: Hub) -> None:
    """The Link header leads through all pages, and a page is never larger than was asked for."""
    ben = hub.act("ben")
    for number in range(7):
        ben.open(TOY, f"issue {number}")
    gh = github(hub, hub.token("mona"))
    gh.per_page = 3
    before = len(hub.log)

    numbers = [issue.number for issue in gh.get_repo(TOY).get_issues()]

    assert numbers == [7, 6, 5, 4, 3, 2, 1]
    assert [one.query.get("page") for one in hub.log[before + 1 :]] == [None, "2", "3"]


def test_an_unchanged_answer_is_free(hub: Hub) -> None:
    """A conditional request is answered 304 and not charged, until something has changed."""
    number = hub.act("ben").open(TOY, "one")
    gh = github(hub, hub.token("mona"))
    issue = gh.get_repo(TOY).get_issue(number)
    used = gh.get_rate_limit().rate.used

    assert not issue.update()
    assert gh.get_rate_limit().rate.used == used + 1
    assert hub.log[-2].status == 304
    hub.act("ben").edit(TOY, number, title="two")
    assert issue.update()
    assert issue.title == "two"


def test_each_fault_is_what_it_says(hub: Hub) -> None:
    """A status, a drop, a delay and both limits each meet the next request of their kind."""
    token, number = hub.token("mona"), hub.act("ben").open(TOY, "one")
    where, path = "*/issues/{issue_number}", f"{REPO}/issues/{number}"
    hub.fault(
        "GET", where, "status", status=503, headers={"x-why": "broken"}, body={"message": "m"}
    )
    hub.fault("GET", where, "drop")
    hub.fault("GET", where, "delay", seconds=0.01)
    hub.fault("GET", where, "primary", seconds=60)
    hub.fault("GET", where, "secondary", status=429, seconds=7)
    ask = {"authorization": f"Bearer {token}"}
    url = f"{hub.api_url}{path}"

    first = requests.get(url, headers=ask, timeout=10)
    with pytest.raises(requests.ConnectionError):
        requests.get(url, headers=ask, timeout=10)
    late = requests.get(url, headers=ask, timeout=10)
    primary = requests.get(url, headers=ask, timeout=10)
    secondary = requests.get(url, headers=ask, timeout=10)

    assert (first.status_code, first.headers["x-why"]) == (503, "broken")
    assert late.status_code == 200
    assert primary.status_code == 403
    assert primary.headers["x-ratelimit-remaining"] == "0"
    assert int(primary.headers["x-ratelimit-reset"]) > time.time() + 30
    assert (secondary.status_code, secondary.headers["retry-after"]) == (429, "7")
    assert [one.status for one in hub.log] == [503, 0, 200, 403, 429]
    assert {one.headers["x-github-request-id"] for one in (first, late)}


@pytest.mark.parametrize("kind", ["applied-then-502", "applied-then-drop", "status"])
def test_an_applied_write_happens_whatever_the_answer_is(hub: Hub, kind: str) -> None:
    """The effect is there though the reply is an error; without "applied" it is not."""
    number = hub.act("ben").open(TOY, "one")
    issue = github(hub, hub.token("mona")).get_repo(TOY).get_issue(number)
    hub.fault("POST", "*/comments", kind)  # type: ignore[arg-type]

    with pytest.raises((GithubException, requests.ConnectionError)):
        issue.create_comment("once")

    there = kind.startswith("applied")
    assert hub.objects(TOY).comments == int(there)
    assert [(one.applied, one.fault) for one in hub.writes()] == [(there, kind)]


def test_a_push_may_be_applied_and_answered_by_an_error(hub: Hub, tmp_path: Path) -> None:
    """Whoever pushes sees a failure though the branch is there."""
    token = hub.token("mona")
    place = clone(hub, token, TOY, tmp_path / "clone")
    head = commit(place, a="a\n")
    hub.fault("POST", "*/git-receive-pack", "applied-then-502")

    failed = git(hub, token, "push", "-q", "origin", "HEAD:x", cwd=place, check=False)

    assert failed.code != 0
    assert hub.repo(TOY).bare.branch("x") == head


def test_a_fault_that_nothing_meets_fails_the_test() -> None:
    """A fault planned for a request that never came is a test that proves nothing."""
    with pytest.raises(UnscriptedError, match="no request met"), Hub() as hub:
        hub.fault("GET", "*", "drop")


def test_protected_branches_refuse_pushes(hub: Hub, tmp_path: Path) -> None:
    """Pull requests, signatures, linear history, paths, pushers, force and deletion: each named."""
    token = hub.token("mona")
    place = clone(hub, token, TOY, tmp_path / "clone")

    def pushed(*words: str) -> str:
        ran = git(hub, token, "push", "origin", *words, cwd=place, check=False)
        return "" if ran.code == 0 else ran.err.decode()

    commit(place, ci__gate="x\n")
    hub.protect(TOY, "main", pull_only=True)
    assert "through a pull request" in pushed("HEAD:main")
    hub.protect(TOY, "main", checks=("ci / unit",))
    assert 'check "ci / unit" is expected' in pushed("HEAD:main")
    hub.protect(TOY, "main", paths=("ci/*",))
    assert "GH006" in (said := pushed("HEAD:main"))
    assert "ci/gate" in said
    hub.protect(TOY, "main", signatures=True)
    assert "verified signatures" in pushed("HEAD:main")
    hub.protect(TOY, "main", pushers=("ben",))
    assert "not authorized" in pushed("HEAD:main")
    hub.protect(TOY, "main", linear=True)
    assert not pushed("HEAD:main", "HEAD~1:refs/heads/side")
    git(hub, token, "checkout", "-q", "-B", "side", "HEAD~1", cwd=place)
    commit(place, other="y\n")
    git(hub, token, "merge", "-q", "--no-edit", "origin/main", cwd=place)
    assert "merge commits" in pushed("HEAD:main")
    assert "force-push" in pushed("--force", "HEAD~1:main")
    assert "Cannot delete" in pushed(":main")
    hub.protect(TOY, "main", forced=True, deletions=True)
    assert not pushed("--force", "HEAD:main")


def test_a_workflows_token_changes_no_workflow(hub: Hub, tmp_path: Path) -> None:
    """A token narrowed by permissions may push files, but none of .github/workflows."""
    token = hub.token("github-actions[bot]", areas={"contents": "write"})
    place = clone(hub, token, TOY, tmp_path / "clone")
    commit(place, fine="x\n")
    git(hub, token, "push", "-q", "origin", "HEAD:fine", cwd=place)
    commit(place, **{".github__workflows__ci.yml": "on: push\n"})

    said = git(hub, token, "push", "-q", "origin", "HEAD:bad", cwd=place, check=False)

    assert b"without `workflows` permission" in said.err


def test_what_people_may_not_do_is_refused(hub: Hub) -> None:
    """A reader sets no label, a stranger sees nothing private, a person posts no check run."""
    reader = github(hub, hub.token("eve", "read")).get_repo(TOY)
    issue = reader.create_issue("mine", labels=["ignored"])
    assert issue.labels == []
    with pytest.raises(GithubException, match="403"):
        issue.add_to_labels("bug")
    hub.repository("octo/secret", private=True)
    stranger = hub.token("ada", "none", repository="octo/secret")
    assert _status(hub, stranger, "/repos/octo/secret") == 404
    sha = hub.repo(TOY).bare.branch("main") or ""
    writer = github(hub, hub.token("mona")).get_repo(TOY)
    with pytest.raises(GithubException, match="authenticate via a GitHub App"):
        writer.create_check_run("mine", sha)
    hub.repo(TOY).has_issues = False
    with pytest.raises(GithubException, match="410"):
        writer.create_issue("none")
    hub.act("ben").commit(TOY, "feat", {"f": "f"})
    hub.repo(TOY).actions_may_open = False
    robot = github(hub, hub.token("github-actions[bot]")).get_repo(TOY)
    with pytest.raises(GithubException, match="not permitted to create"):
        robot.create_pull(base="main", head="feat", title="T")


def test_a_fork_is_read_by_its_number_and_pushed_to_when_allowed(hub: Hub, tmp_path: Path) -> None:
    """The base keeps the head as refs/pull/N/head; a maintainer may push when the author allows."""
    hub.fork(TOY, "ada/toy")
    ada, mona = hub.act("ada"), hub.token("mona")
    sha = ada.commit("ada/toy", "feat", {"f.txt": "f\n"})
    number = ada.open_pull(TOY, "feat", source="ada/toy")
    hub.user("mona", "read", "ada/toy")
    place = clone(hub, mona, TOY, tmp_path / "clone")
    git(hub, mona, "fetch", "-q", "origin", f"refs/pull/{number}/head", cwd=place)
    git(hub, mona, "checkout", "-q", sha, cwd=place)
    more = commit(place, g="g\n")

    git(hub, mona, "push", "-q", hub.git_url("ada/toy"), "HEAD:feat", cwd=place)

    pull = github(hub, mona).get_repo(TOY).get_pull(number)
    assert (pull.head.sha, pull.head.repo.full_name) == (more, "ada/toy")
    assert pull.merge().merged


def test_search_understands_its_words(hub: Hub) -> None:
    """Qualifiers, OR, NOT and parentheses choose as GitHub's search does."""
    ben, eve = hub.act("ben"), hub.act("eve")
    ben.open(TOY, "proxy fails", "text", "bug")
    eve.open(TOY, "cache", "the proxy too")
    ben.close(TOY, eve.open(TOY, "other", "", "bug", "old"))
    gh = github(hub, hub.token("mona"))

    def numbers(query: str) -> set[int]:
        return {issue.number for issue in gh.search_issues(f"repo:{TOY} {query}")}

    assert numbers("proxy") == {1, 2}
    assert numbers("proxy in:title") == {1}
    assert numbers("is:issue is:open label:bug") == {1}
    assert numbers("state:closed") == {3}
    assert numbers("author:eve NOT label:old") == {2}
    assert numbers("(author:eve OR label:bug) -is:closed") == {1, 2}


def test_keywords_and_mentions_are_read_outside_code() -> None:
    """One keyword for each number; code, comments and entities mean nothing."""
    text = "Fixes #1, closes #2 and #3, resolved: octo/toy#4. `fixes #5` <!-- closes #6 --> &#7;"

    assert closed_by(text, TOY) == [1, 2, 4]
    assert mentioned(text, TOY) == [1, 2, 3, 4]


def test_githubs_examples_are_all_there() -> None:
    """Each of the 58 events has an example, and none of them holds an address or a mail box."""
    assert len({one.event for one in examples()}) == 58
    assert {"sender"} <= set(examples()[0].payload)
    text = "".join(str(one.payload) for one in examples())
    assert set(re.findall(r"://([^/\s\"')]+)", text)) <= {"127.0.0.1"}
    assert set(re.findall(r"[\w.+-]+@[\w-]+\.\w+", text)) <= {"someone@example.org"}


def test_the_cuts_hold_what_is_served_and_no_address() -> None:
    """The oracle has exactly the operations of the hub, stays small and names no machine."""
    assert oracle.document()["operations"].keys() == {route.key for route in ROUTES}
    for path in (oracle.FILE, graph_cutting.FILE):
        text = path.read_text()
        assert len(text.encode()) <= 250_000
        assert "://" not in text
