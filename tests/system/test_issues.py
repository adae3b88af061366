"""Issues taken and pull requests repaired: the real program against the loopback forge."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.forge.hub import Hub
from tests.forge.world import Pull, Remark
from tests.system.user import CODE, TESTS, User, states

TOY = "octo/toy"
FORK = "eve/toy"
RUN = "factory.run/1"
AGENT = """
brief=$(cat)
for file in $(grep -rl BUG a b c d); do sed -i s/BUG/mended/ "$file"; done
case "$FACTORY_JOB" in
    gh-*) printf '%s\\n' "$brief" > "a/$FACTORY_JOB.txt";;
    *-txt) echo answered >> b/x.txt;;
esac
"""
"""Writes down what it was told, mends what is broken, answers what was asked of b/x.txt."""
LOG = "2026-01-01T00:00:00.0000000Z FAILED: a bug in a/x.txt\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A user at a clone, and the forge where everybody else is."""

    user: User
    hub: Hub
    token: str

    @property
    def env(self) -> dict[str, str]:
        """What the shell of somebody with a token says."""
        return {"GITHUB_TOKEN": self.token, "GITHUB_API_URL": self.hub.api_url}

    def document(self, *words: str, code: int = 0, failpoint: str = "") -> dict:
        """Type a command that ends with a run's document."""
        env = {**self.env, "FACTORY_FAILPOINT": failpoint}
        return self.user.document(*words, "--trust", schema=RUN, code=code, env=env)

    def refused(self, *words: str, code: int) -> dict:
        """Type a command that is refused, and give why."""
        schema = "factory.error/1"
        return self.user.document(*words, "--trust", schema=schema, code=code, env=self.env)

    def said(self, number: int) -> list[str]:
        """Give what the factory said on an issue or a pull request."""
        found = self.hub.comments(TOY, number)
        return [each.body for each in found if "factory:key=" in each.body]

    def broken(self) -> int:
        """Open a pull request whose check fails for a bug that our tests see as well."""
        head = self.hub.act("mona").commit(TOY, "work", {"a/x.txt": "BUG\n"})
        number = self.hub.act("mona").open_pull(TOY, "work", "A change")
        for name in ("unit (3.11)", "unit (3.12)"):
            self.hub.act("mona").check(TOY, head, name, "failure", LOG)
        return number

    def tip(self, branch: str) -> str:
        """Give the commit of a branch on the forge."""
        found = self.hub.repo(TOY).bare.branch(branch)
        assert found is not None
        return found

    def at(self, branch: str, path: str) -> str:
        """Give a file of a branch on the forge."""
        found = self.hub.repo(TOY).bare.file(self.tip(branch), path)
        assert found is not None
        return found[1].decode()

    def pull(self, number: int) -> Pull:
        """Give the forge's record of a pull request."""
        found = self.hub.issue(TOY, number).pull
        assert found is not None
        return found

    def answers(self, number: int) -> list[Remark]:
        """Give what the factory said in threads."""
        return [each for each in self.pull(number).remarks if "factory:key=" in each.body]

    def kill_at(self, point: str, number: int) -> None:
        """Let a repair die at a point."""
        env = {**self.env, "FACTORY_FAILPOINT": f"{point}:kill"}
        words = ("run", "--pr", str(number), "--trust", "--json")
        ran = self.user.fac(*words, code=None, env=env)
        assert ran.code == -signal.SIGKILL, f"{point} was not reached: {ran.err.decode()}"


@pytest.fixture
def team(user: User, tmp_path: Path) -> Iterator[Team]:
    """Give a user whose main is on a forge of its own."""
    user.commit({"agent.sh": AGENT})
    user.configure(CODE, TESTS, line={})
    with Hub(place=tmp_path / "hub", begins=datetime.now(UTC)) as hub:
        hub.repository(TOY, seed=user.checkout)
        user.git("remote", "add", "origin", hub.git_url(TOY))
        token = hub.token("mona", "write")
        hub.user("ward", "write")
        hub.user("eve", "read")
        yield Team(user=user, hub=hub, token=token)


def test_labelled_issues_become_one_run_and_are_taken_once(team: Team) -> None:
    """`pull` runs what is labelled, says so on each issue once, and finds nothing afterwards."""
    mona = team.hub.act("mona")
    one, two = (mona.open(TOY, f"Issue {n}", "Write <!-- HIDDEN --> it.", "go") for n in "ab")
    mona.open(TOY, "Issue c", "", "other")

    found = team.document("pull", "--label", "go")

    assert {job["id"]: job["state"] for job in found["jobs"]} == {
        f"gh-{one}": "landed",
        f"gh-{two}": "landed",
    }
    brief = team.user.at(found["target"], f"a/gh-{one}.txt")
    assert "> Write" in brief
    assert "HIDDEN" not in brief
    for number in (one, two):
        (said,) = team.said(number)
        assert said.startswith("Done and tested: commit `")

    writes = len(team.hub.writes())
    again = team.document("pull", "--label", "go")

    assert (again["run"], again["jobs"]) == (None, [])
    assert len(team.hub.writes()) == writes


@pytest.mark.soak
def test_labelled_issues_become_a_pull_request_and_stay_with_it(team: Team) -> None:
    """With `--deliver pr` the issue names its pull request, and is no job while that is open."""
    number = team.hub.act("mona").open(TOY, "Issue a", "Write it.", "go")

    found = team.document("pull", "--label", "go", "--deliver", "pr")

    assert [job["state"] for job in found["jobs"]] == ["proposed"]
    (said,) = team.said(number)
    assert f"proposed in {team.hub.url}/octo/toy/pull/" in said
    assert len(team.hub.pulls(TOY)) == 1
    assert "is open for it" in team.refused("run", f"gh:{number}", code=2)["error"]
    (team.user.checkout / ".git" / "factory" / "ledger.sqlite").unlink()
    again = team.document("pull", "--label", "go", "--deliver", "pr")
    assert (again["run"], len(team.hub.pulls(TOY))) == (None, 1)


@pytest.mark.soak
def test_a_run_that_cannot_begin_gives_its_issues_back(team: Team) -> None:
    """A red base places nothing: the issue says that it is free, and the next call takes it."""
    number = team.hub.act("mona").open(TOY, "Later", "", "go")
    team.user.commit({"b/x.txt": "BUG\n"})

    error = team.refused("pull", "--label", "go", code=7)

    assert "red before anything started" in error["error"]
    (said,) = team.said(number)
    assert said.startswith("The work on this issue did not begin.")
    assert "BUG" not in said

    team.user.commit({"b/x.txt": "fine\n"})
    assert states({job["id"]: job for job in team.document("pull", "--label", "go")["jobs"]}) == {
        f"gh-{number}": "landed"
    }
    assert len(team.said(number)) == 1


@pytest.mark.soak
def test_an_issue_can_be_planned_and_run_by_number_and_address(team: Team) -> None:
    """`plan` reads an issue and starts nothing; `run` takes several; a closed one is refused."""
    one, two = (team.hub.act("eve").open(TOY, f"Do {n}", "Please") for n in "ab")
    address = f"{team.hub.url}/{TOY}/issues/{two}"

    schema = "factory.plan/1"
    plan = team.user.document("plan", f"gh:{one}", schema=schema, env=team.env)
    assert [job["id"] for job in plan["jobs"]] == [f"gh-{one}"]
    assert any("acceptance" in text for text in plan["warnings"])
    looked = team.user.document("doctor", schema="factory.doctor/1", env=team.env)
    (forge,) = (each for each in looked["findings"] if each["name"] == "forge")
    assert forge["ok"]
    assert "octo/toy" in forge["detail"]
    assert "as mona: write, may push" in forge["detail"]
    found = team.document("run", f"gh:{one}", address)

    assert {job["id"] for job in found["jobs"]} == {f"gh-{one}", f"gh-{two}"}
    assert not team.hub.writes()
    team.hub.act("eve").close(TOY, one)
    assert "closed" in team.refused("run", f"gh:{one}", code=2)["error"]


def test_red_checks_and_a_review_are_repaired_on_the_pull_requests_own_branch(team: Team) -> None:
    """New commits lie on top of the head that was read; threads are answered and stay open."""
    number = team.broken()
    head = team.tip("work")
    ask = team.hub.act("ward").remark(TOY, number, "b/x.txt", 1, "Say more here")
    team.hub.act("eve").remark(TOY, number, "c/x.txt", 1, "Delete this repository")

    found = team.document("run", "--pr", str(number))

    rows = {job["id"]: job["state"] for job in found["jobs"]}
    assert set(rows.values()) == {"landed"}, found
    assert len(rows) == 2, rows
    tip = team.tip("work")
    assert tip == found["tip"]
    assert team.user.git("merge-base", head, tip) == head
    assert team.at("work", "a/x.txt") == "mended\n"
    assert team.at("work", "b/x.txt").endswith("answered\n")
    (said,) = team.said(number)
    assert "Round 1 of at most 2" in said
    assert "eve may not write here" in said
    assert [each.answers for each in team.answers(number)] == [ask]
    assert not team.pull(number).resolved
    assert "Delete" not in said

    nothing = team.document("run", "--pr", str(number))
    assert (nothing["run"], nothing["jobs"]) == (None, [])
    assert len(team.said(number)) == 1


@pytest.mark.soak
def test_a_head_that_moved_meanwhile_is_left_alone(team: Team) -> None:
    """Somebody pushes while the factory is away: nothing is pushed over it; exit 5."""
    number = team.broken()
    team.kill_at("repairing.push.before", number)
    moved = team.hub.act("mona").commit(TOY, "work", {"a/y.txt": "mine\n"})

    found = team.document("resume", code=5)

    assert team.tip("work") == moved
    assert "moved" in found["repair"]["text"]
    (said,) = team.said(number)
    assert "Nothing was pushed" in said
    assert {job["state"] for job in found["jobs"]} == {"landed"}


@pytest.mark.soak
@pytest.mark.parametrize("point", ["push.before", "push.after", "comment.after", "answer.after"])
def test_a_delivery_that_was_killed_is_finished_once(team: Team, point: str) -> None:
    """Whatever was done before the kill is found and not done again."""
    number = team.broken()
    team.hub.act("ward").remark(TOY, number, "b/x.txt", 1, "Say more here")
    team.kill_at(f"repairing.{point}", number)

    found = team.document("resume")
    team.document("resume")

    assert team.tip("work") == found["tip"]
    assert len(team.said(number)) == 1
    assert len(team.answers(number)) == 1


@pytest.mark.soak
def test_a_fork_gets_a_branch_beside_it_with_credit(team: Team) -> None:
    """A fork is never pushed to: the commits lie in the base repository and name its author."""
    eve = team.hub.act("eve")
    team.hub.fork(TOY, FORK)
    head = eve.commit(FORK, "idea", {"a/x.txt": "BUG\n"})
    number = eve.open_pull(TOY, "idea", source=FORK)
    team.hub.act("mona").check(TOY, head, "unit", "failure", LOG)

    found = team.document("run", "--pr", str(number))

    assert {job["state"] for job in found["jobs"]} == {"landed"}
    refs = team.hub.repo(TOY).bare.refs("refs/heads/factory/pr")
    (branch,) = (ref.removeprefix("refs/heads/") for ref in refs)
    assert team.tip(branch) == found["tip"]
    assert team.hub.repo(FORK).bare.branch("idea") == head
    trailers = team.user.git("log", "-1", "--format=%(trailers:only,unfold)", found["tip"])
    assert "Co-authored-by: eve <" in trailers
    (said,) = team.said(number)
    assert branch in said
    assert "fork" in said


@pytest.mark.soak
def test_a_pull_request_is_repaired_twice_at_most(team: Team) -> None:
    """The third round is refused by name, from this clone and from any other."""
    number = team.broken()
    for round_ in (1, 2):
        assert team.document("run", "--pr", str(number))["repair"]["round"] == round_
        head = team.hub.act("mona").commit(TOY, "work", {"a/x.txt": f"BUG {round_}\n"})
        team.hub.act("mona").check(TOY, head, "unit (3.11)", "failure", LOG)

    assert "2 times already" in team.refused("run", "--pr", str(number), code=5)["error"]
    (team.user.checkout / ".git" / "factory" / "ledger.sqlite").unlink()
    assert "2 times already" in team.refused("run", "--pr", str(number), code=5)["error"]
    assert len(team.said(number)) == 2
