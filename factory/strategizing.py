"""A survey made into a plan in a repository: what is read for it, and who is asked.

Only the stored texts of the mirror, the base's files and history, and the authors of credited pull
requests are read. A model, if there is one, puts the strategy into words.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from factory import models
from factory.calls import Tally, tally
from factory.complaint import Complaint
from factory.delivering import connected
from factory.forge.failures import ForgeError
from factory.forge.values import Repo
from factory.history import cochange, commits
from factory.models import Models
from factory.site import Site
from factory.strategy import document, files, loading, stating
from factory.strategy.lining import lined
from factory.strategy.making import Author, Land, Made, Sources, make
from factory.strategy.stating import Stated
from factory.strategy.values import Bounds, Plan, PlanErrors, PlanItem, RootCause
from factory.survey.mirror import Mirror, path_of
from factory.survey.reading import Reader
from factory.survey.readings import Readings
from factory.survey.values import Survey
from factory.wording import clean, listed, masked
from stations.contract import Job
from stations.models import tiers
from worktrees.names import Oid, RunId

HISTORY: Final = 1_000
"""So many commits are looked at for what changed together."""
_SECONDS: Final = 20.0
_READINGS: Final = ".readings.sqlite"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan that keeps its rules, what a person should know of it, and what it took."""

    plan: Plan
    notes: tuple[str, ...]
    by: str = ""
    spent: Tally = field(default_factory=Tally)


def planned(site: Site, survey: Survey, *, base: Oid, run: RunId, model: bool, say: Say) -> Planned:
    """Give the plan of a survey on a base; ModelError when a model was asked and gave nothing."""
    land = land_of(site, base)
    repo = _repo(survey)
    with _texts(site, repo, say=say) as texts:
        known = _Authors(site, survey, say)
        # What cannot run is told before a model is paid to put it into words.
        plain = Sources(texts=texts, authors=known.of, state=_template)
        found = _checked(make(survey, land, plain), land)
        if not model:
            return found
        with _reader(site, repo, run, say=say) as (reader, asked):
            state = partial(stating.state, reader)
            worded = Sources(texts=texts, authors=known.of, state=state)
            found = _checked(make(survey, land, worded), land)
            return replace(found, spent=asked())


def land_of(site: Site, base: Oid) -> Land:
    """Give what a plan is made on in this repository at a commit."""
    git, settings = site.repository.git, site.settings
    ground = loading.ground_of(settings, git, base)
    return Land(
        base=base,
        tracked=tuple(sorted(ground.tracked)),
        rules=ground,
        limits=Bounds(files=settings.forge.files, lines=settings.forge.lines),
        search=files.Ground(
            tracked=ground.tracked, grep=files.grep_of(git, base), related=_Past(site, base).related
        ),
    )


def on_line(site: Site, plan: Plan, *, base: Oid) -> tuple[Site, tuple[Job, ...]]:
    """Give a site whose coding stations are the plan's, and the plan's jobs."""
    tracked = loading.ground_of(site.settings, site.repository.git, base).tracked
    found = lined(plan, site.settings.rules, tracked=tracked)
    return replace(site, settings=replace(site.settings, rules=found.rules)), found.jobs


class _Past:
    """What changed together in the history of a base; read when it is first asked for."""

    def __init__(self, site: Site, base: Oid) -> None:
        self._site, self._base = site, base
        self._graph: cochange.Graph | None = None

    def related(self, paths: Collection[str]) -> list[tuple[str, float]]:
        """Give the files that changed together with these, the strongest first."""
        if self._graph is None:
            past = commits.read(
                self._site.repository.git, self._base, most=HISTORY, seconds=_SECONDS
            )
            self._graph = cochange.build(change.files for change in past.changes)
        return [(each.path, each.weight) for each in cochange.related(self._graph, paths)]


def _checked(made: Made, land: Land) -> Planned:
    """Judge our own plan as we judge a stranger's: what it lacks is told before it is written."""
    try:
        loaded = loading.checked(document.read(document.write(made.plan)), land.rules)
    except PlanErrors as errors:
        hint = "change factory.toml, or the survey's root causes, and try again"
        raise loading.refused("what the survey leads to", errors, hint=hint) from errors
    return Planned(plan=made.plan, notes=(*made.notes, *loaded.notes), by=made.by)


def _template(theme: str, causes: Sequence[RootCause], _: Sequence[PlanItem]) -> Stated:
    return stating.template(theme, causes)


def _repo(survey: Survey) -> Repo:
    owner, _, name = survey.repo.partition("/")
    return Repo(owner=owner, name=name, host="")


@contextmanager
def _texts(site: Site, repo: Repo, *, say: Say) -> Iterator[Callable[[int], tuple[str, ...]]]:
    """Give what reads the stored texts of an item; without a mirror there are none."""
    path = path_of(site.repository.common, repo)
    if not path.is_file():
        say(f"no mirror of {clean(repo.full)} lies here: only titles and quotes are looked at")
        yield lambda _: ()
        return
    with Mirror(path, repo, say=say) as mirror:

        def texts(number: int) -> tuple[str, ...]:
            item = mirror.item(number)
            remarks = mirror.comments(number)
            return () if item is None else (item.body, *(each.body for each in remarks))

        yield texts


class _Authors:
    """Who made pull requests, asked of the forge once."""

    def __init__(self, site: Site, survey: Survey, say: Say) -> None:
        self._site, self._survey, self._say = site, survey, say
        self._known: dict[int, Author] | None = None

    def of(self, numbers: Sequence[int]) -> Mapping[int, Author]:
        """Give the authors; those that the forge does not name now are asked for again later."""
        if self._known is None:
            self._known = self._asked(numbers)
        return self._known

    def _asked(self, numbers: Sequence[int]) -> dict[int, Author]:
        found: dict[int, Author] = {}
        here = self._survey.repo
        try:
            with connected(self._site, say=self._say) as forge:
                here = forge.repo.full
                for number in numbers if _same(here, self._survey.repo) else ():
                    pull = forge.door.pull(number)
                    found[number] = Author(
                        login=pull.author.login,
                        id=pull.author.id,
                        commits=tuple(each.sha for each in forge.door.commits(number)),
                        added={each.path: each.additions for each in forge.door.files(number)},
                    )
        except (Complaint, ForgeError) as error:
            left = listed(f"#{number}" for number in numbers if number not in found)
            self._say(f"not known yet is who made {left}, which is credited: {error}")
        if not _same(here, self._survey.repo):
            raise Complaint(
                f"the survey is of {clean(self._survey.repo)}, and this clone is of {here}",
                hint="run it in a clone of that repository, or name its remote: [forge] remote",
            )
        return found


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def has_model(site: Site, *, say: Say) -> bool:
    """Say whether a model can be asked; without a key the words are left to a person."""
    if models.provider_of(site.settings, "anthropic").key:
        return True
    say("no model key: the strategy is left for you to put into words")
    return False


@contextmanager
def _reader(
    site: Site, repo: Repo, run: RunId, *, say: Say
) -> Iterator[tuple[Reader, Callable[[], Tally]]]:
    """Give who is asked for the strategy, and what was asked so far."""
    model = tiers.resolve(stating.TIER, 0, site.settings.models)
    models.check_prices(site.settings, (model,), who="`factory fix`")
    site.repository.factory.mkdir(parents=True, exist_ok=True)
    path = path_of(site.repository.common, repo)
    with (
        Models(
            site.settings, site.ledger, run, path=site.environment.path, now=time.time, warn=say
        ) as shared,
        Readings(Path(f"{path.with_suffix('')}{_READINGS}")) as readings,
    ):
        reader = Reader(caller=shared.caller(), model=model, run=run, readings=readings, say=say)
        yield reader, lambda: tally(shared.calls.of_run(run))


def written(planned: Planned) -> str:
    """Say by whom the strategy was put into words."""
    return f"put into words by {masked(clean(planned.by))}" if planned.by else "not in words yet"
