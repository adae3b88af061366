"""`factory run` from outside: what it promises, refuses, asks and ends with."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.run import Child, end, run, start
from tests.system.user import CODE, FILES, ONE, SH, TESTS, User, job, states, station

CONFIGURED = (CODE, TESTS, job("one", **ONE))
SLOW = job("slow", "echo begun; echo half > a/half.txt; sleep 60", scope=["a/**"])
LOOKS = 600


def soon(seen: Callable[[], bool]) -> None:
    """Wait until something is seen, for a minute at most."""
    pause = threading.Event()
    for _ in range(LOOKS):
        if seen():
            return
        pause.wait(0.1)
    pytest.fail("it was not seen in time")


def kinds(user: User) -> list[str]:
    """Give the kinds of the newest run's events; none while there is no run."""
    ledger = user.checkout / ".git/factory/ledger.sqlite"
    if not ledger.exists():
        return []
    ran = user.fac("events", code=None)
    return [json.loads(line)["event"]["kind"] for line in ran.out.splitlines() if not ran.code]


def test_a_run_ends_with_its_document_alone_on_stdout(user: User) -> None:
    """The JSON names run, target, base, tip, seconds and every job with what it became."""
    user.configure(*CONFIGURED)
    base = user.git("rev-parse", "main")

    document = user.document("run", "--trust", schema="factory.run/1")

    assert document.keys() >= {"run", "target", "base", "tip", "seconds", "spend", "constraint"}
    (row,) = document["jobs"]
    tip = user.git("rev-parse", "main")
    assert (document["target"], document["base"], document["tip"]) == ("main", base, tip)
    assert document["seconds"] >= row["seconds"] > 0
    wanted = {"id": "one", "title": "Do one", "station": "code", "state": "landed", "attempts": 1}
    assert wanted.items() <= row.items()
    assert (row["commit"], row["tree"]) == (tip, user.git("rev-parse", "main^{tree}"))
    assert (row["reason"], row["spend"]["usd"]) == (None, "0")


def test_a_run_for_people_keeps_talk_off_stdout(user: User) -> None:
    """The report is on standard output, progress on standard error; neither moves a cursor."""
    user.configure(*CONFIGURED)

    ran = user.fac("run", "--trust", env={"FORCE_COLOR": "", "CI": "1"})

    assert b"one" in ran.out
    assert b"landed" in ran.out
    assert b"one begins attempt 1" in ran.err
    assert b"\x1b" not in ran.out + ran.err


def test_without_a_job_there_is_nothing_to_do(user: User) -> None:
    """A line without jobs ends with 0 and says how to give one."""
    user.configure(CODE, TESTS)

    ran = user.fac("run", "--trust", "--json")

    assert json.loads(ran.out) == {"schema": "factory.run/1", "run": None, "jobs": []}
    assert b"there is no job" in ran.err


def test_commands_of_the_repository_need_trust_in_exactly_them(user: User) -> None:
    """Untrusted they do not run; `factory trust` remembers them by their content."""
    user.configure(CODE, TESTS)

    refused = user.document("run", "Write", schema="factory.error/1", code=2)
    asked = user.document("trust", schema="factory.error/1", code=2)
    shown = user.fac("trust", "--yes")
    user.fac("doctor")
    trusted = user.document("plan", schema="factory.plan/1")

    assert 'station "tests".run: ["sh", "check.sh"]' in refused["error"]
    assert "factory trust" in refused["hint"]
    assert "nobody is here" in asked["error"]
    assert b'station "tests".run' in shown.err
    assert trusted["jobs"] == []
    user.configure(*CONFIGURED, station("more", kind="test", run=["sh", "-c", "exit 0"]))
    changed = user.document("run", schema="factory.error/1", code=2)
    assert 'station "more".run' in changed["error"]
    user.configure(*CONFIGURED)
    assert states(user.rows("run")) == {"one": "landed"}
    user.document("trust", "--forget", schema="factory.trust/1")
    assert user.document("run", schema="factory.error/1", code=2)["exit"] == 2


def test_a_budget_of_minutes_ends_the_run_resumably(user: User) -> None:
    """When the time is up nothing new starts, what runs is finished, and a resume goes on."""
    user.configure(
        CODE,
        TESTS,
        job("first", "sleep 3; echo 1 > a/new.txt", scope=["a/**"]),
        job("second", "cp a/new.txt b/new.txt", scope=["b/**"], needs=["first"]),
    )

    rows = user.run("--budget", "2s", code=3)

    assert states(rows)["second"] == "waiting"
    assert "2 seconds" in user.document("status", schema="factory.status/1")["closing"]
    for _ in range(9):
        ran = user.fac("resume", "--json", code=None)
        if ran.code != 3:
            break
    assert ran.code == 0
    assert [row["state"] for row in json.loads(ran.out)["jobs"]] == ["landed", "landed"]


def test_a_protected_path_waits_for_a_yes(user: User) -> None:
    """What decides how tests run lands only after a person's yes, and never after a no."""
    user.configure(
        CODE,
        TESTS,
        job("left", "echo > a/conftest.py", scope=["a/**"]),
        job("right", "echo > b/conftest.py", scope=["b/**"]),
        job("plain", "echo new > c/new.txt", scope=["c/**"]),
    )

    rows = user.run(code=4)

    assert states(rows) == {"left": "waiting", "right": "waiting", "plain": "landed"}
    assert "a/conftest.py" in rows["left"]["reason"]
    waiting = user.document("inbox", schema="factory.inbox/1")["waiting"]
    assert {row["answer"] for row in waiting} == {
        "factory tell left yes",
        "factory tell right yes",
    }
    letter = user.document("tell", "left", "yes", schema="factory.letter/1")
    assert (letter["job"], letter["kind"], letter["active"]) == ("left", "tell", False)
    user.fac("tell", "right", "no")

    document = user.document("resume", schema="factory.run/1")

    ends = {row["id"]: row["state"] for row in document["jobs"]}
    assert ends == {"left": "landed", "right": "withdrawn", "plain": "landed"}
    assert "a/conftest.py" in user.files()
    assert "b/conftest.py" not in user.files()
    kept = user.git("rev-parse", f"refs/factory/salvage/{document['run']}/right")
    assert "b/conftest.py" in user.files(kept)


def test_words_to_a_job_that_waits_reach_its_next_attempt(user: User) -> None:
    """An answer that is neither yes nor no sends the job back to its agent with these words."""
    user.configure(
        CODE,
        TESTS,
        job(
            "one",
            '[ $FACTORY_ATTEMPT = 2 ] && cp "$FACTORY_BRIEF" a/new.txt || echo > a/conftest.py',
            scope=["a/**"],
        ),
    )
    user.run(code=4)

    user.fac("tell", "one", "write a plain file")

    assert user.document("resume", schema="factory.run/1")["jobs"][0]["state"] == "landed"
    assert json.loads(user.at("main", "a/new.txt"))["told"] == ["write a plain file"]


def test_commands_from_another_terminal_act_on_a_run_at_work(user: User) -> None:
    """A second run is refused, looks follow the first, pause and tell are heard, kill ends it."""
    user.configure(CODE, TESTS, SLOW, job("later", "echo 1 > b/1", scope=["b/**"], needs=["slow"]))
    with ExitStack() as stack:
        run_it = begun(user, stack, "run", "--trust", "--json")
        soon(lambda: "started" in kinds(user))
        watched = begun(user, stack, "watch", "--json")
        followed = begun(user, stack, "logs", "slow", "-f")

        refused = user.document("run", "--trust", schema="factory.error/1", code=6)
        status = user.document("status", schema="factory.status/1")
        letter = user.document("tell", "slow", "hurry", schema="factory.letter/1")
        user.document("pause", schema="factory.letter/1")
        soon(lambda: user.document("status", schema="factory.status/1")["paused"])
        resumed = user.document("resume", schema="factory.letter/1")
        soon(lambda: not user.document("status", schema="factory.status/1")["paused"])
        user.fac("clean", "--yes", code=6)
        user.document("kill", "--all", schema="factory.letter/1")
        out, _ = run_it.communicate(timeout=60)
        seen, _ = watched.communicate(timeout=60)
        said, _ = followed.communicate(timeout=60)

    assert "another run holds this repository" in refused["error"]
    assert (status["alive"], letter["active"], resumed["active"]) == (True, True, True)
    ends = {row["id"]: row["state"] for row in json.loads(out)["jobs"]}
    assert ends == {"slow": "withdrawn", "later": "withdrawn"}
    assert json.loads(seen) == json.loads(out)
    assert said == b"begun\n"
    assert [run_it.returncode, watched.returncode, followed.returncode] == [0, 0, 0]
    kept = user.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage/**/slow")
    assert user.at(kept, "a/half.txt") == "half"


def begun(user: User, stack: ExitStack, *words: str) -> Child:
    """Begin a command in another terminal; it is ended with the stack."""
    child = start([*user.program, *words], cwd=user.checkout, env=user.env)
    stack.callback(end, child)
    return child


def test_an_interrupt_ends_with_130_and_resumes(user: User) -> None:
    """Ctrl-C lets what runs finish and keeps it; a resume does the rest."""
    user.configure(
        CODE,
        TESTS,
        job("slow", "sleep 2; echo 1 > a/1", scope=["a/**"]),
        job("later", "echo 1 > b/1", scope=["b/**"], needs=["slow"]),
    )
    with ExitStack() as stack:
        child = begun(user, stack, "run", "--trust", "--json")
        soon(lambda: "started" in kinds(user))
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)

    assert child.returncode == 130
    assert json.loads(out)["jobs"][1]["state"] == "waiting"
    rows = user.document("resume", schema="factory.run/1")["jobs"]
    assert [(row["state"], row["attempts"]) for row in rows] == [("landed", 1), ("landed", 1)]


def test_a_dead_job_can_be_put_back(user: User) -> None:
    """`retry` gives a dead job all its attempts again; one in the target stays where it is."""
    user.configure(
        CODE,
        TESTS,
        job("one", '[ "$FACTORY_ATTEMPT" = 1 ] && exit 1; echo 1 > a/1', scope=["a/**"]),
        job("done", "echo 1 > b/1", scope=["b/**"]),
    )
    assert states(user.run(code=1)) == {"one": "dead", "done": "landed"}

    user.fac("retry", "one")
    user.fac("retry", "done")
    rows = user.document("resume", schema="factory.run/1")["jobs"]

    assert [(row["state"], row["attempts"]) for row in rows] == [("landed", 2), ("landed", 1)]


def test_a_red_base_is_refused_with_its_failing_tail(user: User) -> None:
    """Tests that fail before anything started stop the run, with their words."""
    user.commit({"d/x.txt": "BUG here\n"})
    user.configure(*CONFIGURED)

    error = user.document("run", "--trust", schema="factory.error/1", code=7)

    assert "d/x.txt:1:BUG here" in error["error"]
    assert "(tests)" in error["error"]
    assert error["hint"]
    assert user.document("resume", schema="factory.run/1")["run"] is None


def lfs(user: User) -> Path:
    """Track a file by Git LFS."""
    user.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    return user.checkout


def submodule(user: User) -> Path:
    """Add a submodule."""
    user.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    user.git("commit", "-q", "-m", "lib")
    return user.checkout


def shallow(user: User) -> Path:
    """Make a clone without the history."""
    place = user.checkout.parent / "shallow"
    user.git("commit", "-q", "--allow-empty", "-m", "more")
    run(["git", "clone", "-q", "--depth=1", user.checkout.as_uri(), str(place)])
    return place


@pytest.mark.parametrize(
    ("make", "words"), [(lfs, "Git LFS"), (submodule, "submodules"), (shallow, "shallow clone")]
)
def test_what_the_line_cannot_do_right_is_refused_by_name(
    user: User, make: Callable[[User], Path], words: str
) -> None:
    """Such a repository is refused with the way out, by `run` as by `doctor`."""
    user.configure(*CONFIGURED)
    place = make(user)

    error = user.document("run", "--trust", schema="factory.error/1", code=7, cwd=place)
    found = user.document("doctor", schema="factory.doctor/1", code=7, cwd=place)

    assert words in error["error"]
    assert any(words in each["detail"] and not each["ok"] for each in found["findings"])


def test_a_sandbox_that_is_not_here_is_refused(user: User) -> None:
    """--sandbox names real ones only, and one that cannot be had stops the run."""
    user.configure(*CONFIGURED)

    user.document("run", "--trust", "--sandbox", "docker", schema="factory.error/1", code=7)
    wrong = user.document("run", "--trust", "--sandbox", "none", schema="factory.error/1", code=2)

    assert "bubblewrap" in wrong["error"]


def test_only_the_command_line_can_leave_the_sandbox_out(user: User, tmp_path: Path) -> None:
    """--no-sandbox says what it costs and is on record; no file and no variable asks for it."""
    outside = tmp_path / "outside"
    user.configure(CODE, TESTS, job("one", f"touch {outside}; date > a/1", scope=["a/**"]))

    for asked in ({"FACTORY_LINE_SANDBOX": "none"}, {"FACTORY_LINE_NO_SANDBOX": "true"}):
        user.document("run", "--trust", schema="factory.error/1", code=2, env=asked)
    user.fac("run", "--trust", env={"FACTORY_NO_SANDBOX": "1"})
    assert not outside.exists()

    ran = user.fac("run", "--trust", "--no-sandbox")

    assert outside.exists()
    assert b"no sandbox: agents and tests can read and write whatever you can" in ran.err
    opened = json.loads(user.fac("events").text.splitlines()[0])["event"]
    assert opened["promise"] == "no sandbox: nothing is contained"


def test_options_choose_seats_and_station(user: User) -> None:
    """--only takes one station's jobs, --seats bounds how many work at once."""
    user.configure(
        CODE,
        station("docs", scope=["d/**"], agent=SH),
        TESTS,
        job("one", "sleep 0.5; echo 1 > a/1", scope=["a/**"]),
        job("two", "sleep 0.5; echo 1 > b/1", scope=["b/**"]),
        job("page", "echo 1 > d/1", station="docs"),
    )

    error = user.document("run", "--only", "dogs", schema="factory.error/1", code=2)
    user.fac("run", "--seats", "0", code=2)
    rows = user.run("--only", "code", "--seats", "1")

    user.configure(CODE, station("docs", scope=["d/**"], agent=SH), job("a", station="docs"),
                   job("b", "date > b/1", scope=["b/**"], needs=["a"]))  # fmt: skip
    alone = user.document("run", "--only", "code", schema="factory.error/1", code=2)
    assert "b needs a, which is not among the jobs" in alone["error"]
    assert "no station dogs" in error["error"]
    assert "docs" in error["hint"]
    assert states(rows) == {"one": "landed", "two": "landed"}
    work = [kind for kind in kinds(user) if kind in {"started", "finished"}]
    assert work == ["started", "finished"] * 2


def test_a_text_needs_no_configuration(user: User) -> None:
    """A text is a job of a line that is made up: one station over everything, detected tests."""
    user.commit({"test_a.py": "import unittest\nclass A(unittest.TestCase):\n"
                 "    def test_a(self) -> None:\n        open('a/x.txt').close()\n"})  # fmt: skip

    refused = user.document("run", "Write a file", schema="factory.error/1", code=7)
    document = user.document(
        "run",
        "--agent",
        "command:sh -c 'echo new > b/new.txt'",
        "Write a file",
        schema="factory.run/1",
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )

    assert "worked by sdk, which needs a key" in refused["error"]
    assert '--agent "command:sh agent.sh"' in refused["hint"]
    (row,) = document["jobs"]
    assert (row["id"], row["station"], row["state"]) == ("write-a-file", "code", "landed")
    assert document["target"] == f"factory/{document['run']}/target"
    assert user.files("main") == sorted([*FILES, "test_a.py"])


def test_jobs_may_stand_in_a_file_of_their_own(user: User, tmp_path: Path) -> None:
    """@file.toml holds the same job tables; its mistakes are told by place."""
    user.configure(CODE, TESTS, job("standing", **ONE))
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(job("filed", "echo 1 > b/1", scope=["b/**"]))

    rows = user.run(f"@{jobs}")
    jobs.write_text(job("filed", "echo 1 > b/1", scop=["b/**"]))
    wrong = user.document("run", f"@{jobs}", schema="factory.error/1", code=2)
    jobs.write_text(job("filed", "echo 1 > b/1", scope=["b/**"]))
    twice = user.document("run", f"@{jobs}", f"@{jobs}", schema="factory.error/1", code=2)
    missing = user.document("run", "@nowhere.toml", schema="factory.error/1", code=2)
    issue = user.document("run", "gh:123", schema="factory.error/1", code=7)

    assert states(rows) == {"filed": "landed"}
    assert f"{jobs}:5:1: error:" in wrong["error"]
    assert 'did you mean "scope"' in wrong["error"]
    assert 'the id "filed" is taken' in twice["error"]
    assert "does not exist" in missing["error"]
    assert 'no git remote "origin"' in issue["error"]


def test_a_resume_needs_the_line_as_it_was(user: User) -> None:
    """Another configuration is refused; a pause from before holds nothing up; runs keep apart."""
    tables = (CODE, TESTS, job("one", "echo > a/conftest.py", scope=["a/**"]))
    user.configure(*tables)
    first = user.document("run", "--trust", schema="factory.run/1", code=4)["run"]
    user.configure(*tables, station("more", kind="test", run=["true"]))
    error = user.document("resume", schema="factory.error/1", code=2)
    user.configure(CODE, TESTS, SLOW)
    assert "configuration changed" in error["error"]
    with ExitStack() as stack:
        child = begun(user, stack, "run", "--trust", "--json")
        soon(lambda: user.document("status", schema="factory.status/1")["run"] != first)
        held = user.document("resume", first, schema="factory.error/1", code=6)
        letter = user.document("tell", "--run", first, "one", "yes", schema="factory.letter/1")
        user.document("kill", "slow", schema="factory.letter/1")
        child.communicate(timeout=60)
    assert "another run" in held["error"]
    assert letter["active"] is False

    user.fac("pause", "--run", first)
    assert states(user.rows("resume", first)) == {"one": "landed"}


def test_a_station_without_its_program_is_refused_before_anything_starts(user: User) -> None:
    """Every station that the jobs can reach is looked at, also through hand-offs and repairs."""
    far = {"runtime": "command", "run": ["nonesuch"]}
    user.configure(
        station("code", scope=["a/**"], agent=SH, on={"failed": "senior"}),
        station("senior", scope=["a/**"], agent=SH, on={"failed": "boss"}),
        station("boss", scope=["a/**"], agent=far),
        station("aside", scope=["b/**"], agent={**far, "run": ["nowhere"]}),
        TESTS,
        job("one", **ONE),
    )

    error = user.document("run", "--trust", schema="factory.error/1", code=7)

    assert "station boss: nonesuch: not found" in error["error"]
    assert user.document("resume", schema="factory.run/1")["run"] is None
