"""`factory rehearse`: a repository's own commits through the real line, from outside."""

import random
import signal
import threading
from pathlib import Path

import pytest

from factory.ledger import Ledger
from tests.run import end, start
from tests.system.user import SH, TESTS, User, station

STATIONS = (
    station("ab", scope=["a/**", "b/**"], agent=SH),
    station("c", scope=["c/**"], agent=SH),
    TESTS,
)


def refs(user: User) -> str:
    """Give every ref and what is checked out."""
    listed = user.git("for-each-ref", "--format=%(refname) %(objectname)")
    return f"{listed}\n{user.git('rev-parse', 'HEAD')}\n{user.git('status', '--porcelain')}"


@pytest.fixture
def past(user: User) -> User:
    """Give a user whose history has commits that land, one across stations, one to ask about."""
    user.configure(*STATIONS)
    user.commit({"a/x.txt": "one\ntwo\nthree\nfour\n"})
    user.commit({"a/x.txt": "zero\none\ntwo\nthree\nfour\n"})
    user.commit({"c/conftest.py": "# asked about\n", "c/x.txt": "other\n"})
    user.commit({"a/y.txt": "both\n", "c/y.txt": "both\n"})
    user.commit({"b/z.txt": "last\n"})
    return user


def runs_of(path: Path) -> int:
    """Count the runs in a ledger."""
    with Ledger(path, read_only=True) as ledger:
        return len(ledger.runs())


def fates(document: dict) -> list[str]:
    """Give how each commit ended, oldest first."""
    return [row["fate"] for row in document["changes"]]


def test_a_history_is_replayed_and_nothing_of_it_stays(user: User) -> None:
    """Each commit ends as it deserves, nothing red ever landed, and no ref or file is left."""
    user.configure(*STATIONS)
    user.commit({"a/x.txt": "one\ntwo\nthree\nfour\n"})
    user.commit({"b/y.txt": "one BUG\n"})
    user.commit({"b/y.txt": "none\n"})
    user.commit({"c/conftest.py": "# asked about\n"})
    user.commit({"d/x.txt": "fits no station\n"})
    user.commit({})
    user.commit({"a/x.txt": "zero\none\ntwo\nthree\nfour\n"})
    before = refs(user)

    words = ("rehearse", "--commits", "7", "--trust")
    document = user.document(*words, schema="factory.rehearse/1", code=1)

    middle = ["red tests", "conflict", "protected path", "fits no station", "empty"]
    assert fates(document)[1:6] == middle
    assert {fates(document)[0], fates(document)[6]} <= {"first try", "after others"}
    assert document["changes"][1]["lines"] == ["FAILED: a bug"]
    assert "b/y.txt" in document["changes"][2]["why"]
    assert (document["green"], document["same"]) == (True, False)
    assert document["fit"] == {"fit": 5, "of": 6}
    assert document["gate"]["landings"] >= 1
    assert refs(user) == before
    assert user.document("resume", "--trust", schema="factory.rehearse/1", code=1) == document


def test_killed_and_resumed_it_ends_with_the_tree_of_the_branch(past: User) -> None:
    """With questions answered and misfits let in all of it lands, over a kill, to the byte.

    What was kept names who wrote what landed; nothing else is left.
    """
    before = refs(past)
    words = ("rehearse", "-n", "5", "--trust", "--approve", "--misfits", "run", "--keep", "--json")
    failing = {"FACTORY_FAILPOINT": "floor.swap.after:kill:2"}
    killed = past.fac(*words, code=-signal.SIGKILL, env=failing)
    assert not killed.out

    document = past.document("resume", "--trust", schema="factory.rehearse/1")

    assert set(fates(document)) <= {"first try", "after others"}
    assert (document["green"], document["same"], document["landed"]) == (True, True, 5)
    assert [row["asked"] for row in document["changes"]] == [False, False, True, False, False]
    assert document["changes"][3]["station"] is None
    target = document["target"]
    author = past.git("log", "-1", "--format=%an <%ae>", "main")
    said = past.git("log", "--first-parent", "--format=%B", f"{document['base']}..{target}")
    assert said.count("Factory-Run:") == said.count(f"Co-authored-by: {author}")
    assert past.git("rev-parse", f"{target}^{{tree}}") == past.git("rev-parse", "main^{tree}")
    past.git("branch", "-q", "-D", target)
    assert refs(past) == before


def test_a_red_beginning_is_refused_with_its_tail(past: User) -> None:
    """Where the commit before them is red, that is said with its tail and what helps; exit 7."""
    past.commit({"b/y.txt": "one BUG\n"})
    past.commit({"b/y.txt": "none\n"})

    ran = past.fac("rehearse", "--commits", "1", "--trust", code=7)

    said = ran.err.decode()
    assert "FAILED: a bug" in said
    assert "`--commits N`" in said
    assert "as was to be expected" not in said


def test_wrong_words_say_what_is_right(past: User) -> None:
    """A branch that is not there, and a count of nothing, are usage mistakes with a hint."""
    ran = past.fac("rehearse", "--branch", "nowhere", "--trust", code=2)
    assert b"there is no branch nowhere here" in ran.err

    past.fac("rehearse", "--commits", "0", code=2)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_it_ends_the_same(past: User, seed: int) -> None:
    """However often and whenever it is killed, each commit lands once and nothing is left."""
    before = refs(past)
    chance = random.Random(seed)  # noqa: S311  not for secrets
    words = ("rehearse", "-n", "5", "--trust", "--approve", "--misfits", "run")
    ledger = past.checkout / ".git/factory/ledger.sqlite"
    for _ in range(6):
        child = start([*past.program, *words, "--json"], cwd=past.checkout, env=past.env)
        threading.Event().wait(chance.uniform(0.3, 4.0))
        end(child)
        if ledger.exists() and runs_of(ledger):
            words = ("resume", "--trust")

    document = past.document(*words, schema="factory.rehearse/1")

    assert (document["green"], document["same"], document["landed"]) == (True, True, 5)
    assert runs_of(ledger) == 1
    assert refs(past) == before
