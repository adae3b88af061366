"""Says what one event changed: for plain progress lines and for the story of a job."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from factory.events import (
    Advanced,
    Closed,
    Closing,
    Dead,
    Decided,
    Delivered,
    Delivering,
    Event,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    InGate,
    Killed,
    Landed,
    Landing,
    Measured,
    Missed,
    Moved,
    NeedsYou,
    Noted,
    Opened,
    Paused,
    Placed,
    Proposed,
    PullMerged,
    Refused,
    Reproduced,
    Resting,
    Resumed,
    Retried,
    Started,
    Steered,
    Undelivered,
    Undone,
    Waiting,
    Withdrawn,
    Woke,
    Working,
)
from factory.line import Line, Work
from factory.reviews import FOUND_GOOD
from factory.views.decisions import balanced
from factory.views.screen import Style
from factory.wording import clean, count, failing, listed, masked, span
from stations.contract import Green, Lost, Red, Verdict

Said = tuple[str, str, Style]
"""Who says it (a station, the gate, the line, or you), the text, and its style."""


def told(before: Line | None, line: Line, event: Event) -> Iterator[Said]:
    """Give what a person should hear of an event, and of what it did to the jobs."""
    yield from _event(before, line, event)
    begins = before is not None and before.closing is None
    if begins and line.closing is not None and not isinstance(event, Closing):
        yield from _closing(line.closing)
    for job, work in line.jobs.items():
        old = None if before is None else before.jobs.get(job)
        if old is None or old.place != work.place:
            yield from moved(old, work)


def moved(old: Work | None, work: Work) -> Iterator[Said]:
    """Give what a person should hear of a job that came to another place."""
    job, station, place = work.job.id, work.station, work.place
    match place:
        case Working(station=at):
            yield from sent(old, work)
            yield at, f"{job} begins attempt {work.attempt}", "busy"
        case Resting(why=why, until=until):
            rest = span(max(0.0, until - work.since))
            yield station, f"{job} will be tried again in {rest}: {clean(masked(why))}", "warn"
        case InGate(commit=commit):
            yield "gate", f"{job} has made {commit[:12]}, which is on its way to land", "plain"
        case Waiting() if old is not None:
            yield from sent(old, work) or [(station, f"{job} waits for {station}", "plain")]
        case NeedsYou(question=question):
            yield "you", f"{job} waits for you: {clean(masked(question))}", "warn"
        case Dead(fault=fault, tail=tail):
            yield station, f"{job} gave up: {clean(masked(fault))}", "bad"
            for text in failing(tail):
                yield station, f"  {text}", "bad"
        case Withdrawn(why=why):
            yield station, f"{job} ended without a change: {clean(masked(why))}", "plain"
        case Proposed(pull=pull):
            yield "gate", f"{job} is proposed as {clean(pull)}", "good"
        case Landed() | Waiting():
            pass
        case _:
            assert_never(place)


def sent(old: Work | None, work: Work) -> Sequence[Said]:
    """Give why a job is worked on again, when something failed since it was last looked at."""
    if old is None or not work.failure or work.failure == old.failure:
        return ()
    lines = failing(work.failure) or (clean(masked(work.failure)),)
    goes = "goes back to" if work.answering else "goes to"
    first = lines[-1].removeprefix("- ") if work.answering else lines[0]  # the serious stand last
    return ((work.station, f"{work.job.id} {goes} {work.station}: {first}", "warn"),)


def _closing(closing: Closing) -> Iterator[Said]:
    yield "line", f"closing ({closing.reason.value}): {clean(masked(closing.why))}", "warn"


def verdict_said(verdict: Verdict, jobs: str) -> Iterator[Said]:
    """Give what a trial of these jobs came to."""
    match verdict:
        case Green(seconds=seconds, notes=notes, checked=checked):
            yield "tests", f"green in {span(seconds)}: {jobs}", "good"
            for at in checked:
                yield "tests", f"  {clean(masked(at))}", "dim"
            for note in notes:
                yield "tests", f"  {clean(masked(note))}", "warn"
        case Red(seconds=seconds, owner=owner, tail=tail):
            by = f" by {clean(owner)}" if owner else ""
            yield "tests", f"red in {span(seconds)}{by}: {jobs}", "bad"
            for text in failing(tail):
                yield "tests", f"  {text}", "bad"
        case Lost(why=why):
            yield "tests", f"no verdict on {jobs}: {clean(masked(why))}", "warn"
        case _:
            assert_never(verdict)


def _event(before: Line | None, line: Line, event: Event) -> Iterator[Said]:
    match event:
        case Opened(run=run, base=base):
            target = clean(line.target.removeprefix("refs/heads/"))
            yield "line", f"run {run} onto {target} from {base[:12]}", "strong"
        case Placed(jobs=jobs):
            names = listed(job.id for job in jobs)
            yield "line", f"{count(len(jobs), 'job')} placed: {names}", "plain"
        case GateTried(trial=trial, verdict=verdict):
            tried = None if before is None else before.gate.runs.get(trial)
            if tried is not None:
                yield from verdict_said(verdict, listed(tried.jobs))
        case Advanced(jobs=jobs, commit=commit):
            yield "gate", f"landed in {commit[:12]}: {listed(jobs)}", "good"
        case Missed(tip=tip):
            yield "gate", f"not landed: the target stands at {tip[:12]}; it is tried again", "warn"
        case Moved(tip=tip):
            yield "gate", f"somebody moved the target to {tip[:12]}", "warn"
        case GateAwaits(notes=notes):
            yield "gate", f"waits for the checks of {clean(event.place)}", "plain"
            for note in notes:
                yield "tests", f"  {clean(masked(note))}", "warn"
        case Steered(job=job, text=text):
            yield "you", f"told {job}: {clean(masked(text))}", "plain"
        case Killed(job=job):
            yield "you", f"killed {job}; its work is kept", "plain"
        case Retried(job=job):
            yield "you", f"put {job} back on the line", "plain"
        case Paused(on=on):
            yield "line", "paused" if on else "goes on", "warn"
        case Decided() | Measured() | Undone():
            yield from balanced(event)
        case Closing():
            yield from _closing(event)
        case Resumed(tip=tip):
            yield "line", f"resumed at {tip[:12]}", "strong"
        case Noted(what=what, text=text, job=job):
            about = "" if job is None or job in text else f"{job}: "
            doubt = what == "review" and not text.startswith(FOUND_GOOD)
            yield clean(what), f"{about}{clean(masked(text))}", "warn" if doubt else "dim"
        case Reproduced(job=job, issue=issue, shown=shown, why=why):
            said = "shown" if shown else "not shown"
            yield "tests", f"{job}: {said} to cure issue {issue}: {clean(masked(why))}", "plain"
        case Delivering(branch=name, commit=commit):
            yield "forge", f"pushes {commit[:12]} as {clean(name)}", "plain"
        case Delivered(pull=pull, jobs=jobs, operation=operation):
            yield "forge", f"{clean(pull)} ({operation}): {listed(jobs)}", "good"
        case PullMerged(jobs=jobs, commit=commit):
            yield "forge", f"merged as {commit[:12]}: {listed(jobs)}", "good"
        case Closed(exit=code):
            yield "line", f"ended with exit code {code}", "strong"
        case Refused() | Started() | Finished() | GateComposed() | Landing() | Woke():
            pass
        case Undelivered():
            pass  # whoever delivers says it, also where no progress is shown
        case _:
            assert_never(event)
