"""`factory run --compare` and the versions of factory.toml, from outside."""

import random
import signal
import threading
from pathlib import Path

import pytest

from factory.ledger import Ledger
from tests.run import end, start
from tests.system.user import FILES, User, job, station, table

LINE = {"target": "main", "deliver": "merge", "seats": 2}
SLOPPY = "sleep .4; case $FACTORY_ATTEMPT in 1) W=BUG;; esac\n" + FILES["agent.sh"]


def version(agent: str, *more: str, test: str = "check.sh", **line: object) -> str:
    """Give a factory.toml whose agent is this script."""
    works = {"runtime": "command", "run": ["sh", agent]}
    return "".join(
        (
            "version = 1\n",
            table("[line]", **(LINE | line)),
            station("code", scope=["a/**", "b/**", "c/**", "d/**"], agent=works),
            station("tests", kind="test", run=["sh", test]),
            station("repair", kind="cleanup", agent=works),
            *more,
        )
    )


def jobs(many: int) -> str:
    """Give so many small jobs, each with a file of its own."""
    return "".join(
        job(f"j{n}", f"echo ${{W:-fine {n}}} > a/n{n}.txt", scope=[f"a/n{n}.txt"])
        for n in range(many)
    )


@pytest.fixture
def two(user: User) -> User:
    """Give a user with a good version of the line and a slow and sloppy one."""
    user.commit(
        {
            "a.toml": version("agent.sh"),
            "b.toml": version("sloppy.sh"),
            "sloppy.sh": SLOPPY,
            "jobs.toml": jobs(10),
        }
    )
    return user


def compared(user: User, *words: str, code: int = 0) -> dict:
    """Type a command that ends with a comparison, and give its document."""
    return user.document(*words, schema="factory.compare/1", code=code)


def records(user: User) -> list[Path]:
    """Give the records of comparisons on disk."""
    return sorted((user.checkout / ".git/factory/comparisons").glob("*.json"))


def opened(user: User) -> int:
    """Count the runs that began."""
    with Ledger(user.checkout / ".git/factory/ledger.sqlite", read_only=True) as ledger:
        return len(ledger.runs())


def test_a_slow_and_sloppy_version_is_told_from_a_good_one(two: User) -> None:
    """Both work in turns on one target, everything lands, and the finding is said with odds.

    Each file is trusted by its own content. What a run used is in the history, to be put back.
    """
    words = ("run", "--compare", "a.toml", "b.toml", "@jobs.toml")
    asked = two.document(*words, schema="factory.error/1", code=2)
    assert "a.toml brings commands of its own" in asked["error"]
    two.fac("trust", "--yes", "a.toml", "b.toml")

    found = compared(two, *words)

    assert found["turns"] in (["a", "b", "b", "a"], ["b", "a", "a", "b"])
    assert [(each["jobs"], each["landed"]) for each in found["versions"].values()] == [(5, 5)] * 2
    assert (found["whole"], found["exit"], found["target"]) == (True, 0, "main")
    assert found["first_pass"]["larger"] == "a"
    assert found["first_pass"]["odds"] < 0.05
    assert found["rate"]["a"][1] > found["rate"]["b"][1]
    assert "more of a.toml passes at first: 5 of 5 against 0 of 5" in found["sentence"]
    assert {f"a/n{n}.txt" for n in range(10)} <= set(two.files())
    assert two.git("grep", "-c", "fine", "main", "--", "a").count("\n") == 9
    assert compared(two, "resume") == found
    (two.checkout / "b.toml").write_text(version("agent.sh"))
    assert "b.toml brings" in two.document(*words, schema="factory.error/1", code=2)["error"]
    two.git("restore", "b.toml")

    rows = two.document("config", "history", schema="factory.versions/1")["versions"]
    hashes = {name: each["hash"] for name, each in found["versions"].items()}
    assert {row["hash"]: row["landed"] for row in rows} == dict.fromkeys(hashes.values(), 5)
    back = ("config", "rollback", hashes["b"][:8])
    shown = two.document(*back, "--dry-run", schema="factory.rollback/1")
    assert not (two.checkout / "factory.toml").exists()
    assert '+agent = { runtime = "command", run = ["sh", "sloppy.sh"] }' in shown["diff"]
    two.document(*back, schema="factory.rollback/1")
    assert (two.checkout / "factory.toml").read_text() == (two.checkout / "b.toml").read_text()


def test_killed_twice_it_is_taken_up_where_it_was(two: User) -> None:
    """Killed in a turn, then between two, a resume goes on: each job lands once, on one branch.

    Without a target that branch is the first turn's own.
    """
    two.commit({"b.toml": version("agent.sh", seats=4), "jobs.toml": jobs(4)})
    before = two.git("rev-parse", "main")
    words = ("run", "--trust", "--compare", "a.toml", "b.toml", "@jobs.toml", "--deliver", "branch")
    two.fac(*words, code=-signal.SIGKILL, env={"FACTORY_FAILPOINT": "floor.swap.after:kill:1"})
    assert (opened(two), len(records(two))) == (1, 1)
    two.commit({"a.toml": "not = 'read again'\n", "b.toml": "neither is this"})
    failing = {"FACTORY_FAILPOINT": "shift.refs.after:kill:1"}
    two.fac("resume", code=-signal.SIGKILL, env=failing)
    assert opened(two) == 1

    found = compared(two, "resume")

    runs = [run for each in found["versions"].values() for run in each["runs"]]
    assert (found["whole"], len(runs), opened(two)) == (True, 4, 4)
    first = found["versions"][found["turns"][0]]["runs"][0]
    assert found["target"] == f"factory/{first}/target"
    assert {f"a/n{n}.txt" for n in range(4)} <= set(two.files(found["target"]))
    said = two.git("log", "--format=%B", f"{before}..{found['target']}")
    assert sorted(line for line in said.splitlines() if line.startswith("Factory-Job:")) == [
        f"Factory-Job: j{n}" for n in range(4)
    ]
    assert two.git("for-each-ref", "--format=%(refname)", "refs/heads").split() == [
        f"refs/heads/{found['target']}",
        "refs/heads/main",
    ]


@pytest.mark.soak
def test_a_spent_budget_is_both_versions_and_a_larger_one_goes_on(two: User) -> None:
    """What one version spent is gone for the other too; exit 3, and nothing is lost."""
    two.commit({"jobs.toml": jobs(2), "slow.sh": "sleep 2.5\n" + FILES["agent.sh"]})
    two.commit({"a.toml": version("slow.sh"), "b.toml": version("slow.sh", seats=3)})
    words = ("--compare", "a.toml", "b.toml", "@jobs.toml", "--budget", "0.02m")

    found = compared(two, "run", "--trust", *words, code=3)

    assert (found["whole"], opened(two)) == (False, 1)
    assert compared(two, "resume", "--budget", "60m")["whole"]


def test_what_no_comparison_may_be_is_refused_by_name(two: User) -> None:
    """Weaker tests, another target, tied jobs, one file, a red base: nothing starts or stays."""
    two.commit(
        {
            "c.toml": version("agent.sh", test="weak.sh", target="other"),
            "tied.toml": job("x", "true", scope=["a/**"]) + job("y", "true", scope=["a/b/**"]),
            "weak.sh": "exit 0\n",
        }
    )
    words = ("run", "--trust", "--compare", "a.toml")

    weak = two.document(*words, "c.toml", "@jobs.toml", schema="factory.error/1", code=2)
    assert "the required station tests is not the same in both" in weak["error"]
    assert "[line] target: 'main' and 'other'" in weak["error"]
    tied = two.document(*words, "b.toml", "@tied.toml", schema="factory.error/1", code=2)
    assert "tie them all together" in tied["error"]
    same = two.document(*words, "a.toml", "@jobs.toml", schema="factory.error/1", code=2)
    assert "is compared with itself" in same["error"]
    two.commit({"a/x.txt": "BUG\n"})
    red = two.document(*words, "b.toml", "@jobs.toml", schema="factory.error/1", code=7)
    assert "FAILED: a bug" in red["error"]
    assert records(two) == []


def test_a_roll_back_loses_no_edit_that_nothing_keeps(user: User) -> None:
    """What is neither committed nor used by a run stays unless forced; odd names are told."""
    user.commit({"factory.toml": version("agent.sh"), "jobs.toml": jobs(1)})
    user.run("@jobs.toml")
    path = user.checkout / "factory.toml"
    first = path.read_text()
    row = user.document("config", "history", schema="factory.versions/1")["versions"][0]
    assert (row["now"], row["kept"], len(row["runs"])) == (True, True, 1)
    path.write_text(first + "# mine\n")
    words = ("config", "rollback", row["hash"])

    refused = user.document(*words, schema="factory.error/1", code=2)

    assert "would be lost" in refused["error"]
    assert path.read_text().endswith("# mine\n")
    assert user.document(*words, "--force", schema="factory.rollback/1")["written"]
    assert path.read_text() == first
    assert user.fac("config", "rollback", "abc", code=2).err.startswith(b"factory: 'abc' is too")
    assert b"names no version" in user.fac("config", "rollback", "00000000", code=2).err


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_moment_each_job_lands_once(two: User, seed: int) -> None:
    """However often and whenever it is killed, a resume ends the comparison, each job on main."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    ledger = two.checkout / ".git/factory/ledger.sqlite"
    words: tuple[str, ...] = ("run", "--trust", "--compare", "a.toml", "b.toml", "@jobs.toml")
    before = two.git("rev-parse", "main")
    for _ in range(6):
        child = start([*two.program, *words], cwd=two.checkout, env=two.env)
        threading.Event().wait(chance.uniform(0.5, 4.0))
        end(child)
        words = ("resume",) if ledger.exists() and opened(two) else words

    found = compared(two, *words)

    assert (found["whole"], opened(two)) == (True, 4)
    assert [(each["jobs"], each["landed"]) for each in found["versions"].values()] == [(5, 5)] * 2
    said = two.git("log", "--format=%B", f"{before}..main").splitlines()
    assert sorted(line for line in said if line.startswith("Factory-Job:")) == [
        f"Factory-Job: j{n}" for n in range(10)
    ]
