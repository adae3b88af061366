"""Every command from outside: its document, its words for people, and what wrong input gets."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.run import run
from tests.system.user import CODE, ONE, SH, TESTS, User, job, states, station

ENDS = {"lands": "landed", "breaks": "dead", "asks": "waiting", "idle": "withdrawn"}


def test_status_begins_with_the_constraint_and_shows_failures(week: User) -> None:
    """The first line is the one sentence; the first failing lines stand beside their job."""
    document = week.document("status", schema="factory.status/1")
    text = week.fac("status").text

    assert text.splitlines()[0] == document["sentence"]
    assert states({row["id"]: row for row in document["jobs"]}) == ENDS
    assert (document["alive"], document["paused"], document["closing"]) == (False, False, None)
    assert document["counts"].items() >= {"landed": 1, "dead": 1, "needs-you": 1}.items()
    (dead,) = (row for row in document["jobs"] if row["id"] == "breaks")
    assert dead["failure"] == ["FAILED: a bug"]
    assert "FAILED: a bug" in text


def test_all_runs_are_listed(week: User) -> None:
    """`status --all` has one line for each run, `status RUN` names one."""
    (row,) = week.document("status", "--all", schema="factory.runs/1")["runs"]

    named = week.document("status", row["run"], schema="factory.status/1")

    assert (named["run"], named["counts"]) == (row["run"], row["counts"])
    assert row["run"] in week.fac("status", "--all").text


def test_watch_of_a_run_that_is_over_ends_like_it(week: User) -> None:
    """`watch` gives the run's document and its exit code."""
    watched = week.document("watch", schema="factory.run/1", code=1)

    assert states({row["id"]: row for row in watched["jobs"]}) == ENDS
    ran = week.fac("watch", code=1, env={"TERM": "dumb"})
    assert b"\x1b" not in ran.out + ran.err


def test_logs_give_an_attempts_output_and_the_tests_words_masked(week: User) -> None:
    """What an agent printed is shown by station, secrets are three stars."""
    lands = week.document("logs", "lands", schema="factory.logs/1")
    breaks = week.document("logs", "breaks", "--attempt", "1", schema="factory.logs/1")
    text = week.fac("logs", "breaks").text
    followed = week.fac("logs", "lands", "-f").text

    assert (lands["output"], lands["attempt"], lands["trials"]) == ("lands works", 1, [])
    assert breaks["output"] == "token=***"
    assert {trial["owner"] for trial in breaks["trials"]} == {"tests"}
    assert "code | token=***" in text
    assert "tests | b/new.txt:1:BUG" in text
    assert followed == "lands works"


def test_why_tells_a_jobs_story_from_ledger_and_git(week: User) -> None:
    """Every attempt, verdict and decision in order, and whether git's history has the job."""
    lands = week.document("why", "lands", schema="factory.why/1")
    breaks = week.document("why", "breaks", schema="factory.why/1")

    assert (lands["state"], lands["in_target"]) == ("landed", True)
    assert (breaks["state"], breaks["in_target"]) == ("dead", False)
    assert [moment["what"] for moment in lands["moments"]][-1] == "landed"
    assert "FAILED: a bug" in week.fac("why", "breaks").text


def test_diff_is_a_patch_that_applies(week: User, tmp_path: Path) -> None:
    """The diff of a job is its own change, that of a run what the target gained."""
    patch = week.fac("diff", "breaks").out
    whole = week.document("diff", schema="factory.diff/1")

    (tmp_path / "patch").write_bytes(patch)
    week.git("apply", "--check", str(tmp_path / "patch"))
    assert [row["path"] for row in whole["files"]] == ["a/new.txt"]
    assert (whole["job"], "+new" in whole["patch"]) == (None, True)
    asks = week.document("diff", "asks", schema="factory.diff/1")
    assert [row["path"] for row in asks["files"]] == ["c/conftest.py"]


def test_events_are_the_ledger_as_lines(week: User) -> None:
    """Each line is one record; all runs together hold at least one run's; nothing secret is in."""
    rows = [json.loads(line) for line in week.fac("events").text.splitlines()]
    every = week.document("events", "--all", schema="factory.events/1")["events"]
    followed = week.fac("events", "-f").text.splitlines()

    assert [row["event"]["kind"] for row in (rows[0], rows[1], rows[-1])] == [
        "opened",
        "placed",
        "closed",
    ]
    assert rows[-1]["event"]["exit"] == 1
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    assert every == rows
    assert len(followed) == len(rows)
    assert "abcdefgh12345678" not in json.dumps(every)


def test_the_inbox_names_the_line_that_answers(week: User) -> None:
    """What waits for a person has the question and the command that answers it."""
    (row,) = week.document("inbox", schema="factory.inbox/1")["waiting"]

    assert (row["job"], row["answer"]) == ("asks", "factory tell asks yes")
    assert "c/conftest.py" in row["question"]
    assert "factory tell asks" in week.fac("inbox").text


def test_the_report_says_what_happened(week: User) -> None:
    """The report as document, as text and as Markdown names every job and its end."""
    document = week.document("report", schema="factory.report/1")
    markdown = week.fac("report", "--markdown").text

    assert document["exit"] == 1
    assert states({row["id"]: row for row in document["jobs"]}) == ENDS
    assert document["failures"]["breaks"] == ["FAILED: a bug"]
    for name in ENDS:
        assert name in markdown
        assert name in week.fac("report").text


WRONG = {
    "an unknown command": (("stauts",), "No such command"),
    "an unknown option": (("run", "--onot", "x"), "--onto"),
    "a job that is near": (("why", "braeks"), "did you mean 'breaks'?"),
    "a job of no run": (("logs", "nothing-like-it"), "there is no job 'nothing-like-it'"),
    "a job to tell": (("tell", "lnads", "yes"), "did you mean 'lands'?"),
    "a job to kill": (("kill", "nobody"), "there is no job 'nobody'"),
    "a job to retry": (("retry", "nobody"), "there is no job 'nobody'"),
    "no job to kill": (("kill",), "which job?"),
    "an unknown run": (("status", "261121-000000-0000"), "there is no run"),
    "an unknown run to resume": (("resume", "nope"), "there is no run 'nope'"),
    "an unknown run to take": (("take", "nope"), "there is no run 'nope'"),
    "an attempt that never was": (("logs", "lands", "--attempt", "9"), "no attempt 9"),
    "a branch that is none": (("run", "--trust", "--onto", "a..b"), "is not a branch name"),
    "a kind of sandbox": (("run", "--trust", "--sandbox", "jail"), "bubblewrap"),
    "a way to deliver": (("plan", "--deliver", "mail"), "deliver"),
    "a budget": (("run", "--trust", "--budget", "much"), "is not a budget"),
    "seats": (("run", "--seats", "many"), "--seats"),
    "a station": (("plan", "--only", "cod"), "there is no station cod"),
    "a jobs file": (("plan", "@none.toml"), "does not exist"),
    "a job without words": (("plan", "  "), "says nothing"),
    "a word too much": (("config", "burn"), "check"),
    "a shell": (("completion", "cmd"), "bash"),
    "a directory": (("-C", "nowhere", "status"), "nowhere is not a directory"),
    "an agent beside stations": (("plan", "--agent", "sdk"), "name their own agents"),
    "following one document": (("logs", "lands", "-f", "--json"), "cannot follow"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_ends_with_2_and_clear_words(week: User, case: str) -> None:
    """What is wrong is named, with what was meant where that can be told; data stays out of it."""
    words, said = WRONG[case]

    ran = week.fac(*words, code=2)

    assert said in ran.err.decode() + ran.out.decode() * ("--json" in words)
    assert "--json" in words or ran.out == b""


def test_without_a_run_the_commands_say_so(user: User) -> None:
    """Where nothing ever ran each command says how to begin; resume and clean do nothing."""
    for words in (("status",), ("inbox",), ("diff",), ("take",), ("pause",), ("why", "x")):
        error = user.document(*words, schema="factory.error/1", code=2)
        assert "no run yet" in error["error"]
        assert "factory run" in error["hint"]
    assert user.document("resume", schema="factory.run/1")["jobs"] == []
    assert user.document("clean", schema="factory.clean/1")["refs"] == {}


def test_outside_a_repository_the_place_is_named(user: User, tmp_path: Path) -> None:
    """A command in a directory that is no repository ends with 2."""
    for words in (("status",), ("run", "x"), ("init",), ("doctor",)):
        error = user.document(*words, schema="factory.error/1", code=2, cwd=tmp_path)
        assert str(tmp_path) in error["error"]


def test_version_help_and_completion(user: User) -> None:
    """They need no repository; help leads with examples and names the exit codes."""
    top = user.fac("--help").text

    assert user.fac("--version").text.startswith("factory ")
    assert top.index("Examples:") < top.index("Commands")
    assert "Exit codes: 0 all landed" in top
    assert user.fac("run", "--help").text.index("Examples:") < 200
    assert "_FACTORY_COMPLETE" in user.fac("completion", "bash").text
    for shell in ("bash", "zsh", "fish"):
        script = user.document("completion", shell, schema="factory.completion/1")["script"]
        assert "factory" in script


def test_init_writes_a_small_file_that_loads_and_never_overwrites(user: User) -> None:
    """--dry-run only prints it, --force replaces what is there."""
    user.commit({"pytest.ini": "[pytest]\n", "tests/test_a.py": "def test_a(): pass\n"})
    path = user.checkout / "factory.toml"

    printed = user.fac("init", "--dry-run").out.decode()
    assert not path.exists()
    document = user.document("init", schema="factory.init/1")
    user.document("config", "check", schema="factory.check/1")
    error = user.document("init", schema="factory.error/1", code=2)
    path.write_text("mine\n")
    user.fac("init", "--force")

    assert (document["text"], document["written"]) == (printed, True)
    assert path.read_text() == printed
    assert len(printed.splitlines()) <= 30
    tests = [each for each in tomllib.loads(printed)["station"] if each.get("kind") == "test"]
    assert tests[0]["run"][-2:] == ["pytest", "-q"]
    assert "--force" in error["hint"]


def test_doctor_tries_everything_and_names_the_fix(user: User) -> None:
    """The sandbox is proved by breaking out of it; a program that is missing stops the line."""
    user.configure(CODE, TESTS)

    well = user.document("doctor", schema="factory.doctor/1")
    user.configure(station("code", agent={"runtime": "command", "run": ["nope"]}), TESTS)
    ill = user.document("doctor", schema="factory.doctor/1", code=7)

    found = {each["name"]: each for each in well["findings"]}
    assert well["ok"]
    assert {"git", "repository", "target", "sandbox", "disk", "trust"} <= found.keys()
    assert "ways out were tried and all failed" in found["sandbox"]["detail"]
    assert "factory trust" in found["trust"]["detail"]
    (bad,) = (each for each in ill["findings"] if each["stops"] and not each["ok"])
    assert (bad["name"], "nope" in bad["detail"]) == ("station code", True)


def test_plan_spends_nothing_and_warns(user: User) -> None:
    """Order, overlaps and warnings are said before anything starts; nothing is left behind."""
    user.configure(
        CODE,
        station("more", agent=SH),
        job("wide", "short", station="more"),
        job("late", "echo 1 > b/1", scope=["b/**"], needs=["wide"]),
        job("nowhere", "echo 1 > a/no/1", scope=["a/no/**"]),
    )
    refs = user.git("for-each-ref")

    document = user.document("plan", schema="factory.plan/1")
    text = user.fac("plan").text

    rounds = {each["id"]: each["round"] for each in document["jobs"]}
    assert rounds == {"wide": 1, "late": 2, "nowhere": 2}
    assert "nowhere" in document["jobs"][0]["overlaps"]
    told = " ".join(document["warnings"])
    for words in ("untested", "brief is very short: wide", "matches no file", "no acceptance"):
        assert words in told
    assert document["constraint"].startswith("order:")
    assert "wide" in text
    assert user.git("for-each-ref") == refs
    assert not (user.checkout / ".git/factory/ledger.sqlite").exists()


def test_clean_shows_first_and_never_drops_work_without_force(user: User) -> None:
    """What is merged goes on --yes; unmerged work stays until --force."""
    user.configure(CODE, TESTS, job("one", **ONE), job("bad", "echo BUG > b/1", scope=["b/**"]),
                   line={})  # fmt: skip
    run_id = user.document("run", "--trust", schema="factory.run/1", code=1)["run"]
    target, salvage = f"refs/heads/factory/{run_id}/target", f"refs/factory/salvage/{run_id}/bad"

    shown = user.document("clean", schema="factory.clean/1")
    done = user.document("clean", "--yes", schema="factory.clean/1")

    assert (shown["removed"], done["removed"]) == (False, True)
    assert {target, salvage} <= shown["kept"].keys()
    assert user.git("rev-parse", target, salvage)
    user.fac("take")
    user.fac("clean", "--yes")
    refs = user.git("for-each-ref", "--format=%(refname)").splitlines()
    assert (target in refs, salvage in refs) == (False, True)
    user.fac("clean", "--yes", "--force")
    assert "factory" not in user.git("for-each-ref", "--format=%(refname)")
    assert run(["git", "fsck", "--strict", "--no-dangling"], cwd=user.checkout).out == b""


def test_config_describes_itself(user: User) -> None:
    """`config schema` is a JSON Schema, `check` says that all is well."""
    user.configure(CODE, TESTS)

    schema = json.loads(user.fac("config", "schema").out)

    assert schema["$id"] == "urn:factory:config:1"
    assert {"line", "station", "job"} <= schema["properties"].keys()
    assert json.loads(user.fac("config", "schema", "--json").out) == schema
    assert user.document("config", "check", schema="factory.check/1")["ok"]
    assert b"sound" in user.fac("config", "check").err


def test_the_demo_shows_a_real_line_at_work(user: User, tmp_path: Path) -> None:
    """Without key or network: honest jobs land, one is repaired, a stray one ends dead, by name."""
    document = user.document(
        *("demo", "--keep"), schema="factory.run/1", env={"TMPDIR": str(tmp_path)}, cwd=tmp_path
    )

    (shop,) = tmp_path.glob("factory-demo-*/shop")
    ends = [row["state"] for row in document["jobs"]]
    assert (ends.count("landed") >= 4, ends.count("dead")) == (True, 1)
    assert any(row["attempts"] > 1 for row in document["jobs"] if row["state"] == "landed")
    told = run(["git", "log", "--format=%(trailers:key=Factory-Job,valueonly)",
                f"main..{document['target']}"], cwd=shop).text.split()  # fmt: skip
    assert set(told) == {row["id"] for row in document["jobs"] if row["state"] == "landed"}
    status = user.document("status", schema="factory.status/1", cwd=shop)
    assert (status["run"], status["counts"]["landed"]) == (document["run"], ends.count("landed"))


def test_a_killed_job_takes_those_that_need_it_along(user: User) -> None:
    """Before the run goes on a job can be killed; what needs it cannot land and says why."""
    user.configure(
        CODE,
        TESTS,
        job("asks", "echo > c/conftest.py", scope=["c/**"]),
        job("after", "echo 1 > b/1", scope=["b/**"], needs=["asks"]),
        job("beside", **ONE),
    )
    assert states(user.run(code=4)) == {"asks": "waiting", "after": "waiting", "beside": "landed"}

    user.document("kill", "asks", schema="factory.letter/1")
    rows = user.rows("resume", code=1)

    assert states(rows) == {"asks": "withdrawn", "after": "dead", "beside": "landed"}
    assert rows["after"]["reason"] == "it needs asks, which did not land"
    assert user.rows("resume", code=1) == rows
