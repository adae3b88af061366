"""The remote: pushes to an exact commit over http, with a token that nobody else sees."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from factory.forge.failures import (
    Conflict,
    Denied,
    ForgeError,
    Missing,
    Refused,
    Unknown,
    Unreachable,
)
from factory.forge.remote import Remote
from tests.forge.client import commit
from tests.forge.desktop import Desktop, entered
from tests.forge.faults import Kind
from tests.forge.hub import Hub
from tests.run import run
from worktrees.names import Oid

TOY = "octo/toy"
PR = "refs/heads/factory/pr/x-1"
FAULTS: tuple[Kind, ...] = ("applied-then-502", "applied-then-drop", "status", "drop")
NO_REFS = (
    "main",
    "refs/heads/a b",
    "refs/heads/x\n",
    "refs/heads/a..b",
    "refs/x:refs/y",
    "--all",
    "",
)


@contextmanager
def desk_of(place: Path) -> Iterator[tuple[Hub, Desktop]]:
    """Give a hub and somebody's clone of its repository."""
    with Hub(place / "hub") as hub:
        hub.repository(TOY, files={"a.py": "x = 1\n"})
        desk = entered(hub, place / "clone")
        yield hub, desk
        desk.forge.close()


def at(hub: Hub, ref: str) -> str | None:
    """Give where a ref of the hub is."""
    return hub.repo(TOY).bare.ref(ref)


def test_a_push_moves_a_ref_from_one_exact_commit_to_another(tmp_path: Path) -> None:
    """Made, moved, moved back, repeated and removed, each from where it was believed to be."""
    with desk_of(tmp_path) as (hub, desk):
        remote = desk.forge.remote
        first, second = Oid(commit(desk.place, a="1")), Oid(commit(desk.place, a="2"))

        remote.push(PR, first, expect=None)
        remote.push(PR, first, expect=None)
        remote.push(PR, second, expect=first)
        remote.push(PR, first, expect=second)
        assert remote.heads("refs/heads/factory/*") == {PR: first}
        remote.delete(PR, expect=first)
        remote.delete(PR, expect=first)

        assert at(hub, PR) is None
        assert list(remote.heads()) == ["refs/heads/main"]
        assert not desk.waits


def test_a_foreign_commit_is_never_pushed_over(tmp_path: Path) -> None:
    """A ref that somebody made, moved or removed is a conflict, and stays as they left it."""
    with desk_of(tmp_path) as (hub, desk):
        remote = desk.forge.remote
        mine = Oid(commit(desk.place, a="1"))
        remote.push(PR, mine, expect=None)
        theirs = hub.act("octocat").commit(TOY, PR.removeprefix("refs/heads/"), {"b": "1"}, "more")

        moves: list[Callable[[], None]] = [
            lambda: remote.push(PR, Oid(commit(desk.place, a="2")), expect=mine),
            lambda: remote.push(PR, mine, expect=None),
            lambda: remote.delete(PR, expect=mine),
        ]
        for move in moves:
            with pytest.raises(Conflict, match="somebody else"):
                move()
        assert at(hub, PR) == theirs

        hub.act("octocat").delete_branch(TOY, PR.removeprefix("refs/heads/"))
        with pytest.raises(Conflict, match="is gone"):
            remote.push(PR, Oid(commit(desk.place, a="3")), expect=mine)
        assert at(hub, PR) is None


def test_a_push_without_an_answer_is_looked_at_before_it_is_repeated(tmp_path: Path) -> None:
    """Whether it was applied or not, the ref is at our commit in the end."""
    with desk_of(tmp_path) as (hub, desk):
        mine = Oid(commit(desk.place, a="1"))
        for kind in FAULTS:
            ref = f"refs/heads/factory/{kind}"
            hub.fault("POST", "*/git-receive-pack", kind)

            desk.forge.remote.push(ref, mine, expect=None)

            assert at(hub, ref) == mine
        assert hub.objects(TOY).branches == 1 + len(FAULTS)


def test_a_forge_that_never_answers_is_unknown_for_a_push_and_unreachable_for_a_list(
    tmp_path: Path,
) -> None:
    """Repeats are bounded, and it is told which of both it is."""
    with desk_of(tmp_path) as (hub, desk):
        mine = Oid(commit(desk.place, a="1"))
        hub.fault("POST", "*/git-receive-pack", "status", 3)
        with pytest.raises(Unknown):
            desk.forge.remote.push(PR, mine, expect=None)
        hub.fault("GET", "*/info/refs", "status", 3)
        with pytest.raises(Unreachable):
            desk.forge.remote.heads()
        hub.fault("GET", "*/info/refs", "status", 2)
        assert list(desk.forge.remote.heads()) == ["refs/heads/main"]
        off = replace(desk.forge.remote, url="http://127.0.0.1:9/octo/toy.git")
        with pytest.raises(Unreachable):
            off.heads()


def test_what_the_forge_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """A protected branch, a token that may not, and a repository that is not there."""
    with desk_of(tmp_path) as (hub, desk):
        remote = desk.forge.remote
        mine, main = Oid(commit(desk.place, a="1")), remote.heads()["refs/heads/main"]
        hub.protect(TOY, "main", pull_only=True)
        reader = hub.token("rea", "read")

        with pytest.raises(Refused, match="through a pull request"):
            remote.push("refs/heads/main", mine, expect=main)
        with pytest.raises(Denied, match="denied to rea"):
            replace(remote, token=lambda: reader).push(PR, mine, expect=None)
        with pytest.raises(Denied):
            replace(remote, token=lambda: "ghp_wrong").heads()
        with pytest.raises(Missing):
            replace(remote, url=hub.git_url("octo/none")).heads()
        with pytest.raises(Missing):
            remote.fetch("refs/heads/none")
        assert at(hub, "refs/heads/main") == main


def test_a_repository_that_moved_is_not_followed(tmp_path: Path) -> None:
    """A redirect gets neither request nor token; the error says what to do."""
    with desk_of(tmp_path) as (_, desk), listening() as (url, paths, _):
        remote = replace(desk.forge.remote, url=f"{url}/octo/toy.git")
        moves: tuple[Callable[[], object], ...] = (
            remote.heads,
            lambda: remote.push(PR, Oid(commit(desk.place, a="1")), expect=None),
        )
        for move in moves:
            with pytest.raises(Refused, match="new address"):
                move()

        assert len(paths) == 2
        assert not [path for path in paths if "other" in path]


def test_a_tree_that_would_harm_a_checkout_is_not_brought_here(tmp_path: Path) -> None:
    """A commit with a `.git` in its tree is refused before it is an object of ours."""
    with desk_of(tmp_path) as (hub, desk):
        bare = hub.repo(TOY).bare.path
        blob = run(["git", "hash-object", "-w", "--stdin"], cwd=bare, stdin=b"evil").text
        entry = f"100644 blob {blob}\t.git\n".encode()
        tree = run(["git", "mktree"], cwd=bare, stdin=entry).text
        evil = run(["git", "commit-tree", "-m", "x", tree], cwd=bare).text
        run(["git", "update-ref", "refs/heads/evil", evil], cwd=bare)

        with pytest.raises(Refused, match="hasDotgit"):
            desk.forge.remote.fetch("refs/heads/evil")

        assert desk.repository.git.resolve(evil) is None


def test_a_fetch_brings_the_commit_and_makes_no_ref(tmp_path: Path) -> None:
    """The head of a fork's pull request is there afterwards; the clone's refs are as before."""
    with desk_of(tmp_path) as (hub, desk):
        hub.user("alice", "read")
        hub.fork(TOY, "alice/toy")
        alice = hub.act("alice")
        sha = alice.commit("alice/toy", "feat", {"b.py": "y = 2\n"}, "change")
        number = alice.open_pull(TOY, "feat", "Mend", source="alice/toy")
        before = run(["git", "for-each-ref"], cwd=desk.place).text

        found = desk.forge.remote.fetch(f"refs/pull/{number}/head")

        assert found == sha
        assert desk.repository.git.resolve(found) == sha
        assert run(["git", "for-each-ref"], cwd=desk.place).text == before
        assert not (desk.place / ".git" / "FETCH_HEAD").exists()


def test_what_is_no_full_ref_never_reaches_git(tmp_path: Path) -> None:
    """Neither a short name nor an option nor a second refspec is passed on."""
    with desk_of(tmp_path) as (hub, desk):
        here = desk.forge.remote.heads()["refs/heads/main"]
        asked = len(hub.log)

        for ref in NO_REFS:
            with pytest.raises(Refused):
                desk.forge.remote.push(ref, here, expect=None)
            with pytest.raises(Refused):
                desk.forge.remote.fetch(ref)
        with pytest.raises(Refused):
            desk.forge.remote.push(PR, Oid("HEAD"), expect=None)

        assert len(hub.log) == asked


def test_only_https_is_spoken_beyond_this_machine(tmp_path: Path) -> None:
    """Neither http to another host nor any other protocol is tried."""
    with desk_of(tmp_path) as (_, desk):
        for url in ("http://forge.invalid/o/n.git", "ext::sh -c id", f"file://{desk.place}"):
            with pytest.raises(ForgeError, match="not allowed"):
                replace(desk.forge.remote, url=url).heads()


def test_what_the_repository_configures_changes_neither_way_nor_word(tmp_path: Path) -> None:
    """A rewritten address, a left-over header, a helper and a hook of the clone do nothing."""
    with desk_of(tmp_path) as (hub, desk):
        ran = tmp_path / "ran"
        hook = desk.place / ".git" / "hooks" / "pre-push"
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
        for name, value in (
            (f"url.{hub.url}/evil/.insteadOf", f"{hub.url}/octo/"),
            (f"url.{hub.url}/evil/.pushInsteadOf", f"{hub.url}/octo/"),
            (f"http.{hub.url}/.extraHeader", "Authorization: Basic d3Jvbmc6d3Jvbmc="),
            ("http.extraHeader", "Authorization: Basic d3Jvbmc6d3Jvbmc="),
            ("credential.helper", f"!touch {ran}; cat"),
            ("core.askPass", "/bin/false"),
            ("push.followTags", "true"),
            ("push.gpgSign", "true"),
            ("core.sshCommand", f"touch {ran}"),
        ):
            run(["git", "config", "--add", name, value], cwd=desk.place)
        run(["git", "tag", "-a", "-m", "t", "v1"], cwd=desk.place)
        mine = Oid(commit(desk.place, a="1"))
        remote = desk.forge.remote

        remote.push(PR, mine, expect=None)

        assert at(hub, PR) == mine
        assert not at(hub, "refs/tags/v1")
        assert not ran.exists()
        with listening() as (url, _, words):
            key = f"http.{url}/.extraHeader"
            run(["git", "config", key, "Authorization: Basic d3Jvbmc6d3Jvbmc="], cwd=desk.place)
            with pytest.raises(Refused):
                replace(remote, url=f"{url}/octo/toy.git").heads()
            # Two words would be one too many: GitHub refuses such a request.
            assert words == [f"Basic {_pair(desk.token).decode()}"]


def _pair(token: str) -> bytes:
    return base64.b64encode(f"x-access-token:{token}".encode())


@contextmanager
def listening() -> Iterator[tuple[str, list[str], list[str]]]:
    """Give the address of a server that sends everybody on, what was asked, and with what words."""
    paths: list[str] = []
    words: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            words.extend(self.headers.get_all("authorization", []))
            self.send_response(301)
            self.send_header("location", self.path.replace("toy", "other"))
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Listening) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", paths, words
        finally:
            server.shutdown()
            serving.join(30)


def _processes() -> Iterator[tuple[bytes, bytes]]:
    """Give arguments and variables of every process that may be looked at."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                yield (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
            except (OSError, ValueError):
                # It ended meanwhile, or is somebody else's.
                continue


def _watched(remote: Remote, ref: str, new: Oid) -> list[tuple[bytes, bytes]]:
    """Push, and give what could be seen of git's processes meanwhile."""
    pushing = threading.Thread(target=lambda: remote.push(ref, new, expect=None))
    pushing.start()
    seen: list[tuple[bytes, bytes]] = []
    while pushing.is_alive():
        seen += [each for each in _processes() if b"git" in each[0]]
        pushing.join(0.02)
    return seen


def test_the_token_is_in_no_argument_variable_file_or_text(tmp_path: Path) -> None:
    """While a push runs and after it, the token is in the memory of those who need it only."""
    with desk_of(tmp_path) as (hub, desk):
        remote = desk.forge.remote
        token = desk.token
        pair = _pair(token)
        seen: list[tuple[bytes, bytes]] = []
        # The delay gives time to look; on a busy machine one push may still pass unseen.
        for number in range(20):
            hub.fault("POST", "*/git-receive-pack", "delay", seconds=0.5)
            seen += _watched(remote, f"{PR}{number}", Oid(commit(desk.place, a=str(number))))
            words = [argv for argv, _ in seen]
            if any(b"\0push\0" in argv for argv in words) and any(
                b"remote-http" in argv for argv in words
            ):
                break
        else:
            pytest.fail("no push was seen at work")

        for secret in (token.encode(), pair):
            assert not [words for words, around in seen if secret in words or secret in around]
            files = (each for each in desk.place.rglob("*") if each.is_file())
            assert not [each for each in files if secret in each.read_bytes()]
        assert token not in repr(desk.forge) + repr(remote) + repr(desk)
        bad = replace(remote, url=hub.git_url("octo/none"))
        with pytest.raises(ForgeError) as told:
            bad.push(PR, Oid("0" * 40), expect=None)
        assert token not in repr(told.value) + repr(told.value.__cause__)
