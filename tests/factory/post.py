"""A run with landings made by hand, whose delivery is driven in this process against the hub."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.delivering import Courier
from factory.events import (
    Advanced,
    Delivered,
    Event,
    GateComposed,
    GateTried,
    Landed,
    Opened,
    Placed,
    Proposed,
    Undelivered,
)
from factory.ledger import Ledger
from factory.line import Line, opened, step
from factory.site import Site
from stations.contract import Check, Composed, Green, Job, Kind
from tests.conftest import FILES, commit_files
from tests.factory.works import rules, site_at, spec, task
from tests.forge.hub import Hub
from tests.run import run
from tests.stations.benches import bench_at
from worktrees.merge import landing_commit
from worktrees.names import Oid, RunId

TOY = "octo/toy"
PYTEST = ("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(slots=True, kw_only=True)
class Post:
    """Lands work by hand and delivers it; ``line`` is the run's as it is now."""

    hub: Hub
    site: Site
    ledger: Ledger
    courier: Courier = field(init=False)
    line: Line
    said: list[str] = field(default_factory=list)
    trial: int = 0

    def record(self, event: Event) -> None:
        """Put an event on record and step the line."""
        self.line, _ = step(self.line, event, 1.0)
        self.ledger.append(self.line.run, [event], 1.0)

    def land(self, *jobs: Job, **files: str) -> Oid:
        """Let one landing bring these files, for these jobs."""
        git, run_id = self.site.repository.git, self.line.run
        tip = git.resolve(self.line.target)
        assert tip is not None
        work = commit_files(self.site.repository, tip, files)
        commit = landing_commit(
            git,
            tree=git.tree_of(work),
            tip=tip,
            branches=[(job.id, work) for job in jobs],
            run=run_id,
            title=jobs[0].title,
        )
        git("update-ref", self.line.target, commit, tip)
        self.trial += 1
        tree = git.tree_of(commit)
        check = Check(owner="tests", run=PYTEST)
        made = Composed(trial=self.trial, tree=tree, commands=(check,), key="k")
        ids = tuple(job.id for job in jobs)
        self.ledger.append(
            run_id,
            [
                GateComposed(composed=made),
                GateTried(trial=self.trial, verdict=Green(tree=tree, key="k")),
                Advanced(trial=self.trial, jobs=ids, commit=commit, tree=tree),
            ],
            1.0,
        )
        if not set(ids) <= self.line.jobs.keys():
            self.record(Placed(jobs=jobs))
        place = Landed(commit=commit, tree=tree)
        works = {
            job: replace(self.line.jobs[job], place=place, commit=work, attempt=1) for job in ids
        }
        self.line = replace(self.line, jobs={**self.line.jobs, **works})
        return commit

    def deliver(self) -> tuple[Undelivered, ...]:
        """Deliver once; give what stood in the way."""
        self.line = replace(self.line, undelivered={})
        self.courier.deliver()
        return tuple(self.line.undelivered.values())

    def refused(self) -> tuple[int, str]:
        """Deliver, and give the code and the words of the one thing that stood in the way."""
        [fault] = self.deliver()
        return fault.code, fault.why

    def pulls(self) -> list[tuple[int, str, str]]:
        """Give number, base and head of the pull requests, oldest first."""
        found = self.hub.repo(TOY).pulls()
        return [(issue.number, pull.base_ref, pull.head) for issue, pull in found]

    def body(self, number: int) -> str:
        """Give what a pull request says."""
        return self.hub.issue(TOY, number).body or ""

    def delivered(self) -> list[str]:
        """Give what was done for each pull request, in order."""
        found = (record.event for record in self.ledger.records(self.line.run))
        return [event.operation for event in found if isinstance(event, Delivered)]

    def places(self) -> dict[str, str]:
        """Give where each job stands."""
        kinds = (Landed, Proposed)
        assert all(isinstance(work.place, kinds) for work in self.line.jobs.values())
        return {job: work.place.kind for job, work in self.line.jobs.items()}


@contextmanager
def post_at(
    place: Path,
    *,
    forge: str = "",
    run_id: str = "run1",
    hub: Hub | None = None,
    files: Mapping[str, str] = FILES,
) -> Iterator[Post]:
    """Give a run without jobs, at a checkout whose origin is the hub's."""
    checkout = place / "repo"
    fresh = not checkout.exists()
    with bench_at(checkout, files=files if fresh else None, bound=0) as bench:
        if hub is None:
            with Hub(place=place / "hub") as own:
                own.repository(TOY, seed=checkout)
                run(["git", "remote", "add", "origin", own.git_url(TOY)], cwd=checkout)
                with post_at(place, forge=forge, run_id=run_id, hub=own) as made:
                    yield made
            return
        site = site_at(checkout, config=f'[line]\ndeliver = "pr"\n[forge]\n{forge}\n')
        base = site.repository.git.resolve("refs/heads/main")
        assert base is not None
        event = Opened(
            run=RunId(run_id),
            base=base,
            target=f"refs/heads/factory/{run_id}/target",
            deliver="pr",
            rules=rules(spec("code"), spec("tests", Kind.TEST, run=PYTEST)),
            onto="main",
        )
        site.repository.git("update-ref", event.target, base)
        with Ledger(site.ledger) as ledger:
            ledger.append(event.run, [event], 0.0)
            made = Post(hub=hub, site=site, ledger=ledger, line=opened(event, 0.0))
            made.courier = Courier(
                site=site,
                bench=bench,
                line=lambda: made.line,
                record=made.record,
                say=made.said.append,
            )
            yield made


def asked(name: str, **fields: object) -> Job:
    """Give a job."""
    return task(name, "**", **fields)
