"""The commands that look: real repositories, planted ledgers, and the one error edge."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pytest

from factory.__main__ import COMMANDS
from factory.cli.app import app, command, run
from factory.events import Closed, Noted, Steered
from factory.ledger import Ledger
from stations.contract import Escalated, Failed
from tests.conftest import Commit
from tests.factory.planted import Tale, book_of, job, plant
from tests.run import ROOT, end, start
from worktrees.git import Repository
from worktrees.lock import owner_lock
from worktrees.names import JobId, Oid, RunId, salvage_ref

TOKEN = "ghp_" + "a1B2" * 9
Say = pytest.CaptureFixture[str]


@pytest.fixture
def shop(repository: Repository, base: Oid, commit: Commit) -> Tale:
    """Give a run with a landed, a dead and an asking job, in the ledger, in git, with logs."""
    git = repository.git
    users = commit(base, {"src/api/users.py": "def name() -> str:\n    return 'user'\n"})
    items = commit(base, {"src/api/items.py": "\x1b[2Jnot python\n"})
    tree = git.tree_of(users)
    message = f"Land a\n\nFactory-Run: r1\nFactory-Job: a\nFactory-Tested-Tree: {tree}\n"
    landing = Oid(git("commit-tree", tree, "-p", base, "-p", users, stdin=message.encode()).text)
    tale = Tale(job("a"), job("b"), job("ci"), base=base, seats=3)
    tale.done("a", after=2, commit=users).compose().test().compose(known=True)
    tale.land(commit=landing)
    tale.done("b", commit=items).compose().test(red="E   assert 1 == 2\n")
    tale.compose().test(red=f"E   assert 1 == 2\n{TOKEN}\n")
    tale.finish("ci", Escalated(reason="a protected path", commit=users))
    git("update-ref", "refs/heads/main", landing, base)
    git("update-ref", salvage_ref(tale.run, tale.line.jobs["b"].job.id), items)  # type: ignore[index]
    plant(repository, "r1", tale.book)
    write_log(repository, "b", 1, f"working\x1b[31m\nkey {TOKEN}\nlast line without an end")
    return tale


def write_log(repository: Repository, name: str, attempt: int, text: str) -> Path:
    """Write what an attempt of the run `r1` said."""
    log = repository.factory / "runs" / "r1" / name / str(attempt) / "output.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    return log


def told(repository: Repository, *argv: str) -> int:
    """Run a command in the repository, in this process."""
    assert repository.checkout is not None
    return run(["-C", str(repository.checkout), *argv])


def document(repository: Repository, say: Say, *argv: str) -> dict[str, object]:
    """Give the one JSON document that a command prints, and nothing else."""
    assert told(repository, *argv, "--json") == 0
    out, err = say.readouterr()
    assert err == ""
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


class Child(Protocol):
    """What the tests need of a program that runs."""

    stdout: BinaryIO
    stderr: BinaryIO
    returncode: int

    def wait(self, timeout: float) -> int: ...

    def communicate(self, *, timeout: float) -> tuple[bytes, bytes]: ...


@contextmanager
def program(repository: Repository, *argv: str) -> Iterator[Child]:
    """Start the real program in the repository; it is ended with the block."""
    where = str(repository.checkout)
    child = start(
        [sys.executable, "-m", "factory", "-C", where, *argv],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    try:
        yield cast(Child, child)
    finally:
        end(child)


@pytest.mark.parametrize(
    ("argv", "schema"),
    [
        (["status"], "factory.status/1"),
        (["status", "r1"], "factory.status/1"),
        (["status", "--all"], "factory.runs/1"),
        (["why", "a"], "factory.why/1"),
        (["inbox"], "factory.inbox/1"),
        (["report"], "factory.report/1"),
        (["logs", "b"], "factory.logs/1"),
        (["diff"], "factory.diff/1"),
        (["diff", "a"], "factory.diff/1"),
        (["events"], "factory.events/1"),
        (["events", "--all"], "factory.events/1"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_every_command_prints_one_document(
    repository: Repository, capsys: Say, argv: list[str], schema: str
) -> None:
    """With `--json` standard output holds one document with its schema, and nothing is said."""
    assert document(repository, capsys, *argv)["schema"] == schema


@pytest.mark.usefixtures("shop")
def test_watching_an_ended_run_gives_its_document_and_exit_code(
    repository: Repository, capsys: Say
) -> None:
    """`watch --json` of a run that nobody works on ends at once, with the run's own exit code."""
    assert told(repository, "watch", "--json") == 1

    assert json.loads(capsys.readouterr().out)["schema"] == "factory.run/1"


@pytest.mark.usefixtures("shop")
def test_status_shows_the_failure_without_opening_logs(repository: Repository, capsys: Say) -> None:
    """The default screen begins with the constraint and holds the first failing lines."""
    assert told(repository, "status") == 0

    out, err = capsys.readouterr()
    assert out.startswith("too early to say what limits the line: 1 job landed")
    assert "gave up: its tests are red" in out
    assert "  E assert 1 == 2" in out
    assert TOKEN not in out
    assert err == ""


def test_the_newest_run_is_the_default(repository: Repository, capsys: Say) -> None:
    """Without a name a command is about the run that began last; a name picks another one."""
    for name, seed in (("one", 3), ("two", 2)):
        plant(repository, name, book_of(seed, name))

    assert document(repository, capsys, "status")["run"] == "two"
    assert document(repository, capsys, "status", "one")["run"] == "one"
    runs = document(repository, capsys, "status", "--all")["runs"]
    assert isinstance(runs, list)
    assert [row["run"] for row in runs] == ["two", "one"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["status", "r2"], "there is no run 'r2'\n  did you mean 'r1'?"),
        (["why", "cj"], "there is no job 'cj' in any run of this repository\n  did you mean 'ci'?"),
        (["logs", "zzz"], "there is no job 'zzz' in any run of this repository\n  factory status"),
        (["diff", "zzz", "--run", "r1"], "there is no job 'zzz' in run r1\n  factory status"),
        (["logs", "a", "--attempt", "7"], "a has no attempt 7\n  factory why a"),
        (["stauts"], "Did you mean 'status'?"),
        (["status", "--bogus"], "No such option: --bogus"),
        (["events", "-f", "--json"], "-f follows one run"),
        (["logs", "a", "-f", "--json"], "--json gives one document"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_what_is_not_known_is_refused_with_a_guess(
    repository: Repository, capsys: Say, argv: list[str], said: str
) -> None:
    """A wrong run, job or option exits 2 and says what was meant; nothing is on standard output."""
    assert told(repository, *argv) == 2

    out, err = capsys.readouterr()
    if "--json" in argv:
        assert json.loads(out)["exit"] == 2
        out, err = "", json.loads(out)["error"]
    assert said in err
    assert out == ""


def test_an_error_with_json_is_a_document(repository: Repository, capsys: Say) -> None:
    """A script that asked for JSON gets the error, the hint and the exit code as JSON."""
    assert told(repository, "status", "--json") == 2

    assert json.loads(capsys.readouterr().out) == {
        "schema": "factory.error/1",
        "error": f"no run yet in {repository.checkout}",
        "hint": 'start one: factory run "..."',
        "exit": 2,
    }


def test_outside_a_repository_it_says_so(tmp_path: Path, capsys: Say) -> None:
    """In a directory without git the message names the directory."""
    assert run(["-C", str(tmp_path), "status"]) == 2

    assert f"factory: {tmp_path} is not in a git repository" in capsys.readouterr().err
    assert run(["-C", str(tmp_path / "no"), "status"]) == 2
    assert "is not a directory" in capsys.readouterr().err


def test_a_broken_ledger_is_no_crash(repository: Repository, capsys: Say) -> None:
    """A ledger that is no database is the environment's fault, by name, with exit code 7."""
    (repository.factory / "ledger.sqlite").write_bytes(b"not a database, but long enough\n" * 9)

    assert told(repository, "status") == 7

    assert "ledger.sqlite" in capsys.readouterr().err


def test_why_answers_from_git_and_ledger(repository: Repository, shop: Tale, capsys: Say) -> None:
    """What landed is asked of the target's history; the story comes from the ledger."""
    landed, dead = (document(repository, capsys, "why", name) for name in ("a", "b"))

    assert (landed["in_target"], dead["in_target"]) == (True, False)
    assert landed["place"] == "landed"
    moments = dead["moments"]
    assert isinstance(moments, list)
    assert [each["what"] for each in moments][-2:] == ["tested", "decided"]
    assert shop.line.gate.target == repository.git.resolve("refs/heads/main")


@pytest.mark.usefixtures("shop")
def test_logs_are_prefixed_masked_and_harmless(repository: Repository, capsys: Say) -> None:
    """An attempt's output has its station in front, no secret and no escape; then the red tails."""
    assert told(repository, "logs", "b") == 0

    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "api | working\\x1b[31m",
        "api | key ***",
        "api | last line without an end",
        "tests | E   assert 1 == 2",
        "tests | E   assert 1 == 2",
        "tests | ***",
    ]
    assert err.splitlines() == [
        "test run 3 refused it (tests):",
        "test run 4 refused it (tests):",
    ]


@pytest.mark.usefixtures("shop")
def test_logs_of_a_silent_attempt_say_so(repository: Repository, capsys: Say) -> None:
    """An attempt without a log is no error: it has not said anything yet."""
    assert told(repository, "logs", "ci") == 0

    assert capsys.readouterr() == ("", "ci, attempt 1: no output yet\n")


@pytest.mark.usefixtures("shop")
def test_diff_of_a_landed_job_is_its_own_change(
    repository: Repository, capsysbinary: object
) -> None:
    """The patch of a job can be applied; in a pipe it is git's bytes, unchanged."""
    assert told(repository, "diff", "a") == 0

    out = capsysbinary.readouterr().out
    assert b"-    return 'u'\n+    return 'user'\n" in out
    assert out.startswith(b"diff --git a/src/api/users.py b/src/api/users.py\n")


@pytest.mark.usefixtures("shop")
def test_diff_finds_what_was_set_aside_and_what_the_run_did(
    repository: Repository, capsys: Say
) -> None:
    """A dead job's saved work, an asking job's commit and a whole run each have their diff."""
    dead, asked, whole = (
        document(repository, capsys, "diff", *what) for what in (("b",), ("ci",), ())
    )

    assert dead["files"] == [{"path": "src/api/items.py", "added": 1, "removed": 2}]
    assert asked["files"] == [{"path": "src/api/users.py", "added": 1, "removed": 1}]
    assert whole["files"] == asked["files"]
    assert (whole["job"], asked["job"]) == (None, "ci")


def test_diff_of_a_job_that_made_nothing_says_so(
    repository: Repository, base: Oid, capsys: Say
) -> None:
    """A job without saved work has no diff, and the message says where its story is."""
    tale = Tale(job("a"), base=base).finish("a", Failed(fault="broke"))
    plant(repository, "r1", tale.book)

    assert told(repository, "diff", "a") == 2

    assert "a has made nothing that was saved\n  factory why a" in capsys.readouterr().err


def test_events_are_json_lines_with_secrets_masked(
    repository: Repository, base: Oid, capsys: Say
) -> None:
    """Each line is {seq, run, at, event}; a token in a note does not leave the ledger."""
    tale = Tale(job("a"), base=base).tell(Noted(what="note", text=f"found {TOKEN}"))
    plant(repository, "r1", tale.book)

    assert told(repository, "events") == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(line) for line in lines] == [["seq", "run", "at", "event"]] * 4
    assert [line["event"]["kind"] for line in lines] == ["opened", "placed", "started", "noted"]
    assert lines[-1]["event"]["text"] == "found ***"


@pytest.mark.usefixtures("shop")
def test_the_inbox_names_the_answer(repository: Repository, capsys: Say) -> None:
    """The inbox shows the question and the exact command."""
    assert told(repository, "inbox") == 0

    out = capsys.readouterr().out
    assert "ci has waited " in out
    assert "  answer: factory tell ci yes\n" in out


@pytest.mark.usefixtures("shop")
def test_the_report_is_text_or_markdown(repository: Repository, capsys: Say) -> None:
    """`report` is a screen, `report --markdown` a step summary."""
    assert told(repository, "report") == 0
    assert "JOB  STATE" in capsys.readouterr().out
    assert told(repository, "report", "--markdown") == 0
    assert capsys.readouterr().out.startswith("### run r1 onto main: ")


def test_logs_follow_until_the_run_ends(repository: Repository, base: Oid) -> None:
    """`logs -f` prints what is written while the run goes, and ends with the run."""
    tale = Tale(job("a"), base=base)
    plant(repository, "r1", tale.book)
    log = write_log(repository, "a", 1, "first\n")

    with (
        owner_lock(repository.factory) as owner,
        program(repository, "logs", "a", "-f") as child,
    ):
        assert child.stdout.readline() == b"first\n"
        with log.open("a") as file:
            file.write("second\nthi")
        assert child.stdout.readline() == b"second\n"
        with log.open("a") as file:
            file.write("rd")
        owner.release()
        assert child.stdout.read() == b"third\n"
        owner.acquire(5)


def test_events_follow_until_the_run_ends(repository: Repository, base: Oid) -> None:
    """`events -f` prints records as they come, and ends when the run is closed."""
    tale = Tale(job("a"), base=base)
    plant(repository, "r1", tale.book)

    with owner_lock(repository.factory), program(repository, "events", "-f") as child:
        for kind in ("opened", "placed", "started"):
            line = json.loads(child.stdout.readline())
            assert line["event"]["kind"] == kind
        with Ledger(repository.factory / "ledger.sqlite") as ledger:
            ledger.append(RunId("r1"), [Closed(exit=0)], tale.at)
        rest = child.stdout.read().splitlines()

    assert [json.loads(line)["event"]["kind"] for line in rest] == ["closed"]


def test_watch_follows_another_process(repository: Repository, base: Oid) -> None:
    """`watch` in a pipe prints lines while another process runs, then the report."""
    tale = Tale(job("a"), base=base)
    plant(repository, "r1", tale.book)

    with owner_lock(repository.factory), program(repository, "watch") as child:
        first = child.stderr.readline()
        sent = len(tale.book)
        tale.finish("a", Failed(fault="it broke")).tell(Closed(exit=1))
        with Ledger(repository.factory / "ledger.sqlite") as ledger:
            for event, at in tale.book[sent:]:
                ledger.append(RunId("r1"), [event], at)
        out, err = child.communicate(timeout=30)

    assert first == b"run r1 onto main: 1 at work\n"
    assert b"a gave up: it broke" in err
    assert out.startswith(b"run r1 onto main: 1 dead")
    assert child.returncode == 1


@pytest.mark.usefixtures("shop")
def test_a_status_knows_whether_somebody_works(repository: Repository, capsys: Say) -> None:
    """A run counts as alive only while a process holds the repository for it."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with owner_lock(repository.factory):
            taken.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    taken.wait(30)
    try:
        held = document(repository, capsys, "status")["alive"]
    finally:
        done.set()
        other.join()

    assert held is True
    assert document(repository, capsys, "status")["alive"] is False


def test_a_reader_that_went_away_is_no_error(repository: Repository, base: Oid) -> None:
    """`factory events | head` ends quietly when nobody reads any more."""
    plant(repository, "r1", [*Tale(job("a"), base=base).book] * 1)
    note = Noted(what="note", text="x" * 4000)
    with Ledger(repository.factory / "ledger.sqlite") as ledger:
        ledger.append(RunId("r1"), [note] * 100, 2000.0)

    with program(repository, "events") as child:
        child.stdout.close()
        assert child.wait(30) == 0
        assert child.stderr.read() == b""


@contextmanager
def failing(error: BaseException) -> Iterator[None]:
    """Give the app one more command, `boom`, that raises this."""

    def boom() -> None:
        raise error

    command("boom", short="Fail.", examples=("factory boom",))(boom)
    try:
        yield
    finally:
        app.registered_commands.pop()


def test_a_bug_leaves_a_file_that_can_be_pasted(repository: Repository, capsys: Say) -> None:
    """An unexpected error exits 1 and names a crash file, which holds the trace but no secret."""
    with failing(RuntimeError(f"no such thing {TOKEN}")):
        assert told(repository, "boom") == 1

    err = capsys.readouterr().err
    (crash,) = (repository.factory / "crashes").iterdir()
    assert str(crash) in err
    assert "this is a bug: RuntimeError: no such thing ***" in err
    assert "RuntimeError: no such thing ***" in crash.read_text()
    assert TOKEN not in crash.read_text() + err


def test_an_interruption_is_130(repository: Repository, capsys: Say) -> None:
    """Ctrl-C ends any command with 130 and without a trace."""
    with failing(KeyboardInterrupt()):
        assert told(repository, "boom") == 130

    assert "Traceback" not in capsys.readouterr().err


def test_every_command_leads_with_examples_and_has_json() -> None:
    """The help of each command begins with examples, and each takes `--json`."""
    names = [info.name for info in app.registered_commands]

    assert len(COMMANDS) > 1
    assert {"status", "watch", "logs", "why", "diff", "events", "inbox", "report"} <= set(names)
    for info in app.registered_commands:
        assert info.help is not None
        assert info.help.startswith("\b\nExamples:\n  "), info.name
        assert info.callback is not None
        assert "json" in info.callback.__annotations__, info.name


def test_help_is_quick_because_it_loads_no_door(repository: Repository) -> None:
    """A fresh `factory --help` has loaded none of the heavy packages."""
    heavy = {"anthropic", "github", "docker", "git", "rich", "pydantic"}
    code = (
        "import sys, factory.cli.app as app, factory.__main__;"
        "app.run(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    child = start([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    try:
        out, err = child.communicate(timeout=30)
    finally:
        end(child)

    assert repository.checkout is not None
    assert b"factory status" in out
    assert heavy & set(err.decode().split()) == set()


def test_the_inbox_says_when_a_person_is_what_limits_the_line(
    repository: Repository, base: Oid, capsys: Say
) -> None:
    """Where answers take longest the inbox begins with that sentence; else it has none."""
    names = [JobId(f"j{n:02}") for n in range(20)]
    needs = [(), *((name,) for name in names)]
    jobs = (job(name, needs=need) for name, need in zip(names, needs, strict=False))
    tale = Tale(*jobs, base=base, seats=1)
    for name in names:
        tale.finish(name, Escalated(reason="may I?"))
        tale.tell(Steered(job=name, text="go on"), after=500)
        tale.done(name).compose().test().compose(known=True).land()
    plant(repository, "r1", tale.book)

    assert str(document(repository, capsys, "inbox")["sentence"]).startswith("you limit the line")
    assert told(repository, "inbox") == 0
    assert capsys.readouterr().out.startswith("you limit the line (factory inbox)")
