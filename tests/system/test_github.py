"""The whole from outside: issues, kills, pull requests, a merge, and what is known of it."""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.forge.client import github
from tests.run import end, environment
from tests.system.conftest import settle
from tests.system.forges import TOY, Works, works
from tests.system.sites import until
from tests.system.user import User
from tests.warm import Warm

STACK = {"pulls": "job"}
"""A pull request for each job, offered while the run goes on."""


@contextmanager
def stormed(user: User, place: Path, seed: int, *, kills: int) -> Iterator[Works]:
    """Give a world whose factory was killed so often, before it came to its end."""
    dice = random.Random(seed)  # noqa: S311  it picks what to kill
    with works(user, place, issues=2, forge=STACK) as world:
        while len(world.kills) < kills and world.kill(dice, most=60):
            pass
        document = world.finish()
        assert [job["state"] for job in document["jobs"]] == ["proposed"] * 2, world.kills
        yield world


def merge_all(world: Works) -> None:
    """Merge the stack from the bottom as a person does: ready, merge, delete the branch."""
    forge = github(world.hub, world.hub.token("ward", "write")).get_repo(TOY)
    for issue, pull in list(world.hub.repo(TOY).pulls()):
        theirs = forge.get_pull(issue.number)
        assert theirs.base.ref == "main"
        theirs.mark_ready_for_review()
        theirs.merge(sha=theirs.head.sha)
        forge.get_git_ref(f"heads/{pull.head_ref}").delete()


def settled(world: Works, *, branches: int = 3) -> None:
    """See that there is one of everything, and the token nowhere."""
    held = world.hub.objects(TOY)
    assert (held.pulls, held.branches, held.comments) == (2, branches, 2), (held, world.kills)
    assert not any(world.duplicates().values()), world.kills
    assert world.leaks() == []


def test_issues_become_merged_work_though_the_factory_is_killed(user: User, tmp_path: Path) -> None:
    """Three kills -9 later there is one comment and one pull request for each issue.

    When a person has merged them, the factory knows that the work landed, and writes no word more.
    Nothing on the repository's disk, on the forge, or that was printed holds the token.
    """
    with stormed(user, tmp_path / "hub", 3, kills=3) as world:
        settled(world)
        merge_all(world)

        document = world.finish()
        status = user.document("status", schema="factory.status/1", env=world.env)

        assert {job["state"] for job in document["jobs"]} == {"landed"}
        assert {job["place"] for job in status["jobs"]} == {"landed"}
        settled(world, branches=1)


def test_what_cannot_end_well_is_refused_before_it_begins(user: User, tmp_path: Path) -> None:
    """Each mistake is named with its remedy, nothing is placed, and the forge is left as it was."""
    with works(user, tmp_path / "hub", issues=2, forge={}) as world:
        world.hub.act("mona").close(TOY, 2)
        wrong = "ghp_" + "0" * 36
        reader = world.hub.token("eve", "read")
        mistakes = [
            ("gh:1", "", 7, "GITHUB_TOKEN"),
            ("gh:1", wrong, 7, "put a valid one in its place"),
            ("gh:1", reader, 7, "eve may not push to octo/toy"),
            ("gh:2", world.token, 2, "it is closed"),
            ("gh:9", world.token, 2, "there is no such issue in octo/toy"),
            ("#1", world.token, 2, "write gh:1 for issue 1"),
        ]
        for word, token, code, said in mistakes:
            env = {**world.env, "GITHUB_TOKEN": token}
            ran = user.fac("run", word, "--deliver", "pr", "--trust", code=code, env=env)
            assert said in ran.err.decode(), ran.err
            assert not token or token not in ran.err.decode()

        assert not world.hub.writes()
        assert world.next() != ("resume",)


@pytest.mark.soak
def test_a_comment_that_a_killed_pull_left_comes_true_again(user: User, tmp_path: Path) -> None:
    """Killed before its run began, it speaks of work; a run by number says what became of it."""
    with works(user, tmp_path / "hub", issues=1, forge={}) as world:
        [issue] = world.issues
        words = [*world.next(), "--trust", "--json"]
        child = Warm(words, cwd=user.checkout, env=environment(**user.env, **world.env))
        until(lambda: world.hub.comments(TOY, issue), seconds=40, what="it is taken")
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=30)
        end(child)
        assert world.next() != ("resume",)

        user.fac("run", f"gh:{issue}", "--deliver", "pr", "--trust", env=world.env)

        [said] = world.hub.comments(TOY, issue)
        assert said.body.startswith("Done and tested; it is proposed in ")
        assert world.hub.objects(TOY).pulls == 1


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_twenty_kills_leave_no_duplicate(seed: int, small_repository: Path, tmp_path: Path) -> None:
    """Five worlds, each killed at least four times at random moments: one of everything."""
    dice = random.Random(seed)  # noqa: S311
    done, world = 0, 0
    while done < 4:
        place = tmp_path / str(world)
        place.mkdir()
        user = settle(small_repository, place)
        with stormed(user, place / "hub", dice.randrange(10**9), kills=4 - done) as found:
            settled(found)
            done += len(found.kills)
        world += 1
