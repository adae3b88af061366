"""Evidence of what landed, taken up and lost again."""

import threading
from dataclasses import replace
from pathlib import Path

from factory.events import Reproduced
from factory.evidence import of_landing
from tests.factory.post import Post, asked, post_at
from worktrees.names import JobId

ONE = JobId("one")


def tried(post: Post) -> Reproduced:
    """Try the one job."""
    return of_landing(post.courier.bench, post.line, ONE, stop=threading.Event())


def test_what_is_on_record_of_the_tree_stands_and_a_lost_landing_shows_nothing(
    tmp_path: Path,
) -> None:
    """Nothing is tried twice of one tree, and a target that was moved away closes no issue."""
    with post_at(tmp_path) as post:
        post.land(asked(ONE, issue=1), a="1\n")

        first = tried(post)
        post.line = replace(post.line, reproduced={ONE: first})
        again = tried(post)
        post.site.repository.git("update-ref", post.line.target, post.line.base)
        lost = tried(post)

    assert (first.shown, again is first) == (False, True)
    assert "brings no test of its own" in first.why
    assert (lost.shown, "does not hold its landing" in lost.why) == (False, True)
