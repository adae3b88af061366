"""What the line does with each kind of station and outcome, seen from outside."""

import json

from tests.system.user import CODE, FILES, ONE, SH, TESTS, User, job, states, station


def events_of(user: User, kind: str) -> list[dict]:
    """Give the events of one kind in the newest run."""
    found = (json.loads(line)["event"] for line in user.fac("events").text.splitlines())
    return [event for event in found if event["kind"] == kind]


def test_needs_are_done_first_and_answers_reach_who_needs_them(user: User) -> None:
    """A job starts on what its needs landed, and finds their answers in its brief."""
    user.configure(
        CODE,
        TESTS,
        station(
            "ask", kind="read", run=["sh", "-c", "echo the answer is 42; echo x > a/x || true"]
        ),
        job("question", station="ask"),
        job("late", "cp a/early.txt b/late.txt", scope=["b/**"], needs=["early"]),
        job(
            "early",
            "python3 -c \"import json, os; brief = json.load(open(os.environ['FACTORY_BRIEF']));"
            " print(brief['found']['question'], brief['schema'])\" > a/early.txt",
            scope=["a/**"],
            needs=["question"],
        ),
    )

    rows = user.run()

    assert states(rows) == {"question": "withdrawn", "late": "landed", "early": "landed"}
    assert user.at("main", "b/late.txt") == "the answer is 42 factory.brief/1"
    assert user.git("merge-base", "--is-ancestor", rows["early"]["commit"], "main") == ""
    assert "a/x" not in user.files()


def test_overlapping_jobs_run_one_after_the_other(user: User) -> None:
    """The second job of an overlap starts on what the first one landed; the plan says so."""
    user.configure(
        CODE,
        TESTS,
        job("first", "echo 1 > a/first.txt", scope=["a/**"]),
        job("second", "cp a/first.txt a/second.txt", scope=["a/*.txt"]),
    )

    plan = user.document("plan", schema="factory.plan/1")
    rows = user.run()

    assert [(each["id"], each["round"], each["overlaps"]) for each in plan["jobs"]] == [
        ("first", 1, ["second"]),
        ("second", 2, ["first"]),
    ]
    assert plan["jobs"][1]["waits_for"] == ["first"]
    assert states(rows) == {"first": "landed", "second": "landed"}
    assert rows["second"]["attempts"] == 1


def test_when_decides_which_changes_a_test_sees(user: User) -> None:
    """A test station with `when` judges the changes that touch these paths, and no others."""
    user.configure(
        CODE,
        TESTS,
        station("picky", kind="test", run=["sh", "-c", "! ls a/new.txt b/new.txt"], when=["a/**"]),
        job("seen", **ONE),
        job("unseen", "echo new > b/new.txt", scope=["b/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"seen": "dead", "unseen": "landed"}
    assert rows["seen"]["reason"] == "its tests are red"


def test_one_red_acceptance_does_not_hold_up_its_mates(user: User) -> None:
    """Each job's own commands must pass on the tree that lands; only who fails them stays out."""
    user.configure(
        CODE,
        TESTS,
        job("good", **ONE, accept=[["test", "-e", "a/new.txt"], ["grep", "-q", "two", "a/x.txt"]]),
        job("bad", "echo new > b/new.txt", scope=["b/**"], accept=[["sh", "-c", "echo no; false"]]),
        job("plain", "echo new > c/new.txt", scope=["c/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"good": "landed", "bad": "dead", "plain": "landed"}
    logs = user.document("logs", "bad", schema="factory.logs/1")
    assert {(trial["owner"], trial["tail"]) for trial in logs["trials"]} == {("accept:bad", "no")}
    assert "b/new.txt" not in user.files()


def test_red_work_is_repaired_with_the_failing_tail_at_most_two_rounds(user: User) -> None:
    """The cleanup station gets the red commit and the tests' words; after two rounds it is over."""
    repair = 'grep -q "a/new.txt:1:BUG" "$FACTORY_BRIEF" && sed -i s/BUG/well/ a/new.txt;'
    user.configure(
        CODE,
        TESTS,
        station(
            "repair",
            kind="cleanup",
            agent={
                "runtime": "command",
                "run": ["sh", "-c", f"{repair} [ $FACTORY_JOB != lost ] || echo more >> b/new.txt"],
            },
        ),
        job("mended", "echo BUG > a/new.txt", scope=["a/**"]),
        job("lost", "echo BUG > b/new.txt", scope=["b/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"mended": "landed", "lost": "dead"}
    assert rows["mended"]["attempts"] == 2
    assert rows["lost"]["attempts"] == 3
    assert rows["lost"]["reason"] == "its tests are red after 2 repairs"
    assert user.at("main", "a/new.txt") == "well"
    assert "FAILED: a bug" in user.fac("status").text


def test_exit_75_is_tried_again_later(user: User) -> None:
    """An agent that asks for another time rests and is tried again; at the end it gives up."""
    user.configure(
        CODE,
        TESTS,
        job("busy", "[ $FACTORY_ATTEMPT = 2 ] || exit 75; echo new > a/new.txt", scope=["a/**"]),
        job("never", "echo no room; exit 75", scope=["b/**"], budget={"attempts": 2}),
    )

    rows = user.run(code=1)

    assert states(rows) == {"busy": "landed", "never": "dead"}
    assert (rows["busy"]["attempts"], rows["never"]["attempts"]) == (2, 2)
    began = {(e["job"], e["attempt"]): at for e, at in timed(user) if e["kind"] == "started"}
    ended = {(e["job"], e["attempt"]): at for e, at in timed(user) if e["kind"] == "finished"}
    assert began["busy", 2] - ended["busy", 1] >= 0.99


def timed(user: User) -> list[tuple[dict, float]]:
    """Give the newest run's events with their times."""
    rows = user.document("events", schema="factory.events/1")["events"]
    return [(row["event"], row["at"]) for row in rows]


def test_an_attempt_that_hangs_is_ended(user: User) -> None:
    """The deadline ends an attempt, so does silence; a job whose time is spent gets no other."""
    user.configure(
        station("code", scope=["a/**"], agent=SH, timeout="1s", attempts=1),
        station("quiet", scope=["b/**"], agent=SH, idle="1s", attempts=1),
        station("patient", scope=["c/**"], agent=SH),
        TESTS,
        job("slow", "while :; do echo .; sleep 0.2; done", scope=["a/**"]),
        job("silent", "echo half > b/half.txt; sleep 60", scope=["b/**"]),
        job("spent", "sleep 60", scope=["c/**"], budget={"minutes": "1s"}),
    )

    rows = user.run(code=1)

    assert set(states(rows).values()) == {"dead"}
    assert rows["spent"]["reason"].startswith("the 1 seconds of its budget are spent; raise")
    assert rows["spent"]["attempts"] == 1
    assert "deadline" in rows["slow"]["reason"] or "1 s" in rows["slow"]["reason"]
    assert "silen" in rows["silent"]["reason"] or "output" in rows["silent"]["reason"]
    kept = user.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage/**/silent")
    assert user.at(kept, "b/half.txt") == "half"


def test_work_is_handed_on_as_the_station_says(user: User) -> None:
    """`on` sends what failed, strayed or escalated to another station, or to a person."""
    report = 'echo \'{"status": "blocked", "summary": "too hard", "needs_scope": ["d/**"]}\''
    user.configure(
        station(
            "code",
            scope=["a/**", "b/**"],
            agent=SH,
            on={"failed": "senior", "escalated": "senior"},
        ),
        station("junior", scope=["c/**"], agent=SH, on={"failed": "inbox"}),
        station("other", scope=["d/**"], agent=SH),
        station("senior", scope=["a/**", "b/**"], agent=SH),
        TESTS,
        job("failed", "[ $FACTORY_STATION = senior ]; cp a/x.txt a/new.txt", scope=["a/**"]),
        job(
            "blocked",
            f"[ $FACTORY_STATION = senior ] || {report} > $FACTORY_REPORT; echo 1 > b/new.txt",
            scope=["b/**"],
        ),
        job("asks", "echo I cannot; exit 3", scope=["c/**"]),
        job("stuck", f"{report} > $FACTORY_REPORT", scope=["d/**"]),
    )

    rows = user.run(code=4)

    assert states(rows) == {
        "failed": "landed",
        "blocked": "landed",
        "asks": "waiting",
        "stuck": "waiting",
    }
    waiting = user.document("inbox", schema="factory.inbox/1")["waiting"]
    asked = {row["job"]: row for row in waiting}
    assert "I cannot" in asked["asks"]["question"]
    assert asked["stuck"]["question"] == "too hard (a yes lets it change d/**)"
    assert asked["stuck"]["wants"] == ["d/**"]


def test_made_files_are_made_on_the_merged_tree(user: User) -> None:
    """What `at = "merge"` stations make fits all jobs that landed; a lock file passes only so."""
    make = "cat a/*.txt b/*.txt > gen/all.txt; ls a b > pins.lock"
    user.commit({"gen/all.txt": "", "pins.lock": ""})
    user.configure(
        CODE,
        station("wild", scope=["gen/**", "pins.lock", "other.lock"], agent=SH),
        station("codegen", run=["sh", "-c", make], scope=["gen/**", "pins.lock"], at="merge"),
        TESTS,
        job("left", "echo left > a/new.txt", scope=["a/**"]),
        job("right", "echo right > b/new.txt", scope=["b/**"]),
        job("locks", "echo mine > other.lock", scope=["other.lock"], station="wild"),
    )

    rows = user.run(code=4)

    assert states(rows) == {"left": "landed", "right": "landed", "locks": "waiting"}
    assert "pins what is installed" in rows["locks"]["reason"]
    parts = [user.at("main", f"{name}.txt") for name in ("a/new", "a/x", "b/new", "b/x")]
    assert user.at("main", "gen/all.txt") == "\n".join(parts)
    assert user.at("main", "pins.lock").split() == [
        "a:",
        "new.txt",
        "x.txt",
        "b:",
        "new.txt",
        "x.txt",
    ]


def test_a_maker_that_fails_holds_only_the_change_that_breaks_it(user: User) -> None:
    """Work on which the generated files cannot be made is red; its mates land."""
    make = "! grep -q bad b/x.txt || { echo cannot generate; exit 1; }; date > gen/all.txt"
    user.commit({"gen/all.txt": ""})
    user.configure(
        CODE,
        station("codegen", run=["sh", "-c", make], scope=["gen/**"], at="merge"),
        TESTS,
        job("good", **ONE),
        job("bad", "echo bad > b/x.txt", scope=["b/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"good": "landed", "bad": "dead"}
    assert "cannot generate" in user.fac("why", "bad").text


def test_an_optional_test_is_told_and_holds_nothing(user: User) -> None:
    """A red test station that is not required lets work land; its verdict is on record."""
    user.configure(
        CODE,
        TESTS,
        station("style", kind="test", run=["sh", "-c", "echo ugly; false"], required=False),
        job("one", **ONE),
    )

    assert states(user.run()) == {"one": "landed"}
    verdicts = [event["verdict"] for event in events_of(user, "gate-tried")]
    assert any("ugly" in note for verdict in verdicts for note in verdict.get("notes", []))
    assert "ugly" in user.fac("why", "one").text


def test_a_command_job_without_a_change_is_withdrawn_and_neutral(user: User) -> None:
    """Nothing to change satisfies needs and does not fail the run."""
    user.configure(
        CODE,
        TESTS,
        station("dumb", run=["sh", "-c", "sed -i s/four/five/ d/x.txt"], scope=["d/**"]),
        station("busy", run=["sh", "-c", "sed -i s/one/five/ d/x.txt"], scope=["d/**"]),
        job("nothing", station="dumb"),
        job("something", station="busy", needs=["nothing"]),
        job("after", **ONE, needs=["nothing"]),
    )

    rows = user.run()

    assert states(rows) == {"nothing": "withdrawn", "something": "landed", "after": "landed"}
    assert rows["nothing"]["reason"] == "nothing to change"


def test_an_agent_that_changes_nothing_is_asked_once_more(user: User) -> None:
    """Doing nothing is a failure of a coding station, after a second try."""
    user.configure(CODE, TESTS, job("idle", "true", scope=["a/**"]))

    rows = user.run(code=1)

    assert states(rows) == {"idle": "dead"}
    assert (rows["idle"]["attempts"], rows["idle"]["reason"]) == (2, "the agent changed nothing")


def test_what_was_asked_twice_is_done_once(user: User) -> None:
    """A near-duplicate is refused by name before anything starts, and fails nothing."""
    user.configure(
        CODE,
        TESTS,
        job("one", **ONE | {"title": "Write the file"}),
        job("two", **ONE | {"title": "Write the file"}),
    )

    plan = user.document("plan", schema="factory.plan/1")
    rows = user.run()

    assert states(rows) == {"one": "landed", "two": "withdrawn"}
    assert rows["two"]["attempts"] == 0
    assert "near-duplicate of one" in rows["two"]["reason"]
    assert rows["two"]["reason"] == plan["jobs"][1]["refused"]


def test_a_change_larger_than_the_limits_is_refused_by_name(user: User) -> None:
    """`[limits]` bounds the files and the megabytes of one job's change."""
    user.configure(
        station("code", scope=["a/**", "b/**", "c/**"], agent=SH, attempts=1),
        TESTS,
        "[limits]\nfiles = 2\nmegabytes = 1\n",
        job("many", "for i in 1 2 3; do echo $i > a/$i; done", scope=["a/**"]),
        job("big", "head -c 1500000 /dev/urandom > b/blob", scope=["b/**"]),
        job("fits", "echo 1 > c/1; echo 2 > c/2", scope=["c/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"many": "dead", "big": "dead", "fits": "landed"}
    assert "files" in rows["many"]["reason"]
    assert "the change adds 1500000 bytes, it may add 1000000" in rows["big"]["reason"]


def test_a_job_that_leaves_its_scope_never_lands(user: User) -> None:
    """The refusal names the path; the agent hears it once, then the job gives up."""
    user.configure(
        CODE,
        TESTS,
        job("stray", "echo 1 > a/new.txt; echo 1 > a/new.md", scope=["a/*.txt"]),
        job(
            "learns",
            '[ $FACTORY_ATTEMPT = 2 ] || echo 1 > b/new.md; cp "$FACTORY_BRIEF" b/new.txt',
            scope=["b/*.txt"],
        ),
        job("fenced", "echo 1 > README || echo 1 > c/x.txt", scope=["c/**"]),
    )

    rows = user.run(code=1)

    assert states(rows) == {"stray": "dead", "learns": "landed", "fenced": "landed"}
    assert (rows["stray"]["attempts"], rows["learns"]["attempts"]) == (2, 2)
    assert "a/new.md" in rows["stray"]["reason"]
    assert "b/new.md" in json.loads(user.at("main", "b/new.txt"))["failure"]
    assert user.files() == sorted([*FILES, "b/new.txt", "factory.toml"])
