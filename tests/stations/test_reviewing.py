"""A review reads a change in a tree it cannot write, and what it found comes back as values."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stations.bench import Bench
from stations.coding import Coding
from stations.contract import (
    Assignment,
    Brief,
    Done,
    Escalated,
    Failed,
    Kind,
    Outcome,
    Remark,
    Reviewed,
)
from stations.reviewing import MOST_REMARKS, Reviewing, change_text, findings
from tests.conftest import Commit
from tests.stations.benches import RUN, assignment, base_of, bench_at, station
from worktrees.git import Repository
from worktrees.names import JobId, Oid, job_ref

GOOD = '{"findings": []}'


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give one bench to all reviews."""
    with bench_at(tmp_path_factory.mktemp("review") / "repo") as made:
        yield made


@pytest.fixture(scope="module")
def change(bench: Bench) -> Oid:
    """Give the commit that an author made: one line appended to src/core.py."""
    author = Coding(spec=station("sh", "-c", "echo 'EXTRA = 1' >> src/core.py"), bench=bench)
    done = author.work(assignment(bench))
    assert isinstance(done, Done)
    return done.commit


SERIALS = iter(range(1, 100))


def reviewed(bench: Bench, change: Oid, script: str, **fields: object) -> Outcome:
    """Let a program review the change."""
    serial = next(SERIALS)
    reader = Reviewing(
        spec=station("sh", "-c", script, kind=Kind.REVIEW, agent=True, scope=()), bench=bench
    )
    task: Assignment = assignment(bench, serial=serial, attempt=serial + 1, base=change)
    return reader.work(replace(task, **fields))  # type: ignore[arg-type]  # fields of the task


def reporting(data: str, **report: str) -> str:
    """Give a script that leaves this as the data of its report."""
    text = json.dumps({"status": "done", "summary": "read", "data": json.loads(data), **report})
    return f"cat > $FACTORY_REPORT <<'END'\n{text}\nEND\n"


def test_findings_come_back_with_their_places_and_a_serious_one_sends_back(
    bench: Bench, change: Oid
) -> None:
    """Path, line, severity and text of each finding are values; the serious stand first."""
    data = json.dumps(
        {
            "findings": [
                {"path": "src/core.py", "line": 3, "severity": "minor", "text": "a name"},
                {"path": "src/core.py", "line": 6, "severity": "serious", "text": "is never read"},
            ]
        }
    )

    outcome = reviewed(bench, change, reporting(data))

    assert isinstance(outcome, Reviewed)
    assert outcome.back
    assert outcome.remarks == (
        Remark(text="is never read", path="src/core.py", line=6, serious=True),
        Remark(text="a name", path="src/core.py", line=3),
    )


def test_a_reader_sees_the_change_the_job_and_the_tree_after_it(bench: Bench, change: Oid) -> None:
    """The brief holds job and patch; the tree is the one after the change, and read-only."""
    brief = Brief(title="Add EXTRA", text="It must be 1.", failure="it was 2 before")
    script = (
        "cat > /tmp/brief; grep -q 'EXTRA = 1' src/core.py || exit 9\n"
        "for want in 'Add EXTRA' 'It must be 1.' '+EXTRA = 1' 'it was 2 before' findings; do\n"
        '  grep -qF -- "$want" /tmp/brief || { echo "no $want"; exit 8; }\ndone\n'
        "echo x >> src/core.py && exit 7\n" + reporting(GOOD)
    )

    outcome = reviewed(bench, change, script, brief=brief)

    assert isinstance(outcome, Reviewed), outcome
    assert not outcome.back
    assert bench.git.resolve(job_ref(RUN, JobId("job1"))) == change


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("echo fine", "gave no list of findings"),
        (reporting('"looks good to me"'), "gave no list of findings"),
        (reporting('{"findings": "none"}'), "gave no list of findings"),
        (reporting('[{"severity": "serious"}]'), "gave no list of findings"),
        ("exit 3", "exit 3"),
        (reporting(GOOD, status="failed", summary="too large"), "too large"),
    ],
)
def test_without_findings_that_can_be_read_a_review_failed(
    bench: Bench, change: Oid, script: str, fault: str
) -> None:
    """Words, an exit code or a broken list are no review."""
    outcome = reviewed(bench, change, script)

    assert isinstance(outcome, Failed), outcome
    assert fault in outcome.fault


def test_findings_may_be_printed_and_a_blocked_reader_asks(bench: Bench, change: Oid) -> None:
    """A program without a report may print the list; one that is blocked escalates."""
    printed = reviewed(bench, change, f"echo '{GOOD}'")
    blocked = reviewed(bench, change, reporting(GOOD, status="blocked", summary="which form?"))

    assert isinstance(printed, Reviewed)
    assert blocked == Escalated(reason="which form?", spend=blocked.spend)


def test_findings_of_a_hostile_reader_are_cut_to_size_and_made_printable() -> None:
    """Number, lengths, control characters, line numbers and severities are all bounded."""
    many = [{"text": f"n{n}", "severity": "minor"} for n in range(500)]
    many.append({"text": "x" * 9000 + "\x1b[2J\n\n", "path": "a\nb\x00", "severity": "BLOCKER "})
    many[0] |= {"line": True}  # type: ignore[dict-item]  # hostile on purpose
    many[1] |= {"line": 10**12}  # type: ignore[dict-item]

    found = findings(json.dumps(many))

    assert found is not None
    assert len(found) == MOST_REMARKS
    assert found[0].serious
    assert len(found[0].text) == 500
    assert found[0].path == "a b\N{REPLACEMENT CHARACTER}"
    assert {remark.line for remark in found} == {0}
    assert findings("[" * 100_000) is None
    assert findings("7") is None
    assert findings("[]") == ()


def test_a_large_change_is_cut_fairly_and_says_so(repository: Repository, commit: Commit) -> None:
    """Each file gets its share of the room, a small one all of it; what is left out is counted."""
    before = repository.git.resolve("refs/heads/main")
    assert before is not None
    files: dict[str, str | bytes | None] = {
        "a/huge.txt": "".join(f"line {n}\n" for n in range(20_000)),
        "b/image.bin": b"\0\1\2" * 50,
        "src/core.py": None,
        "z/small.py": "diff --git a/x b/x\nSMALL = 1\n",
    }
    after = commit(before, files)

    text = change_text(repository.git, before, after, most=4000)

    assert len(text) < 5000
    assert "+20000 -0 a/huge.txt" in text
    assert "binary b/image.bin" in text
    assert "+SMALL = 1" in text
    assert "more lines of this file]" in text
    many = commit(before, {f"many/{n}.py": f"N = {n}\n" * 30 for n in range(300)})
    text = change_text(repository.git, before, many, most=4000)
    assert "300 files changed" in text
    assert "and 240 more" in text
    assert "more files are not shown here" in text
    assert len(text) < 9000


def test_a_job_of_a_review_station_reads_the_tree_as_it_is(bench: Bench) -> None:
    """Without a change there is no patch in the brief, and findings are the answer."""
    script = "cat > /tmp/b; grep -q 'The change:' /tmp/b && exit 9\n" + reporting(GOOD)

    outcome = reviewed(bench, base_of(bench), script)

    assert isinstance(outcome, Reviewed), outcome


def test_a_missing_program_is_named(tmp_path: Path, bench: Bench, change: Oid) -> None:
    """A reviewer that is not there fails with its name."""
    spec = station(str(tmp_path / "nobody"), kind=Kind.REVIEW, agent=True, scope=())
    task = assignment(bench, serial=next(SERIALS), attempt=90, base=change)

    outcome = Reviewing(spec=spec, bench=bench).work(task)

    assert isinstance(outcome, Failed)
    assert "nobody" in outcome.fault
