"""The report in one file: it asks for nothing, runs nothing, and stays small."""

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from functools import cache

from factory.pace.catalogue import Policy
from factory.show.paper import paper
from factory.show.watching import Watch
from tests.show.crowds import Crowd
from worktrees.names import JobId

LIMIT = 300_000
POLICY = Policy(mode="suggest", wanted=30.0)


@cache
def report(jobs: int) -> str:
    """Give the report of a run of so many jobs."""
    crowd = Crowd(jobs).go()
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())
    return paper(watch.figures(crowd.tale.at, crowd.calls(), alive=False))


def test_the_report_asks_for_nothing_and_runs_nothing() -> None:
    """No address, no script, no form, no inline style: whoever opens it tells nobody."""
    shown = report(20)

    assert not re.search(r"<script|<link|<img|<iframe|<form|<object|\ssrc=|url\(|@import", shown)
    assert not re.search(r"\sstyle=|\son[a-z]+=", shown)
    assert not re.search(r"https?://", shown)
    assert "<a " not in shown


def test_its_policy_allows_its_own_style_only() -> None:
    """The policy of the file names the checksum of exactly the style that is in it."""
    shown = report(20)
    style = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)
    assert style is not None

    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in shown


def test_it_holds_every_job_and_both_timelines() -> None:
    """Every job is in its table, and the timeline stands by job and by station."""
    shown = report(90)

    assert all(f"job-{n:04}" in shown for n in range(90))
    assert "<summary>By job</summary>" in shown
    assert "<summary>By station</summary>" in shown
    assert "ended before are not drawn" in shown


def test_a_thousand_jobs_fit_into_300_kilobytes() -> None:
    """Twenty times fifty jobs, one after the other, with titles as long as they get."""
    crowd = Crowd(50, more=" and so on" * 9).go()
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())
    one = watch.figures(crowd.tale.at, crowd.calls(), alive=False)
    names = {(n, job): f"{job}-{n:02}" for n in range(20) for job in crowd.line.jobs}
    rows = [
        {**row, "id": names[n, JobId(row["id"])]} for n in range(20) for row in one.status["jobs"]
    ]
    spans = [
        replace(
            span,
            jobs=tuple(names[n, JobId(job)] for job in span.jobs),
            begin=span.begin + n * one.seconds,
            end=None if span.end is None else span.end + n * one.seconds,
        )
        for n in range(20)
        for span in one.spans
    ]
    many = replace(
        one,
        seconds=one.seconds * 20,
        status={**one.status, "jobs": rows},  # type: ignore[typeddict-item]  # the same rows
        spans=tuple(spans),
        settled={f"{job}-{n:02}": at for job, at in one.settled.items() for n in range(20)},
    )

    shown = paper(many)

    assert len(rows) == 1000
    assert all(name in shown for name in names.values())
    assert len(shown.encode()) < LIMIT
