"""A seat, with real repositories, workspaces and sandboxes: what comes out of one attempt."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import pytest
from typing_extensions import override

from stations.bench import Bench, rooms_of
from stations.box import Box, NotStarted, SandboxError
from stations.bubblewrap import Bubblewrap
from stations.coding import Coding
from stations.contract import (
    Brief,
    Done,
    Escalated,
    Failed,
    Found,
    Kind,
    Outcome,
    StationSpec,
    Strayed,
    Unchanged,
)
from stations.reading import Reading
from stations.runtimes.task import Control
from stations.seat import papers_of, rescue, take_turn
from stations.shell import Options, Running
from stations.tools import Surroundings
from tests.run import ROOT, run
from tests.stations.benches import PATH, RUN, assignment, base_of, bench_at, station
from worktrees.change import paths
from worktrees.failpoint import FailpointError, arm
from worktrees.names import JobId, Oid, job_ref, salvage_ref
from worktrees.policy import Rules

JOB = JobId("job1")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a bench on the small repository."""
    with bench_at(tmp_path / "repo") as made:
        yield made


def turn(
    bench: Bench,
    script: str,
    *,
    scope: tuple[str, ...] = ("src/**",),
    spec: StationSpec | None = None,
    stop: threading.Event | None = None,
    serial: int = 0,
    attempt: int = 1,
    base: Oid | None = None,
    seconds: float = 30.0,
    brief: Brief | None = None,
) -> Outcome:
    """Let a shell script do one attempt."""
    return take_turn(
        bench,
        spec or station("sh", "-c", script, scope=scope),
        assignment(
            bench,
            scope=scope,
            serial=serial,
            attempt=attempt,
            base=base,
            seconds=seconds,
            brief=brief,
        ),
        control=Control(stop),
    )


def changed(bench: Bench, outcome: Outcome) -> list[bytes]:
    """Give the paths that durable work changes."""
    assert isinstance(outcome, Done), outcome
    return list(paths(bench.git, base_of(bench), outcome.commit))


def test_done_work_is_durable_on_the_jobs_branch(bench: Bench) -> None:
    """The commit holds exactly the change, on the base, and the branch points at it."""
    outcome = turn(bench, "echo 'A = 1' > src/api/new.py; rm src/api/items.py")

    assert changed(bench, outcome) == [b"src/api/items.py", b"src/api/new.py"]
    assert isinstance(outcome, Done)
    assert bench.git.resolve(job_ref(RUN, JOB)) == outcome.commit
    assert bench.git("rev-parse", f"{outcome.commit}^").text == base_of(bench)
    assert run(["git", "fsck", "--full", "--strict"], cwd=bench.checkout).code == 0


def test_the_whole_of_git_works_for_an_agent_and_nothing_of_it_reaches_the_host(
    bench: Bench,
) -> None:
    """Add, commit, stash, branch, tag, config, hooks and update-ref stay in the private git dir."""
    before = run(["git", "for-each-ref"], cwd=bench.checkout).text
    config = (bench.repository.common / "config").read_bytes()
    script = """set -e
    echo 'A = 1' > src/api/new.py; git add -A; git commit -qm mine; git log --oneline
    echo 'B = 1' >> src/api/new.py; git stash -q; git stash pop -q; git branch other; git tag v9
    git config user.name Mallory; git config core.fsmonitor 'touch /tmp/x'
    echo 'touch /tmp/hook' > $(git rev-parse --git-dir)/any-file
    git update-ref refs/heads/main HEAD; git update-ref refs/heads/evil HEAD
    git status --porcelain; git diff --stat HEAD~1; git worktree list"""

    outcome = turn(bench, script)

    assert changed(bench, outcome) == [b"src/api/new.py"]
    after = run(["git", "for-each-ref"], cwd=bench.checkout).text.splitlines()
    assert [line for line in after if "factory/run1/job" not in line] == before.splitlines()
    assert (bench.repository.common / "config").read_bytes() == config
    assert isinstance(outcome, Done)
    said = bench.git("log", "-1", "--format=%an %cn %s", outcome.commit).text
    assert said == "Factory Factory job1: attempt 1 at work"


def test_the_hosts_git_directory_cannot_be_reached(bench: Bench) -> None:
    """Neither the common directory nor any other worktree exists inside."""
    common = bench.repository.common
    outcome = turn(
        bench, f"ls -d {common}/objects {common}/refs {common}/factory > src/seen 2>&1; true"
    )

    assert isinstance(outcome, Done)
    seen = bench.git("cat-file", "blob", f"{outcome.commit}:src/seen").out
    assert seen.count(b"Not a directory") == 3


def test_a_file_scope_lets_one_file_be_replaced_and_its_neighbours_not(bench: Bench) -> None:
    """Atomic save works on the one file; its siblings cannot be written, replaced or removed."""
    script = """
    cd src/api; echo 'NEW = 1' > t && mv t users.py
    echo x > items.py; mv users.py items.py; rm items.py; echo x > ../core.py; true"""

    outcome = turn(bench, script, scope=("src/api/users.py",))

    assert changed(bench, outcome) == [b"src/api/users.py"]


def test_a_new_file_beside_a_file_scope_is_refused_by_policy(bench: Bench) -> None:
    """What mounts cannot prevent the policy names, and the work is kept to be looked at."""
    outcome = turn(bench, "echo 'A = 1' > src/api/extra.py", scope=("src/api/users.py",))

    assert isinstance(outcome, Strayed)
    assert outcome.paths == ("src/api/extra.py",)
    assert outcome.commit is not None
    assert bench.git.resolve(salvage_ref(RUN, JOB)) == outcome.commit
    assert bench.git.resolve(job_ref(RUN, JOB)) == base_of(bench)


def test_a_symlink_is_refused_by_name(bench: Bench) -> None:
    """Another refusal than the scope's is a failure with its reason."""
    outcome = turn(bench, "ln -s /etc/passwd src/api/link")

    assert isinstance(outcome, Failed)
    assert not outcome.environment
    assert "src/api/link" in outcome.tail
    assert "symbolic link" in outcome.fault


def test_a_protected_path_waits_for_a_person_with_durable_work(bench: Bench) -> None:
    """The work is on the branch and the question names the path."""
    outcome = turn(bench, "echo 'all:' > Makefile", scope=("**",))

    assert isinstance(outcome, Escalated)
    assert outcome.wants == ("Makefile",)
    assert outcome.commit == bench.git.resolve(job_ref(RUN, JOB))


def test_nothing_to_change_is_unchanged(bench: Bench) -> None:
    """Touching files without changing them is no work."""
    assert isinstance(turn(bench, "touch src/core.py; mkdir src/empty"), Unchanged)


def test_a_failing_program_says_its_last_line_and_its_work_is_kept(bench: Bench) -> None:
    """Exit 3 is a failure; what was written meanwhile is in salvage, not on the branch."""
    outcome = turn(bench, "echo half > src/half.py; echo 'no such thing' >&2; exit 3")

    assert isinstance(outcome, Failed)
    assert not outcome.retryable
    assert outcome.fault == "exit 3: no such thing"
    kept = bench.git.resolve(salvage_ref(RUN, JOB))
    assert kept is not None
    assert list(paths(bench.git, base_of(bench), kept)) == [b"src/half.py"]
    assert bench.git.resolve(job_ref(RUN, JOB)) == base_of(bench)


def test_exit_75_is_tried_again(bench: Bench) -> None:
    """The one exit code that asks for it."""
    outcome = turn(bench, "exit 75")

    assert isinstance(outcome, Failed)
    assert outcome.retryable


def test_a_program_that_is_not_there_is_named(bench: Bench) -> None:
    """The message says where it was looked for."""
    outcome = turn(bench, "", spec=station("no-such-program"))

    assert isinstance(outcome, Failed)
    assert "no-such-program: not found" in outcome.fault


def test_the_commands_of_a_station_are_there_for_its_agent(tmp_path: Path) -> None:
    """A command that an agent may run is visible and on its PATH, wherever it is installed."""
    tool = tmp_path / "opt/tool/bin/checker"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho checked\n")
    tool.chmod(0o755)
    around = Surroundings(path=f"{tool.parent}:{PATH}")
    with bench_at(tmp_path / "repo", surroundings=around) as bench:
        spec = station("sh", "-c", "checker > src/said", agent=True)
        outcome = turn(bench, "", spec=replace(spec, commands=(("checker", "-q"),)))

    assert changed(bench, outcome) == [b"src/said"]


def test_a_stopped_attempt_ends_quickly_and_keeps_its_work(bench: Bench) -> None:
    """The event ends a deaf agent within two seconds and its files are in salvage."""
    stop = threading.Event()
    began = time.monotonic()
    threading.Timer(0.6, stop.set).start()

    outcome = turn(bench, "trap '' TERM; echo w > src/w.py; sleep 100", stop=stop)

    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.retryable) == ("interrupted", True)
    assert time.monotonic() - began < 3
    kept = bench.git.resolve(salvage_ref(RUN, JOB))
    assert kept is not None
    assert list(paths(bench.git, base_of(bench), kept)) == [b"src/w.py"]


def test_the_deadline_of_an_attempt_is_a_failure_worth_another_try(bench: Bench) -> None:
    """The fault says that time ran out."""
    outcome = turn(bench, "sleep 60", seconds=0.4)

    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert "deadline" in outcome.fault


def test_a_retry_keeps_what_the_earlier_attempt_had_done(bench: Bench) -> None:
    """The branch moves to the new base and the earlier commit stays reachable."""
    first = turn(bench, "echo 'A = 1' > src/one.py")
    assert isinstance(first, Done)

    second = turn(bench, "echo 'A = 2' > src/two.py", serial=1, attempt=2)

    assert changed(bench, second) == [b"src/two.py"]
    assert bench.git.resolve(salvage_ref(RUN, JOB)) == first.commit


def test_a_repair_starts_on_the_refused_commit_and_is_judged_from_the_target(bench: Bench) -> None:
    """The cumulative change counts: a repair cannot launder what the first attempt did."""
    first = turn(bench, "echo 'A = 1' > src/one.py")
    assert isinstance(first, Done)

    second = turn(bench, "cat src/one.py && echo 'A = 2' > src/two.py", serial=1, base=first.commit)
    third = turn(
        bench,
        "echo 'A = 3' > src/api/users.py",
        scope=("src/api/**",),
        serial=2,
        base=first.commit,
    )

    assert changed(bench, second) == [b"src/one.py", b"src/two.py"]
    assert isinstance(third, Strayed)
    assert third.paths == ("src/one.py",)


def test_an_agent_is_told_in_text_and_in_json(bench: Bench) -> None:
    """Standard input, FACTORY_BRIEF and the variables say job, scope, failure, what was found."""
    brief = Brief(
        title="Reject empty names",
        text="POST /users must answer 422.",
        failure="E  assert 200 == 422",
        found={JobId("look"): "see users.py"},
        told=("keep it small",),
    )
    script = "cat > src/stdin; cp $FACTORY_BRIEF src/json; env | sort > src/env"

    outcome = turn(bench, script, brief=brief)

    assert isinstance(outcome, Done)
    text = bench.git("cat-file", "blob", f"{outcome.commit}:src/stdin").text
    for said in ("Reject empty names", "422", "src/**", "E  assert", "see users.py", "keep it"):
        assert said in text
    document = json.loads(bench.git("cat-file", "blob", f"{outcome.commit}:src/json").out)
    assert document["schema"] == "factory.brief/1"
    assert {"run", "job", "title", "brief", "scope", "budget", "attempt"} <= document.keys()
    assert document["failure"] == "E  assert 200 == 422"
    assert document["found"] == {"look": "see users.py"}
    env = bench.git("cat-file", "blob", f"{outcome.commit}:src/env").text
    assert "FACTORY_JOB=job1\n" in env
    assert "FACTORY_ATTEMPT=1\n" in env


def test_a_report_is_taken_as_a_claim(bench: Bench) -> None:
    """Blocked becomes a question; a done claim without a change is no work."""
    needs = '{"status": "blocked", "summary": "need the schema", "needs_scope": ["db/**", 3]}'

    blocked = turn(bench, f"echo '{needs}' > $FACTORY_REPORT")
    claimed = turn(bench, 'echo \'{"status": "done"}\' > $FACTORY_REPORT', serial=1, attempt=2)

    assert isinstance(blocked, Escalated)
    assert (blocked.reason, blocked.wants) == ("need the schema", ("db/**",))
    assert isinstance(claimed, Unchanged)


@pytest.mark.parametrize(
    "report",
    [
        "head -c 200000 /dev/zero | tr '\\0' x > $FACTORY_REPORT",
        "ln -s /etc/passwd $FACTORY_REPORT",
        "mkfifo $FACTORY_REPORT",
        "mkdir $FACTORY_REPORT",
        "head -c 60000 /dev/zero | tr '\\0' '[' > $FACTORY_REPORT",
        "echo '[1]' > $FACTORY_REPORT",
        "printf '\\377\\376' > $FACTORY_REPORT",
    ],
)
def test_a_hostile_report_is_no_report(bench: Bench, report: str) -> None:
    """Size, type, depth and encoding of a report cannot disturb the attempt."""
    outcome = turn(bench, f"{report}; echo 'A = 1' > src/a.py")

    assert isinstance(outcome, Done)
    assert outcome.note == ""


def test_files_that_cannot_be_exported_are_kept_and_the_pool_goes_on(bench: Bench) -> None:
    """An empty repository in the tree stops the export; the next attempts have a workspace."""
    outcome = turn(bench, "git init -q src/inner; echo x > src/api/work.py")

    assert isinstance(outcome, Failed)
    kept = Path(outcome.fault.rpartition(" ")[2])
    assert (kept / "src/api/work.py").read_text() == "x\n"
    for serial in (1, 2, 3):
        assert isinstance(turn(bench, "true", serial=serial, attempt=serial + 1), Unchanged)


def test_finished_work_survives_an_error_of_ours(bench: Bench) -> None:
    """When the machine fails between agent and intake, the files are kept and the pool goes on."""
    arm("seat.export.after:raise")
    try:
        with pytest.raises(FailpointError):
            turn(bench, "echo x > src/work.py")
    finally:
        arm(None)

    (kept,) = papers_of(bench, JOB, 1).glob("tree-*")
    assert (kept / "src/work.py").read_text() == "x\n"
    for serial in (1, 2, 3):
        assert isinstance(turn(bench, "true", serial=serial, attempt=serial + 1), Unchanged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Bubblewrap):
    """A sandbox that is lost once its program ended, as one is whose engine dies."""

    @override
    @contextmanager
    def open(
        self, box: Box, *, stdin: bytes | None = None, **options: Unpack[Options]
    ) -> Iterator[Running]:
        """Run the box and lose it."""
        with Bubblewrap.open(self, box, stdin=stdin, **options) as running:
            yield running
        msg = "the engine went away"
        raise SandboxError(msg)


def test_work_in_a_sandbox_that_is_lost_is_kept_and_the_error_says_where(bench: Bench) -> None:
    """What the agent wrote until then is beside the attempt's papers."""
    with pytest.raises(SandboxError, match="went away") as caught:
        turn(replace(bench, sandbox=Lost()), "echo x > src/work.py")

    (kept,) = papers_of(bench, JOB, 1).glob("tree-*")
    assert (kept / "src/work.py").read_text() == "x\n"
    assert str(kept) in caught.value.__notes__[0]
    assert isinstance(turn(bench, "true", serial=1, attempt=2), Unchanged)


def test_a_sandbox_that_did_not_start_leaves_nothing_to_keep(bench: Bench, tmp_path: Path) -> None:
    """Nobody worked, so the untouched workspace is thrown away, however often it is tried."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)

    with pytest.raises(NotStarted):
        turn(replace(bench, sandbox=Bubblewrap(program=broken)), "echo x > src/work.py")

    assert list(papers_of(bench, JOB, 1).glob("tree-*")) == []


def test_a_change_larger_than_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The pack is cut off at the cap and the message names the setting."""
    with bench_at(tmp_path / "repo", rules=Rules(megabytes=1)) as bench:
        outcome = turn(bench, "head -c 12000000 /dev/urandom > src/big.bin")

    assert isinstance(outcome, Failed)
    assert "[limits] megabytes" in outcome.fault


def test_the_papers_of_an_attempt_are_kept_and_bounded(bench: Bench) -> None:
    """Brief, output and outcome lie in the run's directory; the output has a cap."""
    turn(bench, "echo first; head -c 30000000 /dev/zero; echo 'A = 1' > src/a.py")

    papers = papers_of(bench, JOB, 1)
    assert json.loads((papers / "brief.json").read_text())["job"] == "job1"
    assert (papers / "output.log").read_bytes().startswith(b"first\n")
    assert (papers / "output.log").stat().st_size <= 4 * 1024 * 1024
    assert json.loads((papers / "outcome.json").read_text())["kind"] == "done"


def test_nothing_is_left_after_an_attempt_but_papers_and_refs(bench: Bench) -> None:
    """No room, no mount point in the checkout, and the user's checkout is untouched."""
    before = sorted(path.name for path in bench.checkout.iterdir())

    turn(bench, "echo 'A = 1' > src/a.py")

    assert list(rooms_of(bench.repository, RUN).iterdir()) == []
    assert sorted(path.name for path in bench.checkout.iterdir()) == before
    assert run(["git", "status", "--porcelain"], cwd=bench.checkout).text == ""


def test_shared_paths_are_read_only_and_scratch_is_thrown_away(tmp_path: Path) -> None:
    """Both stand at their places in the tree and neither becomes part of the change."""
    around = Surroundings(share=("node_modules",), scratch=("build/cache",), path=PATH)
    checkout = tmp_path / "repo"
    with bench_at(checkout, surroundings=around) as bench:
        (checkout / "node_modules").mkdir()
        (checkout / "node_modules/lib.js").write_text("shared\n")
        script = """set -e
        cp node_modules/lib.js src/copy.js; echo x > build/cache/o
        if echo x > node_modules/lib.js; then exit 9; fi"""
        outcome = turn(bench, script, scope=("**",))

    assert changed(bench, outcome) == [b"src/copy.js"]
    assert (checkout / "node_modules/lib.js").read_text() == "shared\n"


def test_a_scope_directory_that_is_missing_can_be_filled(bench: Bench) -> None:
    """A job may make the first file of a new directory."""
    outcome = turn(bench, "echo 'A = 1' > docs/new/a.py", scope=("docs/new/**",))

    assert changed(bench, outcome) == [b"docs/new/a.py"]


def test_a_reading_station_answers_and_can_write_nothing(bench: Bench) -> None:
    """The report's data is the answer, else what was printed; the tree stays as it is."""
    told = Reading(
        spec=station(
            "sh",
            "-c",
            'echo x > src/core.py; echo \'{"data": {"n": 1}}\' > $FACTORY_REPORT',
            kind=Kind.READ,
            scope=(),
        ),
        bench=bench,
    ).work(assignment(bench, scope=()))
    printed = Reading(
        spec=station("sh", "-c", "grep -c . src/core.py", kind=Kind.READ, scope=()), bench=bench
    ).work(assignment(bench, scope=(), serial=1, attempt=2))

    assert isinstance(told, Found)
    assert json.loads(told.data) == {"n": 1}
    assert isinstance(printed, Found)
    assert printed.data == "5"


def test_a_long_answer_is_cut(bench: Bench) -> None:
    """A dependant's brief cannot be flooded."""
    outcome = Reading(
        spec=station("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' y", kind=Kind.READ),
        bench=bench,
    ).work(assignment(bench, scope=()))

    assert isinstance(outcome, Found)
    assert len(outcome.data) == 8192


def test_a_coding_station_is_a_seat_for_its_spec(bench: Bench) -> None:
    """An agent of the command runtime and a dumb program do the same work."""
    agent = Coding(spec=station("sh", "-c", "echo 'A = 1' > src/a.py", agent=True), bench=bench)

    assert changed(bench, agent.work(assignment(bench))) == [b"src/a.py"]


def test_work_of_a_killed_factory_is_rescued(tmp_path: Path) -> None:
    """After kill -9 between agent and export, the workspace's files come to the salvage ref."""
    checkout = tmp_path / "repo"
    killed_at("seat.export.before", checkout)

    with bench_at(checkout, files=None, first_serial=5) as bench:
        found = rescue(bench, job=JOB, serial=0, base=base_of(bench))
        again = rescue(bench, job=JOB, serial=0, base=base_of(bench))
        never = rescue(bench, job=JOB, serial=3, base=base_of(bench))

        assert found is not None
        assert list(paths(bench.git, base_of(bench), found)) == [b"src/w.py"]
        assert bench.git.resolve(salvage_ref(RUN, JOB)) == found
        assert again is not None
        assert never is None
        assert run(["git", "fsck", "--full", "--strict"], cwd=checkout).code == 0


@pytest.mark.parametrize("point", ["shadow.ref.after", "seat.fell.before", "seat.fell.after"])
def test_work_is_on_its_branch_wherever_the_factory_dies_later(tmp_path: Path, point: str) -> None:
    """From the moment of the intake on a kill -9 loses nothing, and a retry keeps it in salvage."""
    checkout = tmp_path / "repo"
    killed_at(point, checkout)

    with bench_at(checkout, files=None, first_serial=5) as bench:
        held = bench.git.resolve(job_ref(RUN, JOB))
        assert held is not None
        assert list(paths(bench.git, base_of(bench), held)) == [b"src/w.py"]
        assert isinstance(turn(bench, "true", serial=5, attempt=2), Unchanged)
        assert bench.git.resolve(salvage_ref(RUN, JOB)) == held


def killed_at(point: str, checkout: Path) -> None:
    """Let another process do an attempt that writes src/w.py, and die at a failpoint."""
    program = f"""
from pathlib import Path
from tests.stations.benches import *
from stations.runtimes.task import Control
from stations.seat import take_turn
from worktrees.failpoint import arm
with bench_at(Path({str(checkout)!r})) as bench:
    arm({point + ":kill"!r})
    take_turn(bench, station("sh", "-c", "echo w > src/w.py"), assignment(bench),
              control=Control())
"""
    died = run([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT, check=False)
    assert died.code == -9, died.err
