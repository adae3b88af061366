"""Lines whose tests run on the forge: the real program, real pushes, and checks that take time."""

import random
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.forge.ci import Verdict
from tests.forge.hub import Hub
from tests.run import end, run, start
from tests.system.sites import until
from tests.system.user import CODE, ONE, TESTS, User, job, states, station

TOY = "octo/toy"
UNIT = "ci / unit"
FORGE = station("suite", kind="test", where="forge", checks=[UNIT], timeout="40s")
RUN = "factory.run/1"


def suite(place: Path) -> Verdict:
    """Run the repository's own tests, as a worker of the forge does."""
    ran = run(["sh", "check.sh"], cwd=place, check=False)
    said = f"##[group]Run sh check.sh\n{ran.out.decode()}##[error]exit code {ran.code}.\n"
    return Verdict(conclusion="failure" if ran.code else "success", log=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A user whose repository lies on a forge that checks proofs; ``hold`` lets it."""

    user: User
    hub: Hub
    hold: threading.Event
    env: dict[str, str]

    @property
    def proofs(self) -> dict[str, str]:
        """Give the proofs that stand on the forge."""
        return self.hub.repo(TOY).bare.refs("refs/heads/factory/proof")

    @property
    def pushed(self) -> int:
        """Say how many commits the forge was asked to judge."""
        return len(self.hub.repo(TOY).runs)

    def configure(self, *tables: str, checked: bool = True) -> None:
        """Commit a line and bring it to the forge, which has checked it already, or not."""
        self.user.configure(CODE, FORGE, *tables)
        self.user.git("push", "-q", str(self.hub.repo(TOY).bare.path), "main")
        if checked:
            base = self.user.git("rev-parse", "main")
            self.hub.act("octocat").status(TOY, base, UNIT, "success")

    def rows(self, *words: str, code: int = 0) -> dict[str, dict]:
        """Type a command that ends with a run's document, and give each job's row."""
        return self.user.rows(*words, "--trust", code=code, env=self.env)

    def begun(self) -> bool:
        """Say whether the ledger knows of a verdict that is awaited."""
        return self.ledger("gate-awaits")

    def ledger(self, kind: str) -> bool:
        """Say whether the ledger holds an event of this kind."""
        ledger = self.user.checkout / ".git" / "factory" / "ledger.sqlite"
        asked = "SELECT 1 FROM events WHERE json_extract(body, '$.kind') = ?"
        if not ledger.exists():
            return False
        with closing(sqlite3.connect(ledger)) as base, suppress(sqlite3.OperationalError):
            return base.execute(asked, (kind,)).fetchone() is not None
        return False

    def nothing_is_left(self) -> None:
        """See that neither the forge nor the clone holds a proof."""
        assert not self.proofs
        assert not self.user.git("for-each-ref", "refs/factory/proof", "refs/factory/spent")

    def waiting(self) -> Any:
        """Run the line until it waits for the forge, and give its process."""
        words = [*self.user.program, "run", "--trust", "--json"]
        child = start(words, cwd=self.user.checkout, env={**self.user.env, **self.env})
        try:
            until(lambda: self.begun() or child.poll() is not None, seconds=40, what="it waits")
            assert child.poll() is None, child.communicate()
        except BaseException:
            end(child)
            raise
        return child

    def killed_while_it_waits(self) -> None:
        """Run the line until it waits for the forge, and kill it."""
        child = self.waiting()
        child.send_signal(signal.SIGKILL)
        end(child)


@pytest.fixture
def author(user: User, tmp_path: Path) -> Iterator[Author]:
    """Give an author on a fresh forge."""
    hold = threading.Event()
    with Hub(place=tmp_path / "hub") as hub:
        hub.repository(TOY, seed=user.checkout)
        hub.ci({UNIT: suite}, pattern="refs/heads/factory/proof/*", hold=hold)
        user.git("remote", "add", "origin", hub.git_url(TOY))
        env = {"GITHUB_TOKEN": hub.token("mona", "write"), "GITHUB_API_URL": hub.api_url}
        yield Author(user=user, hub=hub, hold=hold, env=env)
        hold.set()


@pytest.mark.soak
def test_a_base_that_the_forge_never_judged_is_judged_first(author: Author) -> None:
    """Its proof is one like any other; then the work is judged, and the landing names the check."""
    author.hold.set()
    author.configure(job("one", **ONE), checked=False)

    rows = author.rows("run")

    assert states(rows) == {"one": "landed"}
    assert author.pushed == 2
    message = author.user.git("log", "-1", "--format=%B", "main")
    assert f"Factory-Checked: {author.hub.url}/{TOY}/" in message
    author.nothing_is_left()


def test_red_that_came_while_nobody_lived_is_repaired_by_its_log_and_lands(author: Author) -> None:
    """After a kill -9 the resume asks for the same proof; the repair sees what the forge said."""
    repair = 'grep -q "a/new.txt:1:BUG" "$FACTORY_BRIEF" && sed -i s/BUG/well/ a/new.txt'
    agent = {"runtime": "command", "run": ["sh", "-c", repair]}
    author.configure(
        station("repair", kind="cleanup", agent=agent),
        job("mended", "echo BUG > a/new.txt", scope=["a/**"]),
    )
    author.killed_while_it_waits()
    waits = author.user.document("status", schema="factory.status/1")
    [proof] = author.proofs
    author.hold.set()
    author.hub.idle()

    rows = author.rows("resume")

    branch = proof.removeprefix("refs/heads/")
    assert f"waits for the forge's checks of {branch}: {UNIT}" in str(waits["jobs"])
    why = author.user.document("why", "mended", schema="factory.why/1")
    awaited = [each["text"] for each in why["moments"] if each["what"] == "awaited"]
    assert awaited[0] == f"passed here; waits for the forge's checks of {branch}"
    assert len(awaited) == 3
    assert states(rows) == {"mended": "landed"}
    assert author.user.at("main", "a/new.txt") == "well"
    assert author.pushed == 3  # red, red again by a proof of its own, green
    author.nothing_is_left()


@pytest.mark.soak
def test_doctor_and_plan_say_what_the_forge_is_asked_for(author: Author) -> None:
    """The doctor names a check that the forge does not know; the plan says what will be pushed."""
    author.configure(TESTS, job("one", **ONE))
    author.user.configure(CODE, station("other", kind="test", where="forge", checks=["lint"]))
    author.user.fac("trust", "--yes")

    found = author.user.document("doctor", schema="factory.doctor/1", env=author.env)
    plan = author.user.document("plan", "do it", schema="factory.plan/1", env=author.env)

    [seen] = [each for each in found["findings"] if each["name"] == "station other"]
    assert not seen["ok"]
    assert "does not know 'lint'; its checks of main are: ci / unit" in seen["detail"]
    assert any(text.startswith("other waits for the forge") for text in plan["warnings"])


@pytest.mark.soak
@pytest.mark.parametrize(
    "point",
    [
        *("proofs.push.before", "proofs.push.after", "floor.await.before", "floor.await.after"),
        *("proofs.drop.before", "proofs.drop.after"),
    ],
)
def test_a_kill_at_any_point_leaves_one_landing_and_no_branch(author: Author, point: str) -> None:
    """The proof that was pushed, or was about to be, is the one that is judged after a resume."""
    author.hold.set()
    author.configure(job("one", **ONE))
    env = {**author.env, "FACTORY_FAILPOINT": f"{point}:kill"}
    ran = author.user.fac("run", "--trust", "--json", code=None, env=env)
    assert ran.code == -signal.SIGKILL, ran.err.decode()

    rows = author.rows("resume")

    assert states(rows) == {"one": "landed"}
    assert author.pushed == 1
    author.nothing_is_left()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_kills_at_random_times_leave_each_job_landed_once(author: Author, seed: int) -> None:
    """Four kills of one run: both jobs land once, and the forge is left as it was."""
    dice = random.Random(seed)  # noqa: S311  it picks when to kill
    author.hold.set()
    author.configure(job("one", **ONE), job("two", "echo 2 > b/two.txt", scope=["b/**"]))
    words = ["run", "--trust", "--json"]
    for _ in range(4):
        child = start(
            [*author.user.program, *words],
            cwd=author.user.checkout,
            env={**author.user.env, **author.env},
        )
        threading.Event().wait(dice.uniform(0.8, 4.0))
        child.send_signal(signal.SIGKILL)
        end(child)
        words = ["resume" if author.ledger("placed") else "run", *words[1:]]

    rows = author.rows(words[0])

    assert set(states(rows).values()) <= {"landed"}
    log = author.user.git("log", "--format=%(trailers:key=Factory-Job,valueonly)", "main").split()
    assert sorted(log) == ["one", "two"]
    author.nothing_is_left()


@pytest.mark.soak
def test_clean_removes_from_the_forge_what_no_run_waits_for(author: Author) -> None:
    """The proof of a run that can be resumed stays, unless a person insists."""
    author.configure(job("one", **ONE))
    author.killed_while_it_waits()

    author.user.fac("clean", "--yes", env=author.env)
    assert len(author.proofs) == 1
    author.user.fac("trust", "--yes")
    shown = author.user.fac("clean", "--force", env=author.env).text
    author.user.fac("clean", "--yes", "--force", env=author.env)

    assert "on the forge" in shown
    assert not author.proofs
    author.hold.set()


@pytest.mark.soak
def test_ctrl_c_leaves_at_once_and_a_resume_reads_the_verdict(author: Author) -> None:
    """Nobody waits for the forge to end a run; what it says meanwhile is not lost."""
    author.configure(job("one", **ONE))
    child = author.waiting()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    author.hold.set()

    assert states(author.rows("resume")) == {"one": "landed"}
    assert author.pushed == 1


@pytest.mark.soak
def test_what_is_red_here_is_never_shown_to_the_forge(author: Author) -> None:
    """The stations of this machine come first; their red costs the forge nothing."""
    author.hold.set()
    author.configure(TESTS, job("bad", "echo BUG > a/new.txt", scope=["a/**"]))

    rows = author.rows("run", code=1)

    assert states(rows) == {"bad": "dead"}
    assert author.pushed == 0
