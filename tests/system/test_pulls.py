"""Runs that end in pull requests: the real program against the loopback forge."""

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forge.hub import Hub
from tests.run import ROOT
from tests.system.user import CODE, ONE, TESTS, User, job, table

TOY = "octo/toy"
POINTS = tuple(
    re.findall(r'failpoint\("([a-z_.]+)"\)', (ROOT / "factory/delivering.py").read_text())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A user whose repository lies on a forge, and the forge."""

    user: User
    hub: Hub
    token: str

    @property
    def env(self) -> dict[str, str]:
        """What the shell of somebody with a token says."""
        return {"GITHUB_TOKEN": self.token, "GITHUB_API_URL": self.hub.api_url}

    def run(self, *words: str, code: int = 0) -> dict:
        """Run the line and give its document."""
        return self.user.document("run", "--trust", *words, schema=RUN, code=code, env=self.env)

    def resume(self, *, code: int = 0) -> dict:
        """Go on with the newest run."""
        return self.user.document("resume", "--trust", schema=RUN, code=code, env=self.env)

    def kill_at(self, point: str, word: str = "run") -> None:
        """Let the program die at a point."""
        env = {**self.env, "FACTORY_FAILPOINT": f"{point}:kill"}
        ran = self.user.fac(word, "--trust", "--json", code=None, env=env)
        assert ran.code == -signal.SIGKILL, f"{point} was not reached: {ran.err.decode()}"

    def one_pull(self) -> None:
        """See that the forge holds one branch and one pull request of ours, and no comment."""
        held = self.hub.objects(TOY)
        assert (held.pulls, held.branches, held.comments) == (1, 2, 0), held


RUN = "factory.run/1"


def settled(user: User, place: Path) -> Iterator[Author]:
    """Give an author whose main is on a forge of its own."""
    user.configure(CODE, TESTS, job("one", **ONE), line={"deliver": "pr"})
    with Hub(place=place) as hub:
        hub.repository(TOY, seed=user.checkout)
        user.git("remote", "add", "origin", hub.git_url(TOY))
        yield Author(user=user, hub=hub, token=hub.token("mona", "write"))


@pytest.fixture
def author(user: User, tmp_path: Path) -> Iterator[Author]:
    """Give an author with one job, on a fresh forge."""
    yield from settled(user, tmp_path / "hub")


def killed_everywhere(author: Author, points: tuple[str, ...]) -> dict:
    """Let a run and then its resumes die at these points in order; let it end, and check."""
    author.kill_at(points[0])
    for point in points[1:]:
        author.kill_at(point, "resume")
    document = author.resume()
    assert [row["state"] for row in document["jobs"]] == ["proposed"]
    author.one_pull()
    return document


def test_a_run_becomes_one_pull_request_that_tells_the_truth_whoever_dies(author: Author) -> None:
    """Killed after the push and after the opening, it ends as one draft of the tested commit.

    Its body says what the ledger says; a last resume writes nothing. Without a token nothing
    starts at all.
    """
    error = author.user.document("run", "--trust", schema="factory.error/1", code=7)
    assert "token" in error["error"]
    before = author.user.git("rev-parse", "main")

    document = killed_everywhere(author, ("delivering.push.after", "delivering.pull.after"))

    [row], [(issue, pull)] = document["jobs"], author.hub.repo(TOY).pulls()
    address = f"{author.hub.url}/{TOY}/pull/{issue.number}"
    assert (row["state"], row["pull"], document["undelivered"]) == ("proposed", address, [])
    assert pull.head == document["tip"] == row["commit"]
    assert re.fullmatch(r"factory/pr/one-[0-9a-f]{8}", pull.head_ref)
    assert (pull.base_ref, pull.draft, issue.title) == ("main", True, "Do one")
    assert author.user.git("rev-parse", "main") == before
    assert issue.body is not None
    for said in (row["commit"], row["tree"], document["run"], "`a/new.txt` (+1 -0)", "tests: sh"):
        assert said in issue.body, issue.body
    assert author.token not in issue.body
    writes = [each for each in author.hub.log if each.writes]
    assert author.resume()["jobs"][0]["pull"] == address
    assert [each for each in author.hub.log if each.writes] == writes


@pytest.mark.soak
def test_one_pull_request_for_each_job_of_a_run(author: Author) -> None:
    """`pulls = "job"`: a stack in the order of the landings, each head a tested commit."""
    author.user.configure(
        CODE,
        TESTS,
        table("[forge]", pulls="job"),
        job("one", **ONE),
        job("two", "echo new > b/new.txt", scope=["b/**"], needs=["one"]),
        line={"deliver": "pr"},
    )
    author.user.git("push", "-q", str(author.hub.repo(TOY).bare.path), "main")

    document = author.run()

    heads = [row["commit"] for row in document["jobs"]]
    found = list(author.hub.repo(TOY).pulls())
    assert [pull.head for _, pull in found] == heads
    assert [pull.base_ref for _, pull in found] == ["main", found[0][1].head_ref]
    assert [row["pull"] for row in document["jobs"]] == [
        f"{author.hub.url}/{TOY}/pull/{issue.number}" for issue, _ in found
    ]
    assert author.resume()["jobs"] == document["jobs"]


@pytest.mark.soak
@pytest.mark.parametrize("first", POINTS)
@pytest.mark.parametrize("second", [*POINTS, "ledger.append.after", "ledger.append.before"])
def test_a_storm_of_kills_leaves_one_pull_request(author: Author, first: str, second: str) -> None:
    """Twenty-four pairs of deaths, of the run and of its resume: no duplicate of anything."""
    killed_everywhere(author, (first, second))
